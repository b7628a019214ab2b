package peertest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"
)

// samplesPerPacket is 20 ms at 8000 Hz: one octet of G.711 a sample.
const samplesPerPacket = 160

// law is a G.711 law with its static payload type (RFC 3551 table 4).
type law struct {
	name   string
	number int
	decode func(octet byte) int16
}

var (
	ulaw = law{"PCMU", 0, decodeUlaw}
	alaw = law{"PCMA", 8, decodeAlaw}
)

// sequence gives octets of which any 16 in a row stand nowhere else: each place in a recording names itself.
func sequence(seed uint64, octets int) []byte {
	r := rand.New(rand.NewPCG(seed, 0x65617273))
	b := make([]byte, octets)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// decode gives the samples of octets.
func (l law) decode16(octets []byte) []int16 {
	s := make([]int16, len(octets))
	for i, o := range octets {
		s[i] = l.decode(o)
	}
	return s
}

// decodeUlaw is ITU-T G.711 table 2a, scaled to 16 bits.
func decodeUlaw(o byte) int16 {
	o = ^o
	t := (int16(o&0x0f)<<3 + 0x84) << (o & 0x70 >> 4)
	if o&0x80 != 0 {
		return 0x84 - t
	}
	return t - 0x84
}

// decodeAlaw is ITU-T G.711 table 1a, scaled to 16 bits.
func decodeAlaw(o byte) int16 {
	o ^= 0x55
	t := int16(o&0x0f)<<4 + 8
	if seg := o & 0x70 >> 4; seg > 0 {
		t = (t + 0x100) << (seg - 1)
	}
	if o&0x80 == 0 {
		return -t
	}
	return t
}

// rtpStart is where a packet's numbers begin: both wrap soon, as they may at any time in life.
type rtpStart struct {
	seq  uint16
	ts   uint32
	ssrc uint32
}

var wrapsSoon = rtpStart{seq: 65500, ts: 0xfffff000, ssrc: 0x45415253}

// after is where the stream goes on after octets and a pause of silent samples: no sequence number missing.
func (r rtpStart) after(octets, silent int) rtpStart {
	return rtpStart{r.seq + uint16(octets/samplesPerPacket), r.ts + uint32(octets+silent), r.ssrc}
}

// packets cuts octets into RTP packets (RFC 3550 section 5.1).
func packets(octets []byte, l law, r rtpStart) [][]byte {
	var out [][]byte
	for i := 0; i+samplesPerPacket <= len(octets); i += samplesPerPacket {
		b := make([]byte, 12, 12+samplesPerPacket)
		b[0], b[1] = 0x80, byte(l.number)
		if i == 0 {
			b[1] |= 0x80
		}
		binary.BigEndian.PutUint16(b[2:], r.seq+uint16(i/samplesPerPacket))
		binary.BigEndian.PutUint32(b[4:], r.ts+uint32(i))
		binary.BigEndian.PutUint32(b[8:], r.ssrc)
		out = append(out, append(b, octets[i:i+samplesPerPacket]...))
	}
	return out
}

// pcap writes packets as a capture that sipp plays, 20 ms apart.
func pcap(t *testing.T, path string, packets [][]byte) {
	t.Helper()
	var timed []arrival
	for i, p := range packets {
		timed = append(timed, arrival{time.Duration(i) * 20 * time.Millisecond, p})
	}
	pcapOf(t, path, timed)
}

// pcapOf writes packets as a capture that sipp plays: Ethernet. sipp puts its own addresses and ports in.
func pcapOf(t *testing.T, path string, packets []arrival) {
	t.Helper()
	var w bytes.Buffer
	le := binary.LittleEndian
	w.Write(le.AppendUint32(nil, 0xa1b2c3d4))
	w.Write([]byte{2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0, 0, 0})
	for _, p := range packets {
		frame := make([]byte, 14+20+8, 14+20+8+len(p.octets))
		frame[12] = 8 // IPv4
		ip := frame[14:]
		ip[0], ip[8], ip[9] = 0x45, 64, 17
		binary.BigEndian.PutUint16(ip[2:], uint16(28+len(p.octets)))
		copy(ip[12:], []byte{127, 0, 0, 1, 127, 0, 0, 1})
		binary.BigEndian.PutUint16(ip[20:], 40000)
		binary.BigEndian.PutUint16(ip[22:], 40002)
		binary.BigEndian.PutUint16(ip[24:], uint16(8+len(p.octets)))
		frame = append(frame, p.octets...)
		at := p.at + time.Second
		for _, v := range []uint32{uint32(at / time.Second), uint32(at % time.Second / time.Microsecond), uint32(len(frame)), uint32(len(frame))} {
			w.Write(le.AppendUint32(nil, v))
		}
		w.Write(frame)
	}
	if err := os.WriteFile(path, w.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// writeWAV writes 16-bit mono at 8000 Hz.
func writeWAV(t *testing.T, path string, samples []int16) {
	t.Helper()
	le := binary.LittleEndian
	n := uint32(2 * len(samples))
	b := le.AppendUint32([]byte("RIFF"), 36+n)
	b = le.AppendUint32(append(b, "WAVEfmt "...), 16)
	b = append(b, 1, 0, 1, 0)
	b = le.AppendUint32(le.AppendUint32(b, 8000), 16000)
	b = le.AppendUint32(append(b, 2, 0, 16, 0, 'd', 'a', 't', 'a'), n)
	for _, s := range samples {
		b = le.AppendUint16(b, uint16(s))
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// readWAV gives the channels of a 16-bit PCM file at 8000 Hz.
func readWAV(path string) ([][]int16, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		return nil, errors.New("not a WAV file")
	}
	le, channels := binary.LittleEndian, 0
	for b = b[12:]; len(b) >= 8; {
		id, n := string(b[:4]), int(le.Uint32(b[4:]))
		b = b[8:]
		if n > len(b) {
			return nil, fmt.Errorf("chunk %q: %d bytes, %d are left", id, n, len(b))
		}
		switch id {
		case "fmt ":
			if le.Uint16(b[14:]) != 16 || le.Uint32(b[4:]) != 8000 {
				return nil, fmt.Errorf("format %x: want 16 bits at 8000 Hz", b[:n])
			}
			channels = int(le.Uint16(b[2:]))
		case "data":
			if channels == 0 {
				return nil, errors.New("data before fmt")
			}
			out := make([][]int16, channels)
			for i := 0; i+1 < n; i += 2 {
				c := i / 2 % channels
				out[c] = append(out[c], int16(le.Uint16(b[i:])))
			}
			return out, nil
		}
		b = b[n+n&1:]
	}
	return nil, errors.New("no data chunk")
}

// run is a piece of a sequence found in a recording.
type run struct{ at, from, samples int } // got[at:at+samples] == want[from:from+samples]

// minRun samples in a row name their place.
const minRun = 16

// place finds want in got, piece by piece.
func place(want, got []int16) []run {
	index := map[[minRun]int16]int{}
	for i := 0; i+minRun <= len(want); i++ {
		index[[minRun]int16(want[i:])] = i
	}
	var runs []run
	for j := 0; j+minRun <= len(got); {
		i, ok := index[[minRun]int16(got[j:])]
		if !ok {
			j++
			continue
		}
		n := 0
		for i+n < len(want) && j+n < len(got) && want[i+n] == got[j+n] {
			n++
		}
		runs = append(runs, run{j, i, n})
		j += n
	}
	return runs
}

func TestPlaceFindsEachPiece(t *testing.T) {
	want := ulaw.decode16(sequence(1, 1000))
	got := slices.Concat(make([]int16, 7), want[:400], make([]int16, 50), want[450:])
	if runs := place(want, got); !slices.Equal(runs, []run{{7, 0, 400}, {457, 450, 550}}) {
		t.Errorf("got %v, want two pieces", runs)
	}
}
