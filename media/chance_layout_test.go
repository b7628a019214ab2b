package media

import (
	"slices"
	"testing"
	"time"
)

// layOut puts what must become of each packet at its place: where its epoch says that its timestamp lies.
func (o *oracle) layOut(t testing.TB, epochs []Epoch) (want []uint8, length int64) {
	t.Helper()
	ends := make([]int64, len(o.chapters)) // by clock: where the next begins
	for i := range ends {
		ends[i] = 1 << 62
	}
	for c := 1; c < len(epochs); c++ {
		ends[c-1] = epochs[c].Pos
	}
	place := make([]int64, len(o.packets))
	for c := range o.chapters {
		h := &o.chapters[c]
		e := epochs[h.clock]
		for i := h.lo; i < h.hi; i++ {
			p := &o.packets[i]
			if p.ssrc != e.SSRC {
				t.Fatalf("epoch %d: SSRC %d, want %d", h.clock, e.SSRC, p.ssrc)
			}
			place[i] = e.Pos + int64(int32(p.ts-e.Timestamp))
			if !o.audio(i) || o.fate[i]&isHeard == 0 {
				continue
			}
			if end := min(place[i]+int64(p.n), ends[h.clock]); o.fate[i]&isHole == 0 {
				length = max(length, end)
			}
		}
	}
	o.epochsLie(t, epochs, place)
	want = slices.Repeat([]uint8{isHole}, int(length))
	put := func(from, to int64, kinds uint8) {
		for pos := max(0, from); pos < min(to, length); pos++ {
			want[pos] = kinds
		}
	}
	for _, s := range o.runs {
		if from := place[s.from] + int64(o.packets[s.from].n); !s.open && o.clockOf(s.from) == o.clockOf(s.to) {
			lost := min(from+s.lost, place[s.to])
			put(from, lost, isLost)
			put(lost, place[s.to], isGap)
		}
	}
	for c := range o.chapters {
		h := &o.chapters[c]
		for i := h.lo; i < h.hi; i++ {
			if n := int64(o.packets[i].n); o.audio(i) && o.fate[i]&isHeard != 0 {
				put(place[i], min(place[i]+n, ends[h.clock]), o.fate[i])
			}
		}
	}
	return want, length
}

func (o *oracle) clockOf(i int) int {
	for _, c := range o.chapters {
		if i < c.hi {
			return c.clock
		}
	}
	return -1
}

// epochsLie proves where each epoch begins: with the lowest packet that came before it was believed, where the old clock would be at the
// arrival of the quickest of these; never before what was given out.
func (o *oracle) epochsLie(t testing.TB, epochs []Epoch, place []int64) {
	t.Helper()
	for k, s := range o.turns {
		clock := o.clockOf(s.lo)
		if k > 0 && o.clockOf(o.turns[k-1].lo) == clock {
			continue
		}
		first, quickest := -1, int64(1<<62)
		for i := s.lo; i < s.hi; i++ {
			if !o.audio(i) || !o.in(&s, i) {
				continue
			}
			if first < 0 {
				first = i
			}
			quickest = min(quickest, samplesIn(o.came[i])-int64(o.packets[i].ts-o.packets[first].ts))
		}
		if first < 0 || o.packets[first].ts != epochs[clock].Timestamp {
			t.Fatalf("epoch %d: timestamp %d, want that of packet %d", clock, epochs[clock].Timestamp, first)
		}
		if k == 0 {
			continue
		}
		b := o.before(s, clock-1, place)
		if got := epochs[clock].Pos; got < max(b.front, quickest-b.most) || got > max(b.farthest, quickest-b.least) {
			t.Fatalf("epoch %d: got Pos %d, want %d to %d: %+v", clock, got, quickest-b.most, quickest-b.least, b)
		}
	}
}

// standing is where a clock stood at the turn to the next: how far it had come, at least and at most, and between what lay its least
// transit over the last 2 to 4 s of audio.
type standing struct{ front, farthest, least, most int64 }

func (o *oracle) before(s seam, clock int, place []int64) standing {
	b, newest := standing{least: 1 << 62, most: -1 << 62}, time.Duration(0)
	mine := func(i int) bool {
		return o.audio(i) && o.clockOf(i) == clock && o.fate[i]&isReceived != 0 && o.came[i] < s.opened
	}
	for i := range o.packets[:s.lo] {
		if mine(i) {
			end := place[i] + int64(o.packets[i].n)
			if b.farthest = max(b.farthest, end); o.fate[i] == isReceived {
				b.front = max(b.front, end)
			}
			newest = max(newest, o.came[i])
		}
	}
	for i := range o.packets[:s.lo] {
		if mine(i) && o.came[i] > newest-2*driftWindow-time.Second {
			transit := samplesIn(o.came[i]) - place[i]
			b.least, b.most = min(b.least, transit-1), max(b.most, transit+1)
		}
	}
	return b
}

// count compares counters that don't depend on what is left open.
func (s *story) count(t testing.TB, o *oracle, r *rig, c Counts) {
	t.Helper()
	datagrams := int64(0)
	for i := range s.packets {
		datagrams += int64(len(s.packets[i].arrivals))
	}
	taken := c.Packets + c.StrayPackets + c.AuthFailedPackets
	if !s.secure && taken != datagrams || taken > datagrams || taken+c.DuplicatePackets < datagrams {
		t.Errorf("datagrams: %d came; counts %+v", datagrams, c)
	}
	if !s.secure && c.AuthFailedPackets > 0 {
		t.Errorf("%d packets failed to authenticate", c.AuthFailedPackets)
	}
}

// shrink takes out of a story what is not needed to make it fail: first copies, then packets, which are lost. It gives what is left.
func (s *story) shrink(fails func(*story) bool) (left int) {
	deadline := time.Now().Add(20 * time.Second)
	for step := len(s.packets); step > 0; step /= 2 {
		for lo := 0; lo < len(s.packets) && time.Now().Before(deadline); lo += step {
			s.tryWithout(lo, min(lo+step, len(s.packets)), fails)
		}
	}
	for i := range s.packets {
		if n := len(s.packets[i].arrivals); n != 1 {
			left++
		}
	}
	return left
}

// tryWithout makes a stretch calm, if the story still fails then: one copy of each packet, one after the other.
func (s *story) tryWithout(lo, hi int, fails func(*story) bool) {
	before := make([][]time.Duration, 0, hi-lo)
	for i := lo; i < hi; i++ {
		before = append(before, s.packets[i].arrivals)
		s.packets[i].arrivals = []time.Duration{s.packets[i].at + 5*ms}
	}
	if fails(s) {
		return
	}
	for i := lo; i < hi; i++ {
		s.packets[i].arrivals = before[i-lo]
	}
}
