package ringsim

import (
	"math"

	"github.com/earshot/earshot/internal/ringsim/trunk"
)

// leaking is a party's stream that carries the other party as well, so many times 1/1024 as loud: whether RingCentral's party
// streams are clean is not known. It is a known function of both and of n.
type leaking struct {
	own, other trunk.Source
	gain       int
}

// Octet implements trunk.Source.
func (l leaking) Octet(law trunk.Law, n int64) byte {
	v := decode(law, l.own.Octet(law, n)) + decode(law, l.other.Octet(law, n))*l.gain/1024
	return encode(law, max(-32768, min(32767, v)))
}

// leak gives what a stream of own carries where the other party leaks into it, so many dB below its own level; 0 or less:
// not at all.
func leak(own, other trunk.Source, decibels float64) trunk.Source {
	if decibels <= 0 {
		return own
	}
	return leaking{own, other, int(math.Round(1024 * math.Pow(10, -decibels/20)))}
}
