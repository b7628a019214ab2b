package media

const (
	// seqWindow is how far back sequence numbers are remembered: 10 s at 10 ms.
	seqWindow = 1024
	// maxDropout is the largest step forward that is a loss and not a restart (RFC 3550 appendix A.1).
	maxDropout = 3000
)

// sequence unwraps the sequence numbers of one source and remembers which have come, and with which timestamps.
//
// Invariant: base <= next <= high+1; all from base to below next is decided: given out, or given up.
type sequence struct {
	ssrc       uint32
	high, next int64
	base       int64                   // the lowest that came before Pos 0 was fixed: one below it is not missing
	baseTS     uint32                  // where its numbering begins: what is below base is from before
	received   int64                   // packets, copies and late ones too (RFC 3550 appendix A.3)
	bits       [seqWindow / 64]numbers // of high-seqWindow+1 to high
	ts         *[seqWindow]uint32      // of those in audio
}

// numbers are 64 extended sequence numbers: which have come, and which of these were audio packets.
type numbers struct{ seen, audio uint64 }

// at gives a number's place.
//
//earshot:hot
func (s *sequence) at(ext int64) (n *numbers, bit uint64) {
	return &s.bits[ext>>6&(seqWindow/64-1)], 1 << (ext & 63)
}

// restart begins with ext as the next number, at a timestamp.
func (s *sequence) restart(ssrc uint32, ext int64, ts uint32) {
	*s = sequence{ssrc: ssrc, high: ext - 1, next: ext, base: ext, baseTS: ts, ts: s.ts}
}

// copyTo makes another one of it, which has timestamps of its own.
func (s *sequence) copyTo(o *sequence) {
	ts := o.ts
	if ts == nil {
		ts = new([seqWindow]uint32)
	}
	*ts, *o = *s.ts, *s
	o.ts = ts
}

// unwrap extends a sequence number to the value nearest to the highest.
//
//earshot:hot
func (s *sequence) unwrap(seq uint16) int64 { return s.high + int64(int16(seq-uint16(s.high))) }

// mark remembers that a number came; false if it had come before. One below the window counts as new.
//
//earshot:hot
func (s *sequence) mark(ext int64, k *packet) bool {
	if ext > s.high {
		if ext-s.high >= seqWindow {
			clear(s.bits[:])
		} else {
			for e := s.high + 1; e <= ext; e++ { // at most seqWindow steps, and one in the usual case
				n, bit := s.at(e)
				n.seen &^= bit
			}
		}
		s.high = ext
	} else if ext <= s.high-seqWindow {
		return true
	}
	n, bit := s.at(ext)
	if n.seen&bit != 0 {
		return false
	}
	n.seen |= bit
	n.audio &^= bit
	if k.audible() {
		n.audio |= bit
		s.ts[ext&(seqWindow-1)] = k.ts
	}
	return true
}

// came tells whether a number within the window has come.
//
//earshot:hot
func (s *sequence) came(ext int64) bool {
	n, bit := s.at(ext)
	return ext <= s.high && ext > s.high-seqWindow && n.seen&bit != 0
}

// stamp is the timestamp of the audio packet that came under a number.
//
//earshot:hot
func (s *sequence) stamp(ext int64) (ts uint32, ok bool) {
	n, bit := s.at(ext)
	return s.ts[ext&(seqWindow-1)], s.came(ext) && n.audio&bit != 0
}

// twin tells whether an audio packet came before under the same number and timestamp.
//
//earshot:hot
func (s *sequence) twin(k *packet, ext int64) bool {
	ts, ok := s.stamp(ext)
	return ok && k.ssrc == s.ssrc && ts == k.ts
}

// between tells whether a timestamp may stand at a missing number: after that of the number before, before that of the
// number after, and before the numbering's first if the number is.
//
//earshot:hot
func (s *sequence) between(ts uint32, ext int64) bool {
	if ext < s.base && int32(ts-s.baseTS) >= 0 {
		return false
	}
	before, ok := s.stamp(ext - 1)
	if ok && int32(ts-before) <= 0 {
		return false
	}
	after, ok := s.stamp(ext + 1)
	return !ok || int32(after-ts) > 0
}
