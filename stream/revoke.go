package stream

import "slices"

// maxRevoked bounds the ranges that one batch takes back; of more, the last two become one.
const maxRevoked = 32

// stretch is a range of call time, in samples.
type stretch struct{ from, to int64 }

// revoked collects what a batch takes back of what has left the lane.
//
// Invariant: ranges are in order and don't touch.
type revoked struct{ ranges []stretch }

// add joins a range to those it touches.
func (v *revoked) add(s stretch) {
	v.ranges = joined(v.ranges, s, maxRevoked)
}

// joined joins a range to those it touches, of some that are in order and don't touch; of more than most, the last two become one.
func joined(ranges []stretch, s stretch, most int) []stretch {
	i := 0
	for i < len(ranges) && ranges[i].to < s.from {
		i++
	}
	j := i
	for ; j < len(ranges) && ranges[j].from <= s.to; j++ {
		s = stretch{min(s.from, ranges[j].from), max(s.to, ranges[j].to)}
	}
	ranges = slices.Replace(ranges, i, j, s)
	if n := len(ranges); n > most {
		ranges[n-2].to = ranges[n-1].to
		ranges = ranges[:n-1]
	}
	return ranges
}

// mask silences what a source gave before and the lane still holds, and has taken back what has gone on. Samples before the source was
// moved lie where it was.
func (l *lane) mask(s *source, pos, samples int64) {
	end := pos + samples
	if pos < s.moved {
		l.hush(s, s.was+pos, s.was+min(end, s.moved))
	}
	if end > s.moved {
		l.hush(s, s.offset+max(pos, s.moved), s.offset+end)
	}
}

func (l *lane) hush(s *source, from, to int64) {
	if from < l.base {
		l.revoked.add(stretch{from, min(to, l.base)})
	}
	from, to = max(from-l.base, 0), min(to-l.base, int64(len(s.buf)))
	if from < to {
		clear(s.buf[from:to])
	}
}

// takeBack silences what the output still holds of what a batch revoked, and tells of what the reader has.
func (l *lane) takeBack() {
	for _, r := range l.revoked.ranges {
		if had := l.out.withdraw(r.from, r.to); had.from < had.to && l.cfg.revoked != nil {
			l.cfg.revoked(had.from, had.to-had.from)
		}
	}
	l.revoked.ranges = l.revoked.ranges[:0]
}

// move gives a source another place, from its next sample on.
func (s *source) move(offset int64) {
	if s.seen && s.offset != offset {
		s.was, s.moved = s.offset, s.end-s.offset
	}
	s.offset, s.behind = offset, 0
}

// withdraw silences a range as far as nobody has read it, and gives what of it was read.
func (r *ring) withdraw(from, to int64) (had stretch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for at := max(from, r.pos); at < min(to, r.pos+int64(r.n)); at++ {
		i := (r.head + int(at-r.pos)) % r.groups() * r.channels
		clear(r.buf[i : i+r.channels])
	}
	return stretch{max(from, r.first), min(to, r.given)}
}
