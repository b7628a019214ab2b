package recorder

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// WAV format tags (RFC 2361 appendix A).
const (
	tagPCM   = 1
	tagAlaw  = 6
	tagMulaw = 7
)

const (
	// junkBytes is room for a ds64 chunk (EBU Tech 3306), into which the JUNK turns once a file passes 4 GiB: RIFF becomes RF64.
	junkBytes = 28
	// junkAt is where it stands in the files that we write.
	junkAt = 12
	// maxChunks bounds the walk through a file that we didn't write.
	maxChunks = 64
	// maxRIFF is the largest size that a RIFF header can name, less a pad byte.
	maxRIFF = 1<<32 - 2
	// maxRF64 bounds a file: 49 days of stereo PCM.
	maxRF64 = 1 << 37
	// elsewhere is a size that the ds64 chunk has.
	elsewhere = 1<<32 - 1
)

// wavLayout is where things are in a WAV file.
type wavLayout struct {
	tag      int
	channels int
	bits     int // per sample
	// dataAt is where samples begin, and with it the header's length; factAt is where the fact chunk's number stands, 0: none.
	dataAt, factAt int64
	// dataBytes is what the header says.
	dataBytes int64
	// large: there is room for a ds64 chunk, or one is there.
	large bool
}

// block is a sample of every channel, in bytes.
func (l wavLayout) block() int64 { return int64(l.channels) * int64(l.bits) / 8 }

// maxSamples is what the header can name, per channel.
func (l wavLayout) maxSamples() int64 {
	if l.large {
		return (maxRF64 - l.dataAt) / l.block()
	}
	return (maxRIFF - l.dataAt) / l.block()
}

// newLayout is the layout of the files that we write.
func newLayout(format string, channels int) wavLayout {
	l := wavLayout{tag: tagPCM, channels: channels, bits: 16, large: true, dataAt: junkAt + 8 + junkBytes + 8 + 16 + 8}
	if format == FormatMulaw || format == FormatAlaw {
		l.tag, l.bits = tagMulaw, 8
		if format == FormatAlaw {
			l.tag = tagAlaw
		}
		l.dataAt += 2 + 8 + 4 // cbSize, and a fact chunk, which all but PCM must have
		l.factAt = l.dataAt - 8 - 4
	}
	return l
}

// header gives the octets before the first sample, for a file of that many samples per channel; padded tells that a pad
// byte follows an odd length.
func (l wavLayout) header(samples int64, padded bool) []byte {
	le := binary.LittleEndian
	data := samples * l.block()
	riff := l.dataAt - 8 + data
	if padded {
		riff += data & 1 // RIFF: chunks are of even length
	}
	b := make([]byte, 0, l.dataAt)
	b = append(b, l.top(riff, data, samples)...)
	big := riff > maxRIFF
	b = append(b, "fmt "...)
	extra := uint32(0)
	if l.factAt != 0 {
		extra = 2
	}
	b = le.AppendUint32(b, 16+extra)
	b = le.AppendUint16(b, uint16(l.tag))
	b = le.AppendUint16(b, uint16(l.channels))
	b = le.AppendUint32(b, rate)
	b = le.AppendUint32(b, uint32(rate*l.block()))
	b = le.AppendUint16(b, uint16(l.block()))
	b = le.AppendUint16(b, uint16(l.bits))
	if l.factAt != 0 {
		b = le.AppendUint16(b, 0)
		b = append(b, "fact"...)
		b = le.AppendUint32(b, 4)
		b = le.AppendUint32(b, size32(samples, big))
	}
	b = append(b, "data"...)
	return le.AppendUint32(b, size32(data, big))
}

// size32 is a size as it stands in a header of 32 bits.
func size32(n int64, big bool) uint32 {
	if big {
		return elsewhere
	}
	return uint32(n)
}

// top gives a header up to the end of the JUNK or ds64 chunk: RIFF while 32 bits can name the sizes, RF64 from then on.
func (l wavLayout) top(riff, data, samples int64) []byte {
	le := binary.LittleEndian
	b := make([]byte, 0, junkAt+8+junkBytes)
	if riff <= maxRIFF {
		b = append(b, "RIFF"...)
		b = le.AppendUint32(b, uint32(riff))
		b = append(b, "WAVEJUNK"...)
		b = le.AppendUint32(b, junkBytes)
		return append(b, make([]byte, junkBytes)...)
	}
	b = append(b, "RF64"...)
	b = le.AppendUint32(b, elsewhere)
	b = append(b, "WAVEds64"...)
	b = le.AppendUint32(b, junkBytes)
	b = le.AppendUint64(b, uint64(riff))
	b = le.AppendUint64(b, uint64(data))
	b = le.AppendUint64(b, uint64(samples))
	return le.AppendUint32(b, 0) // no table
}

var errNotWAV = errors.New("not a WAV file that a recording could be")

// parseWAV finds its way through the header of a file of size bytes. The data chunk's size is taken as it stands.
func parseWAV(r io.ReaderAt, size int64) (wavLayout, error) {
	var l wavLayout
	var b [16]byte
	le := binary.LittleEndian
	if size < 12 || readFull(r, b[:12], 0) != nil || string(b[:4]) != "RIFF" && string(b[:4]) != "RF64" || string(b[8:12]) != "WAVE" {
		return l, fmt.Errorf("RIFF header: %w", errNotWAV)
	}
	at, big := int64(12), string(b[:4]) == "RF64"
	long := int64(-1) // the data chunk's size, where ds64 has it
	for range maxChunks {
		if at+8 > size || readFull(r, b[:8], at) != nil {
			return l, fmt.Errorf("chunk at %d of %d: %w", at, size, errNotWAV)
		}
		id, n := string(b[:4]), int64(le.Uint32(b[4:]))
		at += 8
		switch id {
		case "JUNK", "ds64":
			l.large = l.large || at == junkAt+8 && n == junkBytes
			if id == "ds64" && n >= 16 && at+16 <= size && readFull(r, b[:16], at) == nil {
				long = int64(le.Uint64(b[8:]) &^ (1 << 63))
			}
		case "fmt ":
			if n < 16 || at+16 > size || readFull(r, b[:16], at) != nil {
				return l, fmt.Errorf("fmt chunk of %d: %w", n, errNotWAV)
			}
			l.tag, l.channels, l.bits = int(le.Uint16(b[:])), int(le.Uint16(b[2:])), int(le.Uint16(b[14:]))
		case "fact":
			l.factAt = at
		case "data":
			l.dataAt, l.dataBytes = at, n
			if big && n == elsewhere && long >= 0 {
				l.dataBytes = long
			}
			return l, l.check()
		}
		at += n + n&1
	}
	return l, fmt.Errorf("more than %d chunks: %w", maxChunks, errNotWAV)
}

func (l wavLayout) check() error {
	pcm := l.tag == tagPCM && l.bits == 16
	law := (l.tag == tagMulaw || l.tag == tagAlaw) && l.bits == 8
	if !pcm && !law || l.channels < 1 || l.channels > 2 {
		return fmt.Errorf("fmt chunk: tag %d, %d channels, %d bits: %w", l.tag, l.channels, l.bits, errNotWAV)
	}
	return nil
}

func readFull(r io.ReaderAt, b []byte, at int64) error {
	n, err := r.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	return err
}
