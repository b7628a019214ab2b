package trunk

// Source is what a party says: an octet in the given law for each sample index. It must be a pure function of its
// arguments, and safe for concurrent use.
type Source interface {
	Octet(law Law, n int64) byte
}

// Pattern is a Source whose octet is a known function of the party's number and of the index: it tells each index of a
// stretch of 2^32 from its neighbours, so that a lost, moved or swapped sample is seen.
type Pattern uint32

// Octet is a hash of party and index.
func (p Pattern) Octet(_ Law, n int64) byte {
	// The finalizer of MurmurHash3 spreads each bit of the index over the octet.
	x := uint64(n)*0x9E3779B97F4A7C15 + uint64(p)*0xC2B2AE3D27D4EB4F
	x ^= x >> 33
	x *= 0xFF51AFD7ED558CCD
	x ^= x >> 33
	return byte(x >> 24)
}

// Silence is a Source that says nothing.
type Silence struct{}

// Octet is the law's silence.
func (Silence) Octet(law Law, _ int64) byte { return law.Silence() }

// SpeechSource is a Source of recorded u-law octets, which it keeps; after their end, and before index 0, it is silent, or
// begins again where loop is set. A-law is made of them by the decoded value.
func SpeechSource(ulaw []byte, loop bool) Source { return &speech{ulaw: ulaw, loop: loop} }

type speech struct {
	ulaw []byte
	loop bool
}

func (s *speech) Octet(law Law, n int64) byte {
	size := int64(len(s.ulaw))
	if s.loop && size > 0 {
		n = ((n % size) + size) % size
	}
	if n < 0 || n >= size {
		return law.Silence()
	}
	if law == PCMA {
		return ulawToAlaw[s.ulaw[n]]
	}
	return s.ulaw[n]
}
