package config

import "github.com/earshot/earshot/media"

// checkMask looks at the keys that agents dial.
func (l *Loaded) checkMask(fail func(string, string, ...any)) {
	m := l.Config.Record.Mask
	on, off, both := media.Triggers{On: m.DTMFOn}, media.Triggers{Off: m.DTMFOff}, media.Triggers{On: m.DTMFOn, Off: m.DTMFOff}
	switch {
	case on.Check() != nil:
		fail("record.mask.dtmf_on", "%s: such as *1", on.Check())
	case off.Check() != nil:
		fail("record.mask.dtmf_off", "%s: such as *2", off.Check())
	case both.Check() != nil:
		fail("record.mask.dtmf_off", "%s: choose others, such as *1 and *2", both.Check())
	}
}
