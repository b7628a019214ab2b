package endpoint

import (
	"errors"
	"strings"
	"testing"

	"github.com/earshot/earshot/sip"
	"github.com/earshot/earshot/stream"
	"github.com/earshot/earshot/supervise"
)

func TestDescriptorsAreComparedWithWhatAllDialogsMayNeed(t *testing.T) {
	two := []supervise.Login{{Devices: make([]supervise.LoginDevice, 2)}, {}}
	for name, c := range map[string]struct {
		cfg            Config
		files, dialogs int
	}{
		"a device":        {Config{Devices: []Device{{Account: sip.Config{MaxCalls: 10}}}}, 128 + 50, 10},
		"by default":      {Config{Supervisors: []Supervisor{{}}}, 128 + 5000, 1000},
		"three of a pool": {Config{Supervisors: []Supervisor{{RingCentral: supervise.Config{Logins: two}, Device: Device{Account: sip.Config{MaxCalls: 10}}}}}, 128 + 150, 30},
		"with a program":  {Config{Devices: []Device{{Account: sip.Config{MaxCalls: 10}}}, Stream: stream.Config{Consumers: make([]stream.Consumer, 1)}}, 128 + 80, 10},
	} {
		if files, dialogs := filesNeeded(c.cfg); files != c.files || dialogs != c.dialogs {
			t.Errorf("%s: got %d for %d dialogs, want %d for %d", name, files, dialogs, c.files, c.dialogs)
		}
		few := filesFinding(c.cfg, uint64(c.files-1), nil)
		if few.Mark != supervise.MarkWarn || !strings.Contains(few.Do, "LimitNOFILE") {
			t.Errorf("%s: one too few: %+v", name, few)
		}
		if f := filesFinding(c.cfg, uint64(c.files), nil); f.Mark != supervise.MarkOK {
			t.Errorf("%s: just enough: %+v", name, f)
		}
		if f := filesFinding(c.cfg, 0, errors.ErrUnsupported); f.Mark != supervise.MarkOK {
			t.Errorf("%s: not known: %+v", name, f)
		}
	}
}
