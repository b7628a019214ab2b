package ringsim

import (
	_ "embed" // the demonstration's speech

	"github.com/earshot/earshot/internal/ringsim/trunk"
)

//go:embed speech/customer.ulaw
var customerSpeech []byte

//go:embed speech/agent.ulaw
var agentSpeech []byte

// Speech gives the two sides of a conversation of real human speech, which begins again when it is over. Where the
// recordings come from stands in speech/README.md.
func Speech() (customer, agent trunk.Source) {
	return trunk.SpeechSource(customerSpeech, true), trunk.SpeechSource(agentSpeech, true)
}

// negativeZero is the µ-law code that decodes to 0 as 0xFF does: a decoder and an encoder don't give it back.
const negativeZero = 0x7F

// Numbered is a source for tests: its octet at n is a known function of the party's number and of n, any 16 octets in a
// row are found once only in practice, and µ-law's negative zero never occurs, so that each octet survives decoding and
// encoding.
type Numbered uint64

// Octet is one octet of a word that SplitMix64 makes of the party's number and n/8.
func (p Numbered) Octet(_ trunk.Law, n int64) byte {
	x := (uint64(n>>3) + uint64(p)<<40) * 0x9E3779B97F4A7C15
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	x ^= x >> 31
	o := byte(x >> (8 * uint(n&7)))
	if o == negativeZero {
		return 0x7E
	}
	return o
}

// Mix is the sum of sources, sample by sample, cut at full scale: what a session-level supervision hears. It is itself a
// known function of them and of n.
type Mix []trunk.Source

// Octet decodes, adds, encodes.
func (m Mix) Octet(law trunk.Law, n int64) byte {
	sum := 0
	for _, s := range m {
		sum += decode(law, s.Octet(law, n))
	}
	return encode(law, max(-32768, min(32767, sum)))
}

// decode gives the linear value of a G.711 octet, in 16 bits.
func decode(law trunk.Law, o byte) int {
	if law == trunk.PCMA {
		o ^= 0x55
		v := int(o&0x0F)<<4 + 8
		if seg := o >> 4 & 7; seg > 0 {
			v = (v + 0x100) << (seg - 1)
		}
		if o&0x80 == 0 {
			return -v
		}
		return v
	}
	o = ^o
	v := (int(o&0x0F)<<3+0x84)<<(o>>4&7) - 0x84
	if o&0x80 != 0 {
		return -v
	}
	return v
}

// encode gives the octet whose interval holds v (ITU-T G.711 tables 1 and 2).
func encode(law trunk.Law, v int) byte {
	if law == trunk.PCMA {
		mask := byte(0xD5)
		if v < 0 {
			mask, v = 0x55, -v-1
		}
		v >>= 4
		seg := byte(0)
		for v>>seg > 31 {
			seg++
		}
		if v < 16 {
			return byte(v) ^ mask
		}
		return ((seg+1)<<4 | byte(v>>seg)&0x0F) ^ mask
	}
	mask := byte(0xFF)
	if v < 0 {
		mask, v = 0x7F, -v
	}
	v = min(v, 32635) + 0x84
	seg := byte(0)
	for v>>(seg+8) > 0 {
		seg++
	}
	o := (seg<<4 | byte(v>>(seg+3))&0x0F) ^ mask
	if o == negativeZero {
		return 0xFF
	}
	return o
}
