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

// TestAShortPacketBeforeABelatedOneIsLate: both were given up while no audio came after them.
func TestAShortPacketBeforeABelatedOneIsLate(t *testing.T) {
	r := newRig(t, Config{}).commit(plainParams()).send(
		letter{at: 100 * ms, octets: spec{ssrc: 1, seq: 1, ts: 0, n: 160}.marshal()},
		letter{at: 250 * ms, octets: spec{ssrc: 1, seq: 2, ts: 160, n: 8}.marshal()},
		letter{at: 240 * ms, octets: spec{ssrc: 1, seq: 3, ts: 168, n: 160}.marshal()},
		letter{at: 140 * ms, octets: spec{ssrc: 1, seq: 4, ts: 328, n: 160, pt: 97}.marshal()},
		letter{at: 260 * ms, octets: spec{ssrc: 1, seq: 5, ts: 488, n: 160}.marshal()},
	).until(time.Second).close()
	r.expect("r160 L8 r160 l160 r160")
}
