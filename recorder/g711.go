package recorder

import (
	"encoding/binary"

	"github.com/zaf/g711"
)

// What stands for silence: zero in mu-law (ITU-T G.711 table 2a: +0 is 0xFF); in A-law, which has no zero, the smallest positive value
// (table 1a, even bits inverted).
const (
	silenceUlaw = 0xFF
	silenceAlaw = 0xD5
)

// quiet is the octet that silence is made of in such a file.
func (l wavLayout) quiet() byte {
	switch l.tag {
	case tagMulaw:
		return silenceUlaw
	case tagAlaw:
		return silenceAlaw
	}
	return 0
}

// linear tables, filled once: a table look-up a sample instead of a call.
var (
	ulawLinear = linearTable(g711.DecodeUlawFrame)
	alawLinear = linearTable(g711.DecodeAlawFrame)
	alawToUlaw = octetTable(g711.Alaw2UlawFrame)
	ulawToAlaw = octetTable(g711.Ulaw2AlawFrame)
)

func linearTable(decode func(uint8) int16) (t [256]int16) {
	for i := range t {
		t[i] = decode(uint8(i))
	}
	return t
}

func octetTable(convert func(uint8) uint8) (t [256]uint8) {
	for i := range t {
		t[i] = convert(uint8(i))
	}
	return t
}

// payload is audio as it came from a frame: octets of a law, or samples of two bytes, little endian.
type payload struct {
	octets bool
	alaw   bool
	data   []byte
}

// part gives n samples from i on.
func (p payload) part(i, n int64) payload {
	if !p.octets {
		i, n = 2*i, 2*n
	}
	p.data = p.data[i : i+n]
	return p
}

// toPCM writes the samples as 16 bit little endian to dst, one every stride bytes.
func (p payload) toPCM(dst []byte, stride int) {
	if !p.octets {
		for i, at := 0, 0; i+1 < len(p.data); i, at = i+2, at+stride {
			dst[at], dst[at+1] = p.data[i], p.data[i+1]
		}
		return
	}
	table := &ulawLinear
	if p.alaw {
		table = &alawLinear
	}
	data := p.data
	if stride == 4 { // stereo, the usual case: no bounds are checked within
		for len(data) >= 4 && len(dst) >= 16 {
			d, o := dst[:16], data[:4]
			binary.LittleEndian.PutUint16(d[0:], uint16(table[o[0]]))
			binary.LittleEndian.PutUint16(d[4:], uint16(table[o[1]]))
			binary.LittleEndian.PutUint16(d[8:], uint16(table[o[2]]))
			binary.LittleEndian.PutUint16(d[12:], uint16(table[o[3]]))
			data, dst = data[4:], dst[16:]
		}
	}
	at := 0
	for _, o := range data {
		binary.LittleEndian.PutUint16(dst[at:], uint16(table[o]))
		at += stride
	}
}

// toLaw writes the samples as octets of a law to dst, one every stride bytes; octets of that law stay bit for bit.
func (p payload) toLaw(alaw bool, dst []byte, stride int) {
	at := 0
	if !p.octets {
		encode := g711.EncodeUlawFrame
		if alaw {
			encode = g711.EncodeAlawFrame
		}
		for i := 0; i+1 < len(p.data); i += 2 {
			dst[at] = encode(int16(uint16(p.data[i]) | uint16(p.data[i+1])<<8))
			at += stride
		}
		return
	}
	if p.alaw == alaw {
		for _, o := range p.data {
			dst[at] = o
			at += stride
		}
		return
	}
	table := &alawToUlaw
	if alaw {
		table = &ulawToAlaw
	}
	for _, o := range p.data {
		dst[at] = table[o]
		at += stride
	}
}

// toSamples decodes the payload.
func (p payload) toSamples(dst []int16) {
	table := &ulawLinear
	if p.alaw {
		table = &alawLinear
	}
	for i := range dst {
		if p.octets {
			dst[i] = table[p.data[i]]
		} else {
			dst[i] = int16(uint16(p.data[2*i]) | uint16(p.data[2*i+1])<<8)
		}
	}
}
