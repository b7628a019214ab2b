package media

const (
	// seqWindow is how far back sequence numbers are remembered: 10 s at 10 ms.
	seqWindow = 1024
	// maxDropout is the largest step forward that is a loss and not a restart (RFC 3550 appendix A.1).
	maxDropout = 3000
)

// sequence unwraps the sequence numbers of one source and remembers which have come.
//
// Invariant: base <= next <= high+1; all from base to below next is decided: given out, or given up.
type sequence struct {
	ssrc       uint32
	high, next int64
	base       int64                  // the first: one below it is not missing
	seen       [seqWindow / 64]uint64 // of high-seqWindow+1 to high, by ext modulo seqWindow
}

// restart begins with ext as the next number.
func (s *sequence) restart(ssrc uint32, ext int64) {
	*s = sequence{ssrc: ssrc, high: ext - 1, next: ext, base: ext}
}

// unwrap extends a sequence number to the value nearest to the highest.
//
//earshot:hot
func (s *sequence) unwrap(seq uint16) int64 { return s.high + int64(int16(seq-uint16(s.high))) }

// mark remembers that a number came; false if it had come before. One below the window counts as new.
//
//earshot:hot
func (s *sequence) mark(ext int64) bool {
	if ext > s.high {
		if ext-s.high >= seqWindow {
			clear(s.seen[:])
		} else {
			for e := s.high + 1; e <= ext; e++ { // at most seqWindow steps, and one in the usual case
				s.seen[e>>6&(seqWindow/64-1)] &^= 1 << (e & 63)
			}
		}
		s.high = ext
	} else if ext <= s.high-seqWindow {
		return true
	}
	w, bit := &s.seen[ext>>6&(seqWindow/64-1)], uint64(1)<<(ext&63)
	first := *w&bit == 0
	*w |= bit
	return first
}

// came tells whether a number within the window has come.
//
//earshot:hot
func (s *sequence) came(ext int64) bool {
	return ext <= s.high && ext > s.high-seqWindow && s.seen[ext>>6&(seqWindow/64-1)]&(1<<(ext&63)) != 0
}
