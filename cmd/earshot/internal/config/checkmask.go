package config

import "github.com/earshot/earshot/media"

// checkConsent looks at what is stated.
func (l *Loaded) checkConsent(fail func(string, string, ...any)) {
	switch c := l.Config.Record.Consent; {
	case c.Mode == "assumed" && c.Basis == "":
		fail("record.consent.basis", "missing: on what ground is consent assumed?")
	case c.Mode == "" && c.Basis != "":
		fail("record.consent.mode", "missing: want assumed or required beside a basis")
	}
}

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
