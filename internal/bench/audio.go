package bench

import "math/rand/v2"

const (
	packetSamples = 160 // 20 ms
	// patternOctets is the period of all tracks' audio: 131 s, and each track begins elsewhere in it.
	patternOctets = 1 << 20
	// phaseStep is odd, so that no two of 2^20 tracks begin at the same place.
	phaseStep = 40503
)

// pattern is random audio that all tracks take theirs from: the octet of a track at a position is a known function of both, and a
// run that is swapped or shifted matches nowhere.
type pattern []byte

// newPattern makes the same audio in every process; what a packet may need stands once more behind the end.
func newPattern() pattern {
	p := make(pattern, patternOctets+slack)
	r := rand.New(rand.NewPCG(711, 3550))
	for i := range p[:patternOctets] {
		p[i] = byte(r.Uint32())
	}
	copy(p[patternOctets:], p)
	return p
}

// slack is the longest run that at gives.
const slack = 8192

// at gives n octets of a track from a position on; n is at most slack.
func (p pattern) at(track int, pos int64, n int) []byte {
	from := (int64(track)*phaseStep + pos) & (patternOctets - 1)
	return p[from : from+int64(n)]
}
