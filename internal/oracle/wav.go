package oracle

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
)

// ReadWAV reads 16-bit PCM by its chunks, one slice per channel. It fails the test unless the header's sizes are those of
// the file.
func ReadWAV(t TB, path string) [][]int16 {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v", err)
	}
	pcm, rest, err := ParseWAV(b)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if rest != 0 {
		t.Errorf("%s: %d octets beyond what the header says", path, rest)
	}
	return pcm
}

// ParseWAV gives what the header promises, and how many octets lie beyond it: those of a file that was cut off while it
// grew. A header that promises more than there is, is an error.
func ParseWAV(b []byte) (pcm [][]int16, rest int, err error) {
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		return nil, 0, errors.New("no RIFF/WAVE header")
	}
	riff := int(binary.LittleEndian.Uint32(b[4:]))
	if riff+8 > len(b) {
		return nil, 0, fmt.Errorf("RIFF chunk says %d octets, file holds %d", riff, len(b)-8)
	}
	channels := 0
	for at := 12; at+8 <= len(b); {
		id, size := string(b[at:at+4]), int(binary.LittleEndian.Uint32(b[at+4:]))
		if at+8+size > len(b) {
			return nil, 0, fmt.Errorf("%s chunk says %d octets, file holds %d", id, size, len(b)-at-8)
		}
		body := b[at+8 : at+8+size]
		switch id {
		case "fmt ":
			tag, rate, bits := binary.LittleEndian.Uint16(body), binary.LittleEndian.Uint32(body[4:]), binary.LittleEndian.Uint16(body[14:])
			channels = int(binary.LittleEndian.Uint16(body[2:]))
			if tag != 1 || bits != 16 || rate != 8000 && rate != 16000 || channels < 1 || channels > 2 {
				return nil, 0, fmt.Errorf("format %d, %d bits at %d Hz, %d channels: want PCM, 16 at 8000 or 16000, 1 or 2", tag, bits, rate, channels)
			}
		case "data":
			if channels == 0 {
				return nil, 0, errors.New("data before fmt")
			}
			return split(body, channels), len(b) - at - 8 - size, nil
		}
		at += 8 + size + size%2
	}
	return nil, 0, errors.New("no data chunk")
}

// split takes interleaved samples apart.
func split(body []byte, channels int) [][]int16 {
	out := make([][]int16, channels)
	frames := len(body) / 2 / channels
	for c := range out {
		out[c] = make([]int16, frames)
		for i := range out[c] {
			out[c][i] = int16(binary.LittleEndian.Uint16(body[2*(i*channels+c):]))
		}
	}
	return out
}

// S16LE reads what a pipe brought: samples of one channel.
func S16LE(b []byte) []int16 { return split(b, 1)[0] }
