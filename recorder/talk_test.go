package recorder_test

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/zaf/g711"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

// The kinds as the model of a track knows them.
const (
	received = "received"
	late     = "late"
	lost     = "lost"
	gap      = "gap"
	masked   = "masked"
)

// voice is the octet that a track has at pos: a function, so that every sample can be told from every other's place.
func voice(id media.TrackID, pos int64) byte {
	h := uint64(id)*0x9E3779B97F4A7C15 + uint64(pos)*0xBF58476D1CE4E5B9
	return byte((h ^ h>>29) * 0x94D049BB133111EB >> 56)
}

// talker makes the frames of one track by the rules of media's kinds, and remembers what the file must hold.
type talker struct {
	media.TrackState
	kinds []string // by pos
	// placeAt is the length at which the offset becomes known.
	placeAt int64
}

func newTalker(id media.TrackID, role call.Role, offset int64) *talker {
	return &talker{
		TrackState: media.TrackState{
			ID: id, Leg: "leg", Law: media.LawPCMU, Offset: offset, OffsetMethod: media.OffsetArrival,
			Party: call.Party{ID: "p-" + role.String(), Role: role, IdentifiedBy: call.ByMonitoringIDs},
		},
		placeAt: 4000,
	}
}

func (k *talker) state() media.TrackState {
	s := k.TrackState
	s.Length = int64(len(k.kinds))
	s.Placed = s.Length >= k.placeAt || s.Ended
	if !s.Placed {
		s.Offset, s.OffsetMethod = 0, ""
	}
	return s
}

// frame says that the next n samples are of that kind.
func (k *talker) frame(kind media.Kind, n int) media.Frame {
	pos := int64(len(k.kinds))
	for range n {
		k.kinds = append(k.kinds, kind.String())
	}
	return k.at(kind, pos, n)
}

// behind says it of samples that were given out before.
func (k *talker) behind(kind media.Kind, pos int64, n int) media.Frame {
	for i := range n {
		k.kinds[pos+int64(i)] = kind.String()
	}
	return k.at(kind, pos, n)
}

// at makes the frame. Its slices are valid until the next one is made, as those of a shard.
func (k *talker) at(kind media.Kind, pos int64, n int) media.Frame {
	f := media.Frame{Track: k.ID, Kind: kind, Law: k.Law, Pos: pos, Samples: int64(n)}
	if kind == media.KindReceived || kind == media.KindLate {
		f.Octets, f.PCM = make([]byte, n), make([]int16, n)
		for i := range n {
			f.Octets[i] = voice(k.ID, pos+int64(i))
			f.PCM[i] = k.linear(f.Octets[i])
		}
	}
	if kind == media.KindLost {
		f.PCM = make([]int16, n)
	}
	return f
}

func (k *talker) linear(o byte) int16 {
	if k.Law == media.LawPCMA {
		return g711.DecodeAlawFrame(o)
	}
	return g711.DecodeUlawFrame(o)
}

// speaks makes n frames of 20 ms.
func (k *talker) speaks(n int) []media.Frame {
	var out []media.Frame
	for range n {
		out = append(out, k.frame(media.KindReceived, 160))
	}
	return out
}

// kindAt gives the model's word on a sample, empty beyond its end.
func (k *talker) kindAt(pos int64) string {
	if pos < 0 || pos >= int64(len(k.kinds)) {
		return ""
	}
	return k.kinds[pos]
}

func isHeard(kind string) bool { return kind == received || kind == late }

// batch puts frames and the talkers' states together.
func batch(now time.Duration, frames []media.Frame, talkers ...*talker) *media.Batch {
	b := &media.Batch{Now: now, Final: now - 2*time.Second, Frames: frames}
	for _, k := range talkers {
		b.Tracks = append(b.Tracks, k.state())
	}
	return b
}

// spoil overwrites a batch that was written: nobody may still read it.
func spoil(b *media.Batch) {
	for i := range b.Frames {
		f := &b.Frames[i]
		for j := range f.Octets {
			f.Octets[j] = 0x55
		}
		for j := range f.PCM {
			f.PCM[j] = 0x5555
		}
		*f = media.Frame{}
	}
	for i := range b.Tracks {
		for j := range b.Tracks[i].Epochs {
			b.Tracks[i].Epochs[j] = media.Epoch{}
		}
		b.Tracks[i] = media.TrackState{}
	}
}

