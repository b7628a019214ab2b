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
	base       int64   // the lowest that came before Pos 0 was fixed: one below it is not missing
	baseTS     uint32  // where its numbering begins: what is below base is from before
	received   int64   // packets, copies and late ones too (RFC 3550 appendix A.3)
	seen       numbers // of high-seqWindow+1 to high
	audio      numbers // of these, audio packets: ts is theirs
	ts         [seqWindow]uint32
}

// numbers is a set of extended sequence numbers, modulo seqWindow.
type numbers [seqWindow / 64]uint64

func (n *numbers) has(ext int64) bool { return n[ext>>6&(seqWindow/64-1)]&(1<<(ext&63)) != 0 }
func (n *numbers) add(ext int64)      { n[ext>>6&(seqWindow/64-1)] |= 1 << (ext & 63) }
func (n *numbers) remove(ext int64)   { n[ext>>6&(seqWindow/64-1)] &^= 1 << (ext & 63) }

// restart begins with ext as the next number, at a timestamp.
func (s *sequence) restart(ssrc uint32, ext int64, ts uint32) {
	*s = sequence{ssrc: ssrc, high: ext - 1, next: ext, base: ext, baseTS: ts}
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
			clear(s.seen[:])
		} else {
			for e := s.high + 1; e <= ext; e++ { // at most seqWindow steps, and one in the usual case
				s.seen.remove(e)
			}
		}
		s.high = ext
	} else if ext <= s.high-seqWindow {
		return true
	}
	if s.seen.has(ext) {
		return false
	}
	s.seen.add(ext)
	s.audio.remove(ext)
	if k.audible() {
		s.audio.add(ext)
		s.ts[ext&(seqWindow-1)] = k.ts
	}
	return true
}

// came tells whether a number within the window has come.
//
//earshot:hot
func (s *sequence) came(ext int64) bool {
	return ext <= s.high && ext > s.high-seqWindow && s.seen.has(ext)
}

// stamp is the timestamp of the audio packet that came under a number.
//
//earshot:hot
func (s *sequence) stamp(ext int64) (ts uint32, ok bool) {
	return s.ts[ext&(seqWindow-1)], s.came(ext) && s.audio.has(ext)
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
