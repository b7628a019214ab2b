package media

import (
	"testing"
	"time"
)

// TestLateOfBeforeAJumpIsPutInPlace: the same source goes on with another clock, and a packet of before comes after that. Number and
// timestamp must agree with the clock that it is placed by, wherever the new one would have it.
func TestLateOfBeforeAJumpIsPutInPlace(t *testing.T) {
	for _, c := range []struct {
		name string
		ts   uint32 // of the first after the jump
		i    int    // which comes late
		want string
	}{
		{"forth", 100000 + 9600 + 13*SampleRate, 58, "r9280 L160 r6560"},
		{"far back", 1 << 31, 58, "r9280 L160 r6560"},
		{"back, and the new clock has been there again", 100000 + 4800, 40, "r6400 L160 r9440"},
		{"back, to just after its timestamp", 100000 + 4800, 20, "r3200 L160 r12640"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := delayed(stream(1, 10, 100000, 100*ms, 60), c.i, 1500*ms-time.Duration(100+20*c.i)*ms)
			in = append(in, stream(1, 70, c.ts, 1300*ms, 40)...)
			r := newRig(t, Config{}).commit(plainParams()).send(in...).until(4 * time.Second).close()
			r.expect(c.want)
			if s := r.state(); len(s.Epochs) != 2 || s.Counts.LatePackets != 1 {
				t.Errorf("got epochs %+v, counts %+v", s.Epochs, s.Counts)
			}
		})
	}
}

// TestAClockSetBackIntoAPauseIsAnEpoch: what is spoken now is not put where the sender was silent, though its timestamps say so: its
// numbers are new.
func TestAClockSetBackIntoAPauseIsAnEpoch(t *testing.T) {
	in := append(stream(1, 10, 0, 100*ms, 10), stream(1, 20, 1600+8000, 1300*ms, 10)...)
	in = append(in, stream(1, 30, 3200, 1500*ms, 20)...)
	r := newRig(t, Config{}).commit(plainParams()).send(in...).until(4 * time.Second).close()
	r.expect("r1600 g8000 r4800")
	if s := r.state(); len(s.Epochs) != 2 || s.Epochs[1].Timestamp != 3200 || s.Epochs[1].Pos != 11200 {
		t.Errorf("got epochs %+v, want the second from 3200 on", s.Epochs)
	}
}

// TestANumberFarFromThePastIsNotOfIt: the clock is set back to where it was before the numbers began anew.
func TestANumberFarFromThePastIsNotOfIt(t *testing.T) {
	in := append(stream(1, 10, 0, 100*ms, 10), stream(1, 40000, 1600+8000, 1300*ms, 10)...)
	in = append(in, stream(1, 40010, 3200, 1500*ms, 20)...)
	r := newRig(t, Config{}).commit(plainParams()).send(in...).until(4 * time.Second).close()
	r.expect("r1600 g8000 r4800")
}

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
