package media

import (
	"testing"
	"time"

	"github.com/earshot/earshot/call"
)

// bare is an epoch without what is estimated of it.
func bare(e Epoch) Epoch {
	e.Estimated, e.OffsetEstimate, e.DriftPPM = false, 0, 0
	return e
}

func TestNewSSRCIsPlacedByArrival(t *testing.T) {
	for _, c := range []struct {
		name  string
		then  []letter
		want  string
		epoch Epoch
	}{
		{"at once", stream(2, 7, 1<<31, 300*ms, 10), "r3200", Epoch{SSRC: 2, Pos: 1600, Timestamp: 1 << 31, Why: whySSRC}},
		{"after a pause", stream(2, 7, 4, 1300*ms, 10), "r1600 g8000 r1600", Epoch{SSRC: 2, Pos: 9600, Timestamp: 4, Why: whySSRC}},
		{"its first is late", delayed(stream(2, 7, 4, 300*ms, 10), 0, 30*ms), "r3200", Epoch{SSRC: 2, Pos: 1600, Timestamp: 4, Why: whySSRC}},
		{"its second is lost", without(stream(2, 7, 4, 300*ms, 10), 1), "r1760 l160 r1280", Epoch{SSRC: 2, Pos: 1600, Timestamp: 4, Why: whySSRC}},
		{"its number and clock go on", stream(2, 20, 1600, 300*ms, 10), "r3200", Epoch{SSRC: 2, Pos: 1600, Timestamp: 1600, Why: whySSRC}},
		{"early", stream(2, 7, 4, 280*ms, 10), "r3200", Epoch{SSRC: 2, Pos: 1600, Timestamp: 4, Why: whySSRC}},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := append(stream(1, 10, 0, 100*ms, 10), c.then...)
			r := newRig(t, Config{}).commit(plainParams()).send(in...).until(4 * time.Second).close()
			r.expect(c.want)
			s := r.state()
			if len(s.Epochs) != 2 || bare(s.Epochs[1]) != c.epoch || s.Counts.SSRCChanges != 1 || s.Counts.ImplausiblePackets != 0 {
				t.Errorf("got epochs %+v, counts %+v", s.Epochs, s.Counts)
			}
			if es := r.tape.typed(call.EventTrackEpoch); len(es) != 1 || es[0].Pos != c.epoch.Pos {
				t.Errorf("events: got %+v, want one at %d", es, c.epoch.Pos)
			}
		})
	}
}

func TestFirstOfANewSSRCThatWasOvertakenIsInPlace(t *testing.T) {
	for by, want := range map[time.Duration]string{50 * ms: "r1600 g1600 r1600", 150 * ms: "r1600 g1600 L160 r1440"} {
		in := append(stream(1, 10, 0, 100*ms, 10), delayed(stream(2, 7, 4, 500*ms, 10), 0, by)...)
		r := newRig(t, Config{}).commit(plainParams()).send(in...).until(2 * time.Second).close()
		r.expect(want)
	}
}

// TestNewEpochIsPlacedByItsQuickestPacket: the first ones of the new source are slow, those within the live wait show it.
func TestNewEpochIsPlacedByItsQuickestPacket(t *testing.T) {
	for _, ssrc := range []uint32{1, 2} {
		then := stream(ssrc, 7000, 1<<31, 1300*ms, 20)
		for i := range 4 { // held up and let go at once
			then[i].at = 1372*ms + time.Duration(2*i)*ms
		}
		in := append(stream(1, 10, 0, 100*ms, 10), then...)
		r := newRig(t, Config{}).commit(plainParams()).send(in...).until(4 * time.Second).close()
		r.expect("r1600 g8000 r3200")
	}
}

// TestNewEpochThatEndsWithinItsWaitIsKept: nothing that was borne out is lost when the track ends.
func TestNewEpochThatEndsWithinItsWaitIsKept(t *testing.T) {
	in := append(stream(1, 10, 0, 100*ms, 10), stream(2, 7, 4, 300*ms, 2)...)
	r := newRig(t, Config{}).commit(plainParams()).send(in...).until(330 * ms).close()
	r.expect("r1920")
}

