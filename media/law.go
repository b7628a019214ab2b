package media

import "github.com/zaf/g711"

// The tables are filled from zaf/g711, which agrees with ITU-T G.191 in all 256 codes of both laws; its own slice
// functions allocate per call.
var (
	fromPCMU = lawTable(g711.DecodeUlawFrame)
	fromPCMA = lawTable(g711.DecodeAlawFrame)
)

func lawTable(decode func(uint8) int16) (t [256]int16) {
	for i := range t {
		t[i] = decode(uint8(i))
	}
	return t
}

// decode turns octets into samples, one each.
//
//earshot:hot
func decode(law Law, pcm []int16, octets []byte) {
	table := &fromPCMU
	if law == LawPCMA {
		table = &fromPCMA
	}
	pcm = pcm[:len(octets)]
	for i, o := range octets {
		pcm[i] = table[o]
	}
}

// silenceOctet is the code of a sample of silence.
func silenceOctet(law Law) byte {
	if law == LawPCMA {
		return 0xD5
	}
	return 0xFF
}
