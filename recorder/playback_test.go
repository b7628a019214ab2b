package recorder

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

// playedBack gives what a playback brings of each track: its samples from Pos 0 on, 0 where there are none, and its runs by kind.
func playedBack(t *testing.T, p *Playback) (pcm map[media.TrackID][]int16, runs map[media.TrackID][]Span) {
	t.Helper()
	pcm, runs = map[media.TrackID][]int16{}, map[media.TrackID][]Span{}
	now := time.Duration(0)
	for b := (media.Batch{}); ; {
		more, err := p.Next(&b)
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			return pcm, runs
		}
		if b.Zero == 0 || b.Now <= now || b.Now-b.Zero > time.Duration(p.Samples)*playTime {
			t.Fatalf("a batch at %v after %v, zero %v", b.Now, now, b.Zero)
		}
		now = b.Now
		for _, f := range b.Frames {
			k := b.Tracks[f.Track-1]
			if got := int64(len(pcm[f.Track])); f.Pos != got || f.Samples <= 0 || k.ID != f.Track || !k.Placed {
				t.Fatalf("track %d: a frame at %d of %d, want it at %d", f.Track, f.Pos, f.Samples, got)
			}
			if at := b.Zero + time.Duration(k.Offset+f.Pos)*playTime; f.Captured != at || at >= b.Now {
				t.Fatalf("track %d: the frame at %d captured at %v, want %v", f.Track, f.Pos, f.Captured, at)
			}
			if heard := f.Kind == media.KindReceived; heard && int64(len(f.PCM)) != f.Samples {
				t.Fatalf("%v frame of %d has %d samples", f.Kind, f.Samples, len(f.PCM))
			}
			s := make([]int16, f.Samples)
			copy(s, f.PCM)
			pcm[f.Track] = append(pcm[f.Track], s...)
			all := runs[f.Track]
			if n := len(all); n > 0 && all[n-1].Kind == f.Kind.String() {
				all[n-1].Samples += f.Samples
				continue
			}
			runs[f.Track] = append(all, Span{f.Kind.String(), f.Pos, f.Samples})
		}
	}
}

func playback(t *testing.T, dir string, ids ...Identity) *Playback {
	t.Helper()
	p, err := OpenPlayback(dir, ids)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func TestAPlaybackIsTheRecordingSampleForSample(t *testing.T) {
	dir, left, right := twoParties(t)
	p := playback(t, dir)
	pcm, runs := playedBack(t, p)
	if !slices.Equal(pcm[1], left) {
		t.Error("the customer's samples are others")
	}
	if want := append(slices.Clone(right[100:8000]), make([]int16, 1100)...); !slices.Equal(pcm[2], want) {
		t.Errorf("the agent's %d samples are others", len(pcm[2]))
	}
	if !slices.Equal(pcm[3], right[8000:]) {
		t.Error("the samples of whom the agent transferred to are others")
	}
	if want := []Span{{"received", 0, 7900}, {"gap", 7900, 1100}}; !slices.Equal(runs[2], want) {
		t.Errorf("the agent: got %v, want %v: the rest is under another track", runs[2], want)
	}
	if p.Info.ID != "s-1" || p.Info.Part != 1 || p.Samples != 20001 || p.Given[media.KindReceived] != 20001+7900+12001 {
		t.Errorf("got %+v, %d samples, %v", p.Info, p.Samples, p.Given)
	}
}

func TestAPlaybackSaysWhatWasNotReceived(t *testing.T) {
	left := noise(4000, 1)
	spans := []Span{{"lost", 160, 320}, {"late", 480, 160}, {"gap", 1000, 1}, {"masked", 1600, 800}, {"disk", 2400, 100}, {"unknown", 3000, 1000}}
	m := &Manifest{
		Call: ManifestCall{ID: "s-1", Agent: "108"}, Part: 2, Channels: []string{"mix"}, Started: time.Date(2026, 11, 23, 10, 15, 0, 0, time.UTC),
		Tracks: []Track{{ID: 1, Role: call.RoleMix, Samples: 4000, OffsetMethod: "arrival", Ended: true, Spans: spans}},
	}
	p := playback(t, folder(t, m, FormatWAV, left))
	pcm, runs := playedBack(t, p)
	want := []Span{
		{"received", 0, 160}, {"lost", 160, 320}, {"received", 480, 520}, {"gap", 1000, 1}, {"received", 1001, 599}, {"masked", 1600, 800}, {"gap", 2400, 100},
		{"received", 2500, 500}, {"gap", 3000, 1000},
	}
	if !slices.Equal(runs[1], want) {
		t.Errorf("got %v, want %v", runs[1], want)
	}
	for _, r := range want {
		for i := r.Pos; i < r.Pos+r.Samples; i++ {
			if v := pcm[1][i]; r.Kind == "received" && v != left[i] || r.Kind != "received" && v != 0 {
				t.Fatalf("sample %d, %s: got %d, the file has %d", i, r.Kind, v, left[i])
			}
		}
	}
}

func TestAPlaybackReadsOlderSpansFromTheirFile(t *testing.T) {
	m := &Manifest{Call: ManifestCall{ID: "s-1"}, Part: 1, Channels: []string{"mix"}, Tracks: []Track{{
		ID: 1, Samples: 1000, OffsetMethod: "arrival", Ended: true, Spans: []Span{{"lost", 800, 10}},
		SpansFile: &SpansFile{File: spansName(1), Spans: 1, Until: 500},
	}}}
	dir := folder(t, m, FormatWAV, noise(1000, 1))
	if _, err := OpenPlayback(dir, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without the file: got %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, spansName(1)), []byte(`{"kind":"masked","pos":100,"samples":400}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, runs := playedBack(t, playback(t, dir))
	want := []Span{{"received", 0, 100}, {"masked", 100, 400}, {"received", 500, 300}, {"lost", 800, 10}, {"received", 810, 190}}
	if !slices.Equal(runs[1], want) {
		t.Errorf("got %v, want %v", runs[1], want)
	}
}

func TestAPlaybackOfNothingIsAnError(t *testing.T) {
	if _, err := OpenPlayback(t.TempDir(), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an empty folder: got %v", err)
	}
	dir, _, _ := twoParties(t)
	if err := os.Remove(filepath.Join(dir, AudioName)); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenPlayback(dir, nil); !errors.Is(err, ErrNoAudio) {
		t.Errorf("without audio: got %v", err)
	}
}

// FuzzPlayback: whatever a manifest says, frames lie in the file, in order.
func FuzzPlayback(f *testing.F) {
	f.Add(int64(0), int64(2000), int64(100), int64(50), int64(300), int64(500))
	f.Add(int64(1999), int64(1<<62), int64(0), int64(1<<62), int64(0), int64(0))
	f.Add(int64(5), int64(0), int64(7), int64(7), int64(5), int64(2000))
	left := noise(2000, 1)
	f.Fuzz(func(t *testing.T, offset, samples, pos, n, offset2, samples2 int64) {
		track := func(id uint32, offset, samples int64) Track {
			return Track{ID: id, OffsetSamples: offset, Samples: samples, OffsetMethod: "arrival", Ended: true, Spans: []Span{{"lost", pos, n}, {"masked", n, pos}}}
		}
		m := &Manifest{Call: ManifestCall{ID: "s"}, Part: 1, Channels: []string{"mix"}, Tracks: []Track{track(1, offset, samples), track(2, offset2, samples2)}}
		p, err := OpenPlayback(folder(t, m, FormatWAV, left), nil)
		if err != nil {
			return
		}
		defer p.Close()
		_, _ = playedBack(t, p)
	})
}
