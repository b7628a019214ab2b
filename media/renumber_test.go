package media

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
)

// TestNumbersThatStepBackLoseNothing: RFC 3550 appendix A.1: a standby SBC takes over, or the sender counts anew, and the clock
// goes on: two in sequence are believed, by the timestamp, and none is lost.
func TestNumbersThatStepBackLoseNothing(t *testing.T) {
	const n, ts = 400, 5000
	for _, c := range []struct {
		name string
		seq  uint16 // first of the second half
	}{
		{"by 1", 1000 + n - 1},
		{"by 2", 1000 + n - 2},
		{"by 5", 1000 + n - 5},
		{"by 300", 1000 + n - 300},
		{"to the first", 1000},
		{"500 below the first", 500},
		{"2000 below the first", 65536 - 1000},
		{"5 up", 1000 + n + 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := append(stream(1, 1000, ts, 100*ms, n), stream(1, c.seq, ts+160*n, (100+20*n)*ms, n)...)
			r := newRig(t, Config{}).commit(plainParams()).send(in...).until(20 * time.Second).close()
			r.expect("r128000")
			if s := r.state(); len(s.Epochs) != 1 || s.Counts.DuplicatePackets+s.Counts.TooLatePackets+s.Counts.ImplausiblePackets != 0 {
				t.Errorf("got epochs %+v, counts %+v", s.Epochs, s.Counts)
			}
		})
	}
}

// TestStepBackAmongLossAndOvertaking: what the network does at the very step is put in place too.
func TestStepBackAmongLossAndOvertaking(t *testing.T) {
	step := func() []letter {
		return append(stream(1, 1000, 0, 100*ms, 100), stream(1, 1060, 16000, 2100*ms, 100)...)
	}
	for _, c := range []struct {
		name string
		in   []letter
		want string
	}{
		{"second of the new lost", without(step(), 101), "r16160 l160 r15680"},
		{"first of the new late", delayed(step(), 100, 30*ms), "r32000"},
		{"last of the old overtaken by two", delayed(step(), 99, 50*ms), "r15840 L160 r16000"},
		{"one of the old before the step lost", without(step(), 97), "r15520 l160 r16320"},
		{"one of the old late", delayed(step(), 95, 200*ms), "r15200 L160 r16640"},
		{"the old ones come twice", append(step(), shifted(step()[90:100], 60*ms)...), "r32000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, Config{}).commit(plainParams()).send(c.in...).until(6 * time.Second).close()
			r.expect(c.want)
			if s := r.state(); len(s.Epochs) != 1 || s.Counts.ImplausiblePackets != 0 {
				t.Errorf("got epochs %+v, counts %+v", s.Epochs, s.Counts)
			}
		})
	}
}

// shifted lets all letters come later.
func shifted(l []letter, by time.Duration) []letter {
	l = slices.Clone(l)
	for i := range l {
		l[i].at += by
	}
	return l
}

func TestNumberAndClockBegunAnewLoseNothing(t *testing.T) {
	for _, c := range []struct {
		name string
		seq  uint16
		ts   uint32
	}{
		{"number back, clock far ahead", 1100, 1 << 30},
		{"number back, clock far back", 1100, 1 << 31},
		{"number back, clock back by 1 s", 1100, 32000 - 8000 + 37},
		{"below the first, clock before the first", 600, 1<<32 - 50000},
		{"far below, clock back by 3 s", 65536 - 2000, 32000 - 24000},
		{"exactly as at first", 1000, 0},
		{"number goes on, clock back to the first", 1200, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := append(stream(1, 1000, 0, 100*ms, 200), stream(1, c.seq, c.ts, 4100*ms, 200)...)
			r := newRig(t, Config{}).commit(plainParams()).send(in...).until(10 * time.Second).close()
			r.expect("r64000")
			want := Epoch{SSRC: 1, Pos: 32000, Timestamp: c.ts, Why: whyJump}
			if s := r.state(); len(s.Epochs) != 2 || bare(s.Epochs[1]) != want || s.Counts.DuplicatePackets+s.Counts.TooLatePackets != 0 {
				t.Errorf("got epochs %+v, counts %+v", s.Epochs, s.Counts)
			}
		})
	}
}

