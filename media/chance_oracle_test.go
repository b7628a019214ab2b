package media

import (
	"cmp"
	"slices"
	"time"
)

// what a sample may be: a set of kinds.
const (
	isReceived = 1 << KindReceived
	isLate     = 1 << KindLate
	isLost     = 1 << KindLost
	isGap      = 1 << KindGap
	isHeard    = isReceived | isLate
	isHole     = isLost | isGap
)

// lateSlack is how exactly the oracle knows the archive window: what comes that near to its end may be in time or not.
const lateSlack = 200 * ms

// oracle knows what must become of each sample of a story. It is no placer: it knows what was sent, in which order and from which
// clock, and when each packet came, and from that, all at once, what the rules of Kind and of doc.go make of it. Where these leave it open
// (the turn from one numbering to the next, what is around the archive window) it allows more than one kind.
type oracle struct {
	*story
	came   []time.Duration // by packet: its first copy that counts; forever: none
	fate   []uint8         // by packet: what its samples may be
	turns  []seam          // by numbering
	runs   []stretch
	unsure bool // a turn was not borne out as RFC 3550 appendix A.1 has it: nothing is said of what follows
}

// seam is the beginning of a numbering.
type seam struct {
	lo, hi int
	first  time.Duration // the first of it that came
	opened time.Duration // it was believed then, and all that came before was kept for its turn
	base   int           // the lowest of these
}

// stretch is what lies between two audio packets that were given out in their turn.
type stretch struct {
	from, to int // packets
	lost     int64
	open     bool // which part of it is lost is not known
}

// newOracle judges a story.
func newOracle(s *story) *oracle {
	o := &oracle{story: s, came: make([]time.Duration, len(s.packets)), fate: make([]uint8, len(s.packets))}
	for i := range s.packets {
		o.came[i], o.fate[i] = s.packets[i].came(), isHole
	}
	o.strays()
	for _, c := range s.chapters {
		if c.numbers == len(o.turns) {
			o.turns = append(o.turns, seam{lo: c.lo, first: forever})
		}
		o.turns[c.numbers].hi = c.hi
	}
	o.begin(&o.turns[0])
	for i := 1; i < len(s.packets); i++ { // two old packets in sequence are a source that begins anew
		o.unsure = o.unsure || o.came[i] != forever && o.came[i-1] != forever && o.stale(i) && o.stale(i-1)
	}
	for k := 1; k < len(o.turns) && !o.unsure; k++ {
		o.turn(k)
	}
	if !o.unsure {
		for k := range o.turns {
			o.judge(k)
		}
	}
	return o
}

func (o *oracle) audio(i int) bool { return o.packets[i].cargo == cargoAudio }

// strays takes out what comes from a source that plain RTP has left: once the new one is believed.
func (o *oracle) strays() {
	for _, c := range o.chapters {
		if o.secure || c.why != turnMove && c.why != turnOffer {
			continue
		}
		believed := o.came[c.lo] // calm: in order
		for i := range o.packets[:c.lo] {
			if o.came[i] >= believed {
				o.came[i] = forever
			}
		}
	}
}

// begin is the start of the track: Pos 0 is fixed one live wait after the first audio packet.
func (o *oracle) begin(s *seam) {
	for i := s.lo; i < s.hi; i++ {
		if o.audio(i) {
			s.first = min(s.first, o.came[i])
		}
	}
	if s.first == forever {
		o.unsure = true
		return
	}
	s.opened, s.base = s.first+o.cfg.LiveWait, s.hi
	for i := s.lo; i < s.hi; i++ {
		if o.came[i] < s.first { // what has no place can't begin a track
			o.again(i, s.first)
		}
		if o.in(s, i) {
			s.base = min(s.base, i)
		}
	}
}

// in tells whether a packet came before its numbering was believed, and was kept for then.
func (o *oracle) in(s *seam, i int) bool { return o.came[i] < max(s.opened, s.first+1) }