func TestLateOfThePastEpochIsPutInPlace(t *testing.T) {
	in := append(delayed(stream(1, 10, 0, 100*ms, 10), 8, 200*ms), stream(2, 7, 4, 300*ms, 10)...)
	r := newRig(t, Config{}).commit(plainParams()).send(in...).until(2 * time.Second).close()
	r.expect("r1280 L160 r1760")
}

func TestTwoSSRCsAreNeverInterleaved(t *testing.T) {
	in := append(stream(1, 10, 0, 100*ms, 50), stream(2, 7, 4, 110*ms, 50)...)
	r := newRig(t, Config{}).commit(plainParams()).send(in...).until(2 * time.Second).close()
	r.expect("r8000")
	if s := r.state(); len(s.Epochs) != 1 || s.Counts.ImplausiblePackets != 50 {
		t.Errorf("got %d epochs, %d implausible, want 1 and 50", len(s.Epochs), s.Counts.ImplausiblePackets)
	}
}

func TestJumpOfTheClockIsAnEpochByArrival(t *testing.T) {
	for _, c := range []struct {
		name string
		seq  uint16
		ts   uint32
		at   time.Duration
		want string
	}{
		{"far forward", 20, 1 << 30, 300 * ms, "r3200"},
		{"far back", 20, 1 << 31, 300 * ms, "r3200"},
		{"a little back", 20, 800, 300 * ms, "r3200"},
		{"by 12 s, after 1 s", 20, 1600 + 96000, 1300 * ms, "r1600 g8000 r1600"},
		{"number and clock begin anew", 10, 0, 4300 * ms, "r1600 g32000 r1600"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := append(stream(1, 10, 0, 100*ms, 10), stream(1, c.seq, c.ts, c.at, 10)...)
			r := newRig(t, Config{}).commit(plainParams()).send(in...).until(7 * time.Second).close()
			r.expect(c.want)
			s := r.state()
			if len(s.Epochs) != 2 || s.Epochs[1].Why != whyJump || s.Epochs[1].Timestamp != c.ts || s.Counts.SSRCChanges != 0 {
				t.Errorf("got epochs %+v", s.Epochs)
			}
		})
	}
}

func TestOnePacketFromElsewhereMovesNothing(t *testing.T) {
	in := stream(1, 10, 0, 100*ms, 20)
	for _, p := range []spec{{ssrc: 3, seq: 9, ts: 1, n: 160}, {ssrc: 1, seq: 30000, ts: 5 << 20, n: 160}, {ssrc: 1, seq: 15, ts: 9 << 24, n: 160}} {
		in = append(in, letter{at: 205 * ms, octets: p.marshal()})
	}
	r := newRig(t, Config{}).commit(plainParams()).send(in...).until(time.Second).close()
	r.expect("r3200")
	if s := r.state(); len(s.Epochs) != 1 || s.Counts.ImplausiblePackets != 3 {
		t.Errorf("got epochs %+v, implausible %d, want 1 and 3", s.Epochs, s.Counts.ImplausiblePackets)
	}
}

// TestJitterIsTheNewestEpochs: what a source's network did says nothing of the next one's.
func TestJitterIsTheNewestEpochs(t *testing.T) {
	in := stream(1, 10, 0, 100*ms, 100)
	for i := range in {
		in[i].at += time.Duration(i%2) * 30 * ms
	}
	in = append(in, stream(2, 7, 4, 2500*ms, 10)...)
	r := newRig(t, Config{}).commit(plainParams()).send(in...).until(2300 * ms)
	if j := r.state().Counts.JitterSamples; j < 200 {
		t.Fatalf("jitter of the first: got %v samples, want some 240", j)
	}
	r.until(4 * time.Second).close()
	if j := r.state().Counts.JitterSamples; j > 1 {
		t.Errorf("jitter of the second: got %v samples, want none", j)
	}
}
