package stream

import (
	"fmt"
	"slices"
	"sync"

	"github.com/earshot/earshot/call"
)

// tooLate is the reason of stream_dropped for what the recording has, and came when its place in a stream was gone.
const tooLate = "it came too late"

// shift moves all that is held of a source, of which nothing has gone out yet, to where media has placed it. What comes to lie before the lane's base is late. Where there is no
// room it stays.
func (l *lane) shift(s *source, by int64) {
	held := int64(len(s.buf))
	switch {
	case by > 0 && held+by <= maxSkewSamples:
		s.buf = append(make([]int16, by, held+by), s.buf...)
	case by < 0:
		s.buf = append([]int16(nil), s.buf[min(-by, held):]...)
		l.late += max(0, min(l.base, s.end+by)-max(s.first, l.base)-by)
	default:
		return
	}
	s.own = s.buf
	s.offset, s.end = s.offset+by, s.end+by
	if from, to := min(s.first, s.first+by), l.base+max(0, by); from < l.base { // what was late before lies elsewhere, too
		from = max(0, from)
		l.lates.add(stretch{from, to}, to-from)
	}
}

// lates are ranges of which so many samples each were late: all, but where there were too many ranges.
//
// Invariant: ranges are in order and don't touch; at most maxRuns; of more, the last two become one.
type lates struct {
	ranges  []stretch
	samples []int64 // by range
}

// add joins a range, of which so many samples were late, to those it touches.
func (v *lates) add(s stretch, samples int64) {
	i := 0
	for i < len(v.ranges) && v.ranges[i].to < s.from {
		i++
	}
	j, all := i, samples == s.to-s.from
	for ; j < len(v.ranges) && v.ranges[j].from <= s.to; j++ {
		r := v.ranges[j]
		samples, all = samples+v.samples[j], all && v.samples[j] == r.to-r.from
		s = stretch{min(s.from, r.from), max(s.to, r.to)}
	}
	if span := s.to - s.from; all || samples > span { // some were late twice, as of two sides
		samples = span
	}
	v.ranges, v.samples = slices.Replace(v.ranges, i, j, s), slices.Replace(v.samples, i, j, samples)
	if n := len(v.ranges); n > maxRuns {
		v.ranges[n-2].to = v.ranges[n-1].to
		v.samples[n-2] += v.samples[n-1]
		v.clip(n - 1)
	}
}

// clip keeps the first n.
func (v *lates) clip(n int) { v.ranges, v.samples = v.ranges[:n], v.samples[:n] }

// miss counts samples that came when their place was gone, from a position on as the recording has it.
//
//earshot:hot
func (l *lane) miss(from, samples int64) {
	l.late += samples
	l.lates.add(stretch{from, from + samples}, samples)
}

// maxMoves bounds the moves of sides that nobody has taken yet: each takes a side patience.
const maxMoves = 8

// move says that a side goes out later than it lies in the recording, by samples, from a position of that on. sides are its own.
type move struct {
	from, by int64
	sides    uint8
}

// tellMove notes that a side goes on where the lane is, instead of from a position on.
func (l *lane) tellMove(s *source, from int64) {
	from -= s.behind
	s.behind = l.base - from
	if len(l.moves) < maxMoves {
		l.moves = append(l.moves, move{from, s.behind, s.sides})
	}
}

// text says it to people.
func (m move) text(channels int) string {
	who := "a party"
	if channels == 2 && m.sides != both {
		who = map[uint8]string{left: "the customer", right: "the agent"}[m.sides]
	}
	return fmt.Sprintf("what %s says from %d on comes %d samples later than in the recording", who, m.from, m.by)
}

// lateness is what a consumer was given something else for, because it came too late. The shard adds, the hub takes.
type lateness struct {
	mu    sync.Mutex
	was   lates
	moves []move // at most maxMoves
}

// add takes over what a lane has missed.
func (t *lateness) add(l *lane) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, s := range l.lates.ranges {
		t.was.add(s, l.lates.samples[i])
	}
	l.lates.clip(0)
	t.moves = append(t.moves, l.moves...)
	t.moves = t.moves[max(0, len(t.moves)-maxMoves):]
	l.moves = l.moves[:0]
}

// take gives what was late since it was last asked: where, and how many samples; and which sides were moved.
func (t *lateness) take() (ranges []stretch, samples int64, moves []move) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range t.was.samples {
		samples += n
	}
	ranges, moves = t.was.ranges, t.moves
	t.was, t.moves = lates{}, nil
	return ranges, samples, moves
}

// runs is how many there are to take.
func (t *lateness) runs() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.was.ranges)
}

// tellLate puts into the call's record where the recording has what the consumer has not, as it came too late for it, and which sides the consumer has elsewhere for that.
func (p *outlook) tellLate() bool {
	ranges, samples, moves := p.late.take()
	if len(ranges) > 0 {
		p.tellDropped(ranges, samples, tooLate)
	}
	for _, m := range moves {
		p.eventAt(call.EventStreamDropped, m.from, map[string]any{
			"consumer": p.consumer.Name, "samples": int64(0), "from_samples": m.from, "reason": tooLate, "text": m.text(p.channels),
		})
	}
	return len(ranges)+len(moves) > 0
}