// expect builds what a channel of the file must hold: of the talkers on it, the newest that has something there.
func expect(samples int64, talkers ...*talker) []int16 {
	out := make([]int16, samples)
	for _, k := range talkers {
		for pos := range k.kinds {
			i := int64(pos) + k.Offset
			out[i] = 0
			if isHeard(k.kinds[pos]) {
				out[i] = k.linear(voice(k.ID, int64(pos)))
			}
		}
	}
	return out
}

// end is the index behind a talker's last sample.
func (k *talker) end() int64 { return k.Offset + int64(len(k.kinds)) }

// wave is a WAV file as this reader, written from the RIFF document, understands it.
type wave struct {
	tag, channels, bits int
	data                []byte
	// riff and fact are what the header claims, and whether anything follows the data.
	riff, fact int64
	size       int64
}

func readWave(t *testing.T, dir string) wave {
	t.Helper()
	return readWaveFile(t, filepath.Join(dir, "audio.wav"))
}

func readWaveFile(t *testing.T, name string) wave {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	if string(b[:4]) != "RIFF" || string(b[8:16]) != "WAVEJUNK" {
		t.Fatalf("audio.wav begins with %q", b[:16])
	}
	w := wave{riff: int64(le.Uint32(b[4:])), size: int64(len(b))}
	for at := 12; at+8 <= len(b); {
		id, n := string(b[at:at+4]), int(le.Uint32(b[at+4:]))
		at += 8
		switch id {
		case "fmt ":
			w.tag, w.channels, w.bits = int(le.Uint16(b[at:])), int(le.Uint16(b[at+2:])), int(le.Uint16(b[at+14:]))
			if hz := le.Uint32(b[at+4:]); hz != 8000 {
				t.Errorf("rate: got %d, want 8000", hz)
			}
		case "fact":
			w.fact = int64(le.Uint32(b[at:]))
		case "data":
			if at+n > len(b) {
				t.Fatalf("data: header says %d octets, file has %d", n, len(b)-at)
			}
			w.data = b[at : at+n]
		}
		at += n + n&1
	}
	return w
}

func (w wave) samples() int64 { return int64(len(w.data) * 8 / w.bits / w.channels) }

// pcm gives one channel as samples.
func (w wave) pcm(ch int) []int16 {
	out := make([]int16, w.samples())
	for i := range out {
		at := i*w.channels + ch
		switch w.tag {
		case 6:
			out[i] = g711.DecodeAlawFrame(w.data[at])
		case 7:
			out[i] = g711.DecodeUlawFrame(w.data[at])
		default:
			out[i] = int16(binary.LittleEndian.Uint16(w.data[2*at:]))
		}
	}
	return out
}

func sameSamples(t *testing.T, what string, got, want []int16) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: got %d samples, want %d", what, len(got), len(want))
		return
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("%s: sample %d: got %d, want %d", what, i, got[i], want[i])
			return
		}
	}
}

// shuffle mixes the talkers' frames as sweeps do: each track's stay in order.
func shuffle(rng *rand.Rand, lists ...[]media.Frame) []media.Frame {
	var out []media.Frame
	for len(lists) > 0 {
		i := rng.IntN(len(lists))
		if len(lists[i]) == 0 {
			lists = slices.Delete(lists, i, i+1)
			continue
		}
		out = append(out, lists[i][0])
		lists[i] = lists[i][1:]
	}
	return out
}

// throughLaw is what a file of G.711, by its format tag, holds for a sample of a talker; silence in A-law is no zero.
func throughLaw(tag int, k *talker, v int16, heard bool) int16 {
	switch {
	case !heard && tag == 6:
		return g711.DecodeAlawFrame(0xD5)
	case !heard || tag == 7 && k.Law == media.LawPCMU || tag == 6 && k.Law == media.LawPCMA:
		return v
	case tag == 6:
		return g711.DecodeAlawFrame(g711.Ulaw2AlawFrame(g711.EncodeUlawFrame(v)))
	}
	return g711.DecodeUlawFrame(g711.Alaw2UlawFrame(g711.EncodeAlawFrame(v)))
}
