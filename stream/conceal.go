package stream

import "github.com/earshot/earshot/media"

// conceal fills a source's lost run from one position to another, so far as its place is still to come. What is not filled is
// silence.
//
//earshot:hot
func (l *lane) conceal(s *source, from, end int64) {
	s.hear()
	s.filling = true
	for from < end {
		pcm := l.spare[:min(end-from, int64(len(l.spare)))]
		s.fill.Conceal(pcm)
		if skip := max(s.end, l.base) - from; skip < int64(len(pcm)) && !s.fill.Silent() {
			skip = max(0, skip)
			l.add(s, from+skip, pcm[skip:])
			s.end = max(s.end, from+int64(len(pcm)))
		}
		from += int64(len(pcm))
	}
}

// meetLost lets the end of a lost run that the lane still holds go over into what came after it.
//
//earshot:hot
func (l *lane) meetLost(s *source, from int64, pcm []int16) {
	if over := from - l.base - maxSkewSamples; over > 0 { // as add would
		l.emit(l.base + over)
	}
	if n := min(from-l.base, media.ConcealTail); n > 0 && from == s.end && s.fill.Conceals() {
		if quiet := from - l.base - int64(len(s.buf)); quiet > 0 {
			s.buf = append(s.buf, make([]int16, quiet)...)
		}
		s.fill.Meet(s.buf[int64(len(s.buf))-n:], pcm)
	}
	s.fill.Hear(pcm)
	s.filling = false
}

// hear lets fill hear what it has not heard of.
//
//earshot:hot
func (s *source) hear() {
	if s.unheard > 0 {
		s.fill.Hear(s.buf[len(s.buf)-s.unheard:])
		s.unheard = 0
	}
}

// forget lets fill forget all that was heard.
func (s *source) forget() {
	s.unheard, s.filling = 0, false
	s.fill.Forget()
}
