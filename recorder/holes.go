package recorder

import (
	"bytes"
	"io"
)

const (
	// sectorBytes is the least that a disk writes at a time.
	sectorBytes = 512
	// leastHole is the shortest run of zeros at a sector's end that is taken for none of ours: a voice has no millisecond of the most
	// negative sample there is.
	leastHole = 8
)

// hushHoles makes silence of the zeros that a power loss left in a file of a law, from an index of its octets on up to another: a file
// system reads so what never came to the disk. In PCM that is silence as it is; as octets of mu-law and A-law it is the loudest noise
// there is.
func hushHoles(f wavFile, l wavLayout, from, to int64) error {
	if l.tag == tagPCM {
		return nil
	}
	quiet := l.quiet()
	buf := make([]byte, windowSamples)
	for at := from; at < to; {
		b := buf[:min(to-at, windowSamples-at%sectorBytes)] // so that each piece ends where a sector does
		if err := readFull(f, b, at); err != nil {
			return err
		}
		if !hushSectors(b, at, quiet) {
			at += int64(len(b))
			continue
		}
		if _, err := f.WriteAt(b, at); err != nil {
			return err
		}
		at += int64(len(b))
	}
	return nil
}

// hushSectors does it in octets that begin at a place in the file, and tells whether there was anything.
func hushSectors(b []byte, at int64, quiet byte) (found bool) {
	for len(b) > 0 {
		n := min(int64(len(b)), sectorBytes-at%sectorBytes)
		sector := b[:n]
		said := len(bytes.TrimRight(sector, "\x00"))
		if hole := sector[said:]; len(hole) >= leastHole || said == 0 {
			found = true
			for i := range hole {
				hole[i] = quiet
			}
		}
		b, at = b[n:], at+n
	}
	return found
}

// fillWith writes an octet from one place of a file up to another.
func fillWith(f io.WriterAt, octet byte, from, to int64) error {
	b := bytes.Repeat([]byte{octet}, int(min(max(to-from, 0), windowSamples)))
	for at := from; at < to; at += windowSamples {
		if _, err := f.WriteAt(b[:min(to-at, windowSamples)], at); err != nil {
			return err
		}
	}
	return nil
}