// TestOldPacketsThatComeAgainMoveNothing: a replay of what came before is no new source, however long ago it was.
func TestOldPacketsThatComeAgainMoveNothing(t *testing.T) {
	live := func() []letter { return stream(1, 1000, 5000, 100*ms, 1500) }
	again := func(from, n int, at, pace time.Duration) (l []letter) {
		l = slices.Clone(live()[from : from+n])
		for i := range l {
			l[i].at = at + time.Duration(i)*pace
		}
		return l
	}
	for _, c := range []struct {
		name  string
		again []letter
	}{
		{"two after 3.2 s between two live", again(0, 2, 3305*ms, 5*ms)},
		{"one", again(0, 1, 3305*ms, 0)},
		{"eight in a burst", again(0, 8, 3305*ms, ms)},
		{"fifty in a burst", again(0, 50, 3305*ms, ms/5)},
		{"two of a second ago", again(100, 2, 3305*ms, 5*ms)},
		{"thirty at their pace among the live", again(0, 30, 3305*ms, 20*ms)},
		{"of 26 s ago", again(0, 2, 26305*ms, 5*ms)},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, Config{}).commit(plainParams()).send(append(live(), c.again...)...).until(33 * time.Second).close()
			r.expect("r240000")
			s := r.state()
			if got := s.Counts.DuplicatePackets + s.Counts.ImplausiblePackets; len(s.Epochs) != 1 || got != int64(len(c.again)) || s.Counts.LostPackets != 0 {
				t.Errorf("got epochs %+v, counts %+v", s.Epochs, s.Counts)
			}
			if c.name != "of 26 s ago" && s.Counts.DuplicatePackets != int64(len(c.again)) {
				t.Errorf("duplicates: got %d, want %d", s.Counts.DuplicatePackets, len(c.again))
			}
		})
	}
}

// TestOldPacketsInASilenceMoveNothing: two of them while the sender is silent, and a burst.
func TestOldPacketsInASilenceMoveNothing(t *testing.T) {
	in := append(stream(1, 1000, 0, 100*ms, 100), stream(1, 1100, 16000+32000, 6100*ms, 100)...)
	for i, p := range slices.Clone(in[:40]) {
		p.at = 4*time.Second + time.Duration(i)*100*time.Microsecond
		in = append(in, p)
	}
	in = append(in, letter{at: 5000 * ms, octets: in[3].octets}, letter{at: 5020 * ms, octets: in[4].octets})
	r := newRig(t, Config{}).commit(plainParams()).send(in...).until(10 * time.Second).close()
	r.expect("r16000 g32000 r16000")
	if s := r.state(); len(s.Epochs) != 1 || s.Counts.DuplicatePackets != 42 {
		t.Errorf("got epochs %+v, counts %+v", s.Epochs, s.Counts)
	}
}

// TestOldPacketsOfTheEpochBeforeMoveNothing: after a change of SSRC the old one's packets come again.
func TestOldPacketsOfTheEpochBeforeMoveNothing(t *testing.T) {
	in := append(stream(1, 10, 0, 100*ms, 50), stream(2, 7, 4, 1100*ms, 300)...)
	for i, p := range slices.Clone(in[:2]) {
		p.at = 1400*ms + time.Duration(i)*5*ms
		in = append(in, p)
		p.at += 3 * time.Second
		in = append(in, p)
	}
	r := newRig(t, Config{}).commit(plainParams()).send(in...).until(10 * time.Second).close()
	r.expect("r56000")
	if es := r.tape.typed(call.EventTrackEpoch); len(es) != 1 || r.state().Counts.DuplicatePackets != 4 {
		t.Errorf("got %d epochs, counts %+v", len(es), r.state().Counts)
	}
}

// TestStepsBackInARoughNetworkLoseNothing: jitter, overtaking and copies, and numbers that step back again and again.
func TestStepsBackInARoughNetworkLoseNothing(t *testing.T) {
	for seed := range uint64(100) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		var in []letter
		seq, base := uint16(rnd.Uint32()), rnd.Uint32()
		const n = 600
		for i, next := 0, 40; i < n; i++ {
			if i == next {
				seq -= uint16(1 + rnd.IntN(1<<rnd.IntN(12)))
				next += 40 + rnd.IntN(100)
			}
			l := letter{at: 100*ms + time.Duration(i)*20*ms, octets: spec{ssrc: 1, seq: seq, ts: base + uint32(160*i), n: 160}.marshal()}
			if i > 0 {
				l.at += time.Duration(rnd.IntN(30)) * ms
			}
			in = append(in, l)
			if rnd.IntN(20) == 0 {
				l.at += time.Duration(rnd.IntN(300)) * ms
				in = append(in, l)
			}
			seq++
		}
		r := newRig(t, Config{}).commit(plainParams()).send(in...).until(20 * time.Second).close()
		s := r.state()
		refused := s.Counts.DuplicatePackets + s.Counts.TooLatePackets + s.Counts.ImplausiblePackets // of a numbering before: not known as copies
		if s.Counts.ReceivedSamples != n*160 || len(s.Epochs) != 1 || refused != int64(len(in)-n) {
			t.Errorf("seed %d: got %s in %d epochs, counts %+v", seed, r.tape.runs(1), len(s.Epochs), s.Counts)
		}
	}
}
