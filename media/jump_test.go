package media

import (
	"testing"
	"time"
)

// TestAStrayUndoesNoEpochThatIsBorneOut: two in sequence were believed, and wait for what shows where they lie.
func TestAStrayUndoesNoEpochThatIsBorneOut(t *testing.T) {
	in := append(stream(1, 10, 0, 100*ms, 10), stream(2, 7, 4, 300*ms, 10)...)
	in = append(in, letter{at: 330 * ms, octets: spec{ssrc: 3, seq: 9, ts: 1, n: 160}.marshal()})
	r := newRig(t, Config{}).commit(plainParams()).send(in...).until(2 * time.Second).close()
	r.expect("r3200")
	if c := r.state().Counts; c.ImplausiblePackets != 1 || c.SSRCChanges != 1 {
		t.Errorf("counts: got %+v, want the stray alone refused", c)
	}
}