// again lets a later copy of a packet count, from a time on.
func (o *oracle) again(i int, from time.Duration) {
	o.came[i] = forever
	for _, at := range o.packets[i].arrivals {
		if at >= from {
			o.came[i] = min(o.came[i], at)
		}
	}
}

// turn looks when a numbering is believed: two in sequence, five where they may be a replay, with nothing of the one before in between.
func (o *oracle) turn(k int) {
	s, old := &o.turns[k], o.turns[k-1]
	why, need := o.whyOf(s.lo), candidateRun
	a, b := &o.packets[old.hi-1], &o.packets[s.lo]
	if why == turnAnew && int16(b.seq-a.seq) <= 0 && int32(b.ts-a.ts) < 0 {
		need = againRun
	}
	type coming struct {
		i  int
		at time.Duration
	}
	var all []coming
	for i := old.lo; i < s.hi; i++ {
		if o.came[i] != forever && (o.audio(i) || i < old.hi) {
			all = append(all, coming{i, o.came[i]})
		}
	}
	slices.SortFunc(all, func(a, b coming) int { return cmp.Compare(a.at, b.at) })
	var waiting []int
	fresh, high := 0, -1
	for _, c := range all {
		if s.opened != 0 && c.at >= s.opened {
			break
		}
		if c.i < old.hi {
			if c.i > high && o.audio(c.i) {
				high, fresh, s.opened = c.i, 0, 0
			}
			continue
		}
		s.first = min(s.first, c.at)
		waiting = append(waiting, c.i)
		slices.Sort(waiting)
		if s.opened != 0 {
			if len(waiting) == candidateSlots { // there is no room to wait longer
				s.opened = c.at + 1
				break
			}
			continue
		}
		if fresh++; fresh < need || !o.run(waiting, need) {
			continue
		}
		if c.i-waiting[0] > candidateSlots { // more than is kept so long
			break
		}
		s.base, s.opened = waiting[0], c.at+1                                                 // it is among them
		if why == turnBack && high >= 0 && int32(o.packets[c.i].ts-o.packets[high].ts) >= 0 { // its clock has caught up: nobody can tell that it was set back
			o.unsure = true
			return
		}
		if why != turnNumber {
			s.opened = max(s.opened, s.first+o.cfg.LiveWait)
		}
	}
	o.unsure = s.opened == 0 || high != o.highest(old) || o.disturbed(s, old.lo)
	for i := s.lo; i < s.hi; i++ {
		if !o.audio(i) && o.came[i] < s.opened { // what has no place can't bear it out
			o.again(i, s.opened)
		}
		if o.audio(i) && o.in(s, i) {
			s.base = min(s.base, i)
		}
	}
}

// stale tells whether a packet comes so late that it fits nothing: between the packets of a new source it is taken for a third.
func (o *oracle) stale(i int) bool {
	return o.came[i]-o.packets[i].at > o.cfg.ArchiveWindow-lateSlack
}

// disturbed tells whether the next numbering came in between, or a stray: packets older than the numbering before, or than the archive
// window. They may undo what a new one had proved so far.
func (o *oracle) disturbed(s *seam, before int) bool {
	for i := s.hi; i < len(o.packets); i++ {
		if o.came[i] <= s.opened {
			return true
		}
	}
	for i := range o.packets[:s.lo] {
		for _, at := range o.packets[i].arrivals {
			old := i < before || at-o.packets[i].at > o.cfg.ArchiveWindow-lateSlack
			if old && at >= s.first && at <= s.opened {
				return true
			}
		}
	}
	return false
}

// highest is the last packet of audio of a numbering that came.
func (o *oracle) highest(s seam) int {
	for i := s.hi - 1; i >= s.lo; i-- {
		if o.audio(i) && o.came[i] != forever {
			return i
		}
	}
	return -1
}

