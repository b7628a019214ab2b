package bench

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/zaf/g711"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
)

// checker is a sink that compares what comes with what was sent, on the spot.
type checker struct {
	audio pattern
	first int // of the call's tracks
	right int64
	wrong int64
	done  bool
}

// Write compares each frame.
func (c *checker) Write(b *media.Batch) {
	for i := range b.Frames {
		f := &b.Frames[i]
		if f.Octets == nil {
			continue
		}
		track := c.first + int(f.Track) - 1
		if bytes.Equal(f.Octets, c.audio.at(track, f.Pos, len(f.Octets))) {
			c.right += f.Samples
		} else {
			c.wrong += f.Samples
		}
	}
}

// Pace and Coded are a file's.
func (*checker) Pace() time.Duration { return (*recorder.Recording)(nil).Pace() }
func (*checker) Coded() bool         { return true }

// End lets compare read the counts: the engine has let go of the sink.
func (c *checker) End(call.Cause) { c.done = true }

// compare proves what came out, sample by sample. A track's position 0 is its first packet.
func (r *rig) compare(audio pattern) error {
	right := int64(0)
	for i, l := range r.lines {
		if l.checker != nil {
			right += l.checker.right
			r.step.WrongSamples += l.checker.wrong
			continue
		}
		res := l.rec.Result()
		if res.Err != nil {
			return fmt.Errorf("recording: %w", res.Err)
		}
		good, bad, err := r.compareFile(res.Dir, audio, i*tracksPerCall)
		if err != nil {
			return err
		}
		right += good
		r.step.WrongSamples += bad
	}
	r.step.LostSamples = r.step.SentSamples - right - r.step.WrongSamples
	return nil
}

// linear is what a mu-law octet is decoded to, by the library's function and not by what is measured.
var linear = func() (t [256]int16) {
	for i := range t {
		t[i] = g711.DecodeUlawFrame(uint8(i))
	}
	return t
}()

// read gives a recording's WAV file; of an encrypted one what it is exported to, which is PCM.
func (r *rig) read(dir string) ([]byte, error) {
	if r.reader == nil {
		return os.ReadFile(filepath.Join(dir, recorder.AudioName))
	}
	e, err := recorder.OpenExport(dir, recorder.ExportConfig{Identities: []recorder.Identity{r.reader}})
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = errors.Join(e.Write(&b), e.Close())
	return b.Bytes(), err
}

// compareFile reads a recording back.
func (r *rig) compareFile(dir string, audio pattern, first int) (right, wrong int64, err error) {
	m, err := recorder.ReadManifest(dir)
	if err != nil {
		return 0, 0, err
	}
	wav, err := r.read(dir)
	if err != nil {
		return 0, 0, fmt.Errorf("recording: %w", err)
	}
	at := bytes.Index(wav, []byte("data"))
	if at < 0 {
		return 0, 0, fmt.Errorf("recording: %s: no data chunk", dir)
	}
	data, width := wav[at+8:], 2
	if m.Audio != nil && m.Audio.Format == recorder.FormatMulaw && r.reader == nil {
		width = 1
	}
	for i := range m.Tracks {
		t := &m.Tracks[i]
		spans := t.Spans
		for pos := int64(0); pos < t.Samples; pos++ {
			for len(spans) > 0 && pos >= spans[0].Pos+spans[0].Samples {
				spans = spans[1:]
			}
			if len(spans) > 0 && pos >= spans[0].Pos && spans[0].Kind != "late" {
				continue
			}
			o := ((pos+t.OffsetSamples)*int64(len(m.Channels)) + int64(t.Channel)) * int64(width)
			if o < 0 || o+int64(width) > int64(len(data)) {
				break
			}
			want := audio.at(first+int(t.ID)-1, pos, 1)[0]
			if width == 2 && int16(binary.LittleEndian.Uint16(data[o:])) == linear[want] || width == 1 && data[o] == want {
				right++
			} else {
				wrong++
			}
		}
	}
	return right, wrong, nil
}
