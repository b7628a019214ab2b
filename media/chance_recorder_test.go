package media_test

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
)

// model is a sink that knows what each sample of one track must be in the file: by Pos, silence where nothing was heard.
type model struct{ pcm []int16 }

func (m *model) Write(b *media.Batch) {
	for i := range b.Frames {
		f := &b.Frames[i]
		if end := int(f.Pos + f.Samples); end > len(m.pcm) {
			m.pcm = append(m.pcm, make([]int16, end-len(m.pcm))...)
		}
		clear(m.pcm[f.Pos : f.Pos+f.Samples])
		if f.Kind == media.KindReceived || f.Kind == media.KindLate {
			copy(m.pcm[f.Pos:], f.PCM)
		}
	}
}

func (*model) End(call.Cause) {}

// both gives each batch to two sinks.
type both struct{ a, b media.Sink }

func (s both) Write(b *media.Batch) { s.a.Write(b); s.b.Write(b) }
func (s both) End(c call.Cause)     { s.a.End(c); s.b.End(c) }

// TestRecordingsHoldWhatTheNetworkDelivered: stories of the property test through the real recorder: the file, read back, has each
// sample that came at its place and silence elsewhere; the manifest's spans name all others by their kind, and its counts fit.
func TestRecordingsHoldWhatTheNetworkDelivered(t *testing.T) {
	store, err := recorder.New(recorder.Config{Dir: filepath.Join(t.TempDir(), "recordings"), Buffer: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- store.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	n := media.Stories(t, 40, 30)
	t.Logf("seeds 0 to %d", n-1)
	for seed := range uint64(n) {
		var rec *recorder.Recording
		m := new(model)
		kinds, state := media.TellStory(t, seed, func(wall time.Time, mono time.Duration) media.Sink {
			info := call.Info{ID: "story", SIPCallIDs: []string{"leg"}, Started: wall, Expected: []call.Party{{Role: call.RoleMix}}}
			if rec, err = store.Open(info, recorder.Anchor{Wall: wall, Mono: mono}); err != nil {
				t.Fatal(err)
			}
			return both{m, rec}
		})
		select {
		case <-rec.Sealed():
		case <-time.After(time.Minute):
			t.Fatalf("story %d: not sealed after a minute", seed)
		}
		if res := rec.Result(); res.Err != nil {
			t.Fatalf("story %d: %v", seed, res.Err)
		} else {
			sameRecording(t, seed, res.Dir, kinds, m.pcm, state)
		}
		if t.Failed() {
			return
		}
	}
}

// sameRecording reads a recording back.
func sameRecording(t *testing.T, seed uint64, dir string, kinds []media.Kind, pcm []int16, state media.TrackState) {
	t.Helper()
	manifest, err := recorder.ReadManifest(dir)
	if err != nil {
		t.Fatalf("story %d: %v", seed, err)
	}
	if len(manifest.Tracks) != 1 || manifest.State != recorder.StateRecorded {
		t.Fatalf("story %d: %d tracks, %s (%s)", seed, len(manifest.Tracks), manifest.State, manifest.CauseText)
	}
	k := manifest.Tracks[0]
	if k.Samples != int64(len(kinds)) || k.Samples != state.Length || k.OffsetSamples != state.Offset {
		t.Errorf("story %d: %d samples at %d, want %d at %d", seed, k.Samples, k.OffsetSamples, len(kinds), state.Offset)
	}
	named := make([]string, len(kinds))
	for _, s := range k.Spans {
		for i := range s.Samples {
			named[s.Pos+i] = s.Kind
		}
	}
	for pos, kind := range kinds {
		want := kind.String()
		if kind == media.KindReceived {
			want = ""
		}
		if named[pos] != want {
			t.Fatalf("story %d, Pos %d: the manifest says %q, want %q", seed, pos, named[pos], want)
		}
	}
	file := samplesOf(t, filepath.Join(dir, "audio.wav"))
	if int64(len(file)) != k.OffsetSamples+k.Samples {
		t.Fatalf("story %d: the file has %d samples, want %d", seed, len(file), k.OffsetSamples+k.Samples)
	}
	for i, got := range file {
		want := int16(0)
		if pos := int64(i) - k.OffsetSamples; pos >= 0 {
			want = pcm[pos]
		}
		if got != want {
			t.Fatalf("story %d: sample %d of the file is %d, want %d", seed, i, got, want)
		}
	}
}

// samplesOf reads the data of a mono WAV file of 16 bits.
func samplesOf(t *testing.T, name string) []int16 {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for at := 12; at+8 <= len(b); {
		id, n := string(b[at:at+4]), int(binary.LittleEndian.Uint32(b[at+4:]))
		if at += 8; id == "data" {
			out := make([]int16, n/2)
			for i := range out {
				out[i] = int16(binary.LittleEndian.Uint16(b[at+2*i:]))
			}
			return out
		}
		at += n + n&1
	}
	t.Fatalf("%s has no data", name)
	return nil
}
