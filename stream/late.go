package stream

import "sync"

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
		l.lates.add(stretch{max(0, from), to})
	}
}

// miss counts samples that came when their place was gone.
//
//earshot:hot
func (l *lane) miss(from, samples int64) {
	l.late += samples
	l.lates.add(stretch{from, from + samples})
}

// lateness is what a consumer was given something else for, because it came too late. The shard adds, the hub takes.
type lateness struct {
	mu  sync.Mutex
	was revoked
}

// add takes over what a lane has missed.
func (t *lateness) add(l *lane) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range l.lates.ranges {
		t.was.add(s)
	}
	l.lates.ranges = l.lates.ranges[:0]
}

func (t *lateness) take() (ranges []stretch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	ranges, t.was.ranges = t.was.ranges, nil
	return ranges
}

// tellLate puts into the call's record where the recording has what the consumer has not: it came too late for it.
func (p *outlook) tellLate() bool {
	ranges := p.late.take()
	if len(ranges) == 0 {
		return false
	}
	samples := int64(0)
	for _, r := range ranges {
		samples += r.to - r.from
	}
	p.tellDropped(ranges, samples, tooLate)
	return true
}
