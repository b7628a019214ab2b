package media_test

import (
	"context"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zaf/g711"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
)

// heap is what is in use after a collection.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

const day = 24 * time.Hour

// TestADayOfOneCall: one stream of two parties through the real recorder, in simulated time; they speak for 10 s of each 5 min, with
// losses and jitter, over wraps of numbers and timestamps. Memory is flat from the first hour on, and the last sample lies where
// it was spoken.
func TestADayOfOneCall(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "recordings")
	mix := media.Speaker{
		Start: 300 * time.Millisecond, End: day, Delay: 20 * time.Millisecond, Jitter: media.Exponential(2 * time.Millisecond), Loss: 0.05,
		Every: 5 * time.Minute, Pause: 290 * time.Second,
		Sources: []media.Source{{SSRC: 1, Seq: 65000, TS: 4294967295 - 8000*40000}},
		Party:   call.Party{Role: call.RoleMix},
	}
	var folder string
	synctest.Test(t, func(t *testing.T) {
		store, err := recorder.New(recorder.Config{Dir: dir, Sync: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- store.Run(ctx) }()
		rec, err := store.Open(call.Info{ID: "day", Started: time.Now(), Expected: []call.Party{mix.Party}}, recorder.Anchor{Wall: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		h := media.NewHall(t, media.Config{Sweep: 200 * time.Millisecond}, 3, rec).Add(mix)
		var hour int64
		for at := time.Duration(0); at <= day; at += 4 * time.Second { // the recorder's buffer is twice that
			h.Until(at)
			synctest.Wait()
			if at%(5*time.Minute) == 0 {
				time.Sleep(5 * time.Second) // a sync, and a manifest
				synctest.Wait()
			}
			if at == time.Hour {
				hour = heap()
			}
		}
		end := heap()
		t.Logf("heap %d kB after an hour, %d kB after a day", hour>>10, end>>10)
		if grown := end - hour; grown > 512<<10 {
			t.Errorf("heap grew by %d kB from the first hour to the 24th", grown>>10)
		}
		h.Close()
		<-rec.Sealed()
		folder = rec.Result().Dir
		stop()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		// Of the last 5 min the first 10 s are spoken.
		if s := h.State(0); len(s.Epochs) != 1 || s.Length < 8000*(int64(day/time.Second)-300) || h.Fixed(0, 0, 0) != h.Fixed(0, 0, s.Length) {
			t.Errorf("%d samples in %d epochs, %g off at the end, %g at the beginning", s.Length, len(s.Epochs), h.Fixed(0, 0, s.Length), h.Fixed(0, 0, 0))
		}
	})
	m, err := recorder.ReadManifest(folder)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(folder, recorder.AudioName))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if m.State != recorder.StateRecorded {
		t.Errorf("state %s: %s %+v", m.State, m.CauseText, m.Missing)
	}
	for i, k := range m.Tracks {
		if k.SpansFile == nil || k.SpansUntil != nil || len(k.Spans) > 4096+1024 {
			t.Errorf("track %d: %d spans in the manifest, file %+v", i, len(k.Spans), k.SpansFile)
		}
		e := k.Epochs[0]
		lost := map[int64]bool{}
		for _, s := range k.Spans {
			for pos := max(s.Pos, k.Samples-40000); pos < s.Pos+s.Samples; pos++ {
				lost[pos] = true
			}
		}
		checked := 0
		buf := make([]byte, 40000*2)
		if _, err := f.ReadAt(buf, 80+2*(k.OffsetSamples+k.Samples-40000)); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		for n := range int64(40000) {
			pos := k.Samples - 40000 + n
			want := int16(0)
			if !lost[pos] {
				want = g711.DecodeUlawFrame(media.OctetAt(e.SSRC, e.Timestamp+uint32(pos)))
				checked++
			}
			if got := int16(binary.LittleEndian.Uint16(buf[2*n:])); got != want {
				t.Fatalf("track %d at %d: got %d, want %d", i, pos, got, want)
			}
		}
		if checked < 36000 {
			t.Errorf("track %d: only %d samples of the last 5 s were received", i, checked)
		}
	}
}

// TestADayOfPackets: the same without pauses, and without the disk: a million packets.
func TestADayOfPackets(t *testing.T) {
	one := media.Speaker{
		Start: 300 * time.Millisecond, End: day, Delay: 20 * time.Millisecond, Jitter: media.Exponential(2 * time.Millisecond), Loss: 0.01,
		Packet: 1440, Sound: func(float64) byte { return 0xFF }, Host: "one", Report: 100 * time.Millisecond,
		Sources: []media.Source{{SSRC: 1, Seq: 65000, TS: 4294967295 - 8000*40000}},
	}
	two := one
	two.Sources = []media.Source{{SSRC: 2, Seq: 1, TS: 5}}
	end := day
	if media.Raced {
		end = 5 * time.Hour
	}
	h := media.NewHall(t, media.Config{Sweep: 200 * time.Millisecond}, 3, nil).Add(one).Add(two)
	hour := int64(0)
	for at := time.Hour; at <= end; at += time.Hour {
		h.Until(at)
		if at == time.Hour {
			hour = heap()
		}
	}
	last := heap()
	t.Logf("heap %d kB after an hour, %d kB after %v", hour>>10, last>>10, end)
	if last-hour > 128<<10 {
		t.Errorf("heap grew by %d kB", (last-hour)>>10)
	}
	h.Close()
	for i := range 2 {
		s := h.State(i)
		if len(s.Epochs) != 1 || s.Length < 8000*(int64(end/time.Second)-1) || s.Length%1440 != 0 || h.Error(i, 0, s.Length) > 1 || h.Error(i, 0, s.Length) < -1 {
			t.Errorf("track %d: %d samples in %d epochs, estimate %g samples off at the end", i, s.Length, len(s.Epochs), h.Error(i, 0, s.Length))
		}
	}
}