func (o *oracle) whyOf(i int) turn {
	for _, c := range o.chapters {
		if i < c.hi {
			return c.why
		}
	}
	return turnFirst
}

// run tells whether enough of a list follow one another.
func (o *oracle) run(list []int, need int) bool {
	n := 1
	for j := 1; j < len(list); j++ {
		if n++; list[j] != list[j-1]+1 {
			n = 1
		}
		if n < need {
			continue
		}
		first, last := &o.packets[list[j-need+1]], &o.packets[list[j]]
		if need == candidateRun || 2*samplesIn(o.came[list[j]]-o.came[list[j-need+1]]) >= int64(last.ts-first.ts) {
			return true
		}
	}
	return false
}

// judge says what becomes of a numbering's packets.
func (o *oracle) judge(k int) {
	s, left := o.turns[k], forever
	if k+1 < len(o.turns) {
		left = o.turns[k+1].first
	}
	n := s.hi - s.lo
	due, given := make([]time.Duration, n), make([]time.Duration, n)
	next := forever // of what came with a higher number
	for i := s.hi - 1; i >= s.base; i-- {
		due[i-s.lo] = forever
		if next != forever {
			due[i-s.lo] = max(next+o.cfg.LiveWait, s.opened)
		}
		next = min(next, o.came[i])
	}
	turn := s.opened // of each, if it came
	for i := s.base; i < s.hi; i++ {
		turn = max(turn, min(o.came[i], due[i-s.lo]))
		given[i-s.lo] = turn
	}
	belated := make([]bool, n)
	o.place(k, s, left, due, given, belated)
	o.holes(s, due, belated)
}

// place is where each packet of audio comes out.
func (o *oracle) place(k int, s seam, left time.Duration, due, given []time.Duration, belated []bool) {
	out := forever // the places before are given out then
	tail := true   // nothing after it was given out in its turn
	for i := s.hi - 1; i >= s.lo; i-- {
		if !o.audio(i) || o.came[i] == forever {
			continue
		}
		came := o.came[i]
		switch {
		case i < s.base:
			o.fate[i] = isHole
			if k > 0 { // overtaken by the packets that bore out the turn
				o.fate[i] = isHeard | isHole
			}
			continue
		case came < due[i-s.lo]:
			o.fate[i], out = isReceived, min(out, given[i-s.lo])
		case came < out:
			o.fate[i], belated[i-s.lo], out = isReceived, true, came
		default:
			o.fate[i] = o.late(i, out)
		}
		if came >= left {
			o.fate[i] |= isHeard
			if tail || k+2 < len(o.turns) && came >= o.turns[k+2].first {
				o.fate[i] |= isHole
			}
		} else if o.fate[i] == isReceived {
			tail = false
		}
	}
}

// late is what becomes of a packet that comes after its place was given out.
func (o *oracle) late(i int, out time.Duration) uint8 {
	came, window := o.came[i], o.cfg.ArchiveWindow
	switch {
	case came-o.packets[i].at < window-lateSlack:
		return isLate
	case came > out+window+lateSlack:
		return isHole
	}
	return isLate | isHole
}

// holes tells how much of what lies between two packets is lost: as much as those would have held that did not come in their
// turn, each as long as the longer neighbour, and that first.
func (o *oracle) holes(s seam, due []time.Duration, belated []bool) {
	before, missing, open := -1, int64(0), false
	for i := s.base; i < s.hi; i++ {
		inTime, p := o.came[i] < due[i-s.lo], &o.packets[i]
		open = open || belated[i-s.lo] || !inTime && o.came[i] != forever && o.came[i] < s.opened
		switch {
		case !inTime, p.cargo == cargoForeign:
			missing++
		case p.cargo == cargoAudio:
			if before >= 0 {
				o.runs = append(o.runs, stretch{before, i, missing * int64(max(o.packets[before].n, p.n)), open})
			}
			before, missing, open = i, 0, false
		}
	}
}
