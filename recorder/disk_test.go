package recorder_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
)

func usedBytes(t *testing.T, dir string) int64 {
	t.Helper()
	fi, err := os.Stat(filepath.Join(dir, "audio.wav"))
	if err != nil {
		t.Fatal(err)
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		t.Skip("no block count here")
	}
	return st.Blocks * 512
}

// badDisk is a file whose disk can be full (room) or stand still (gate).
type badDisk struct {
	recorder.BlockFile
	room *atomic.Int64 // up to which octet can be written; -1: all
	gate *gate
}

// gate holds writers up while it is shut.
type gate struct {
	sync.RWMutex
	waiting atomic.Int64
}

func (f badDisk) WriteAt(b []byte, at int64) (int, error) {
	f.gate.waiting.Add(1)
	f.gate.RLock()
	f.gate.waiting.Add(-1)
	defer f.gate.RUnlock()
	if room := f.room.Load(); room >= 0 && at+int64(len(b)) > room {
		n, err := f.BlockFile.WriteAt(b[:max(0, min(int64(len(b)), room-at))], at)
		return n, errors.Join(err, syscall.ENOSPC)
	}
	return f.BlockFile.WriteAt(b, at)
}

// onBadDisk puts the audio of the calls named bad on a bad disk.
func onBadDisk(t *testing.T, log *slog.Logger) (s *recorder.Store, stop func(), room *atomic.Int64, door *gate) {
	room, door = new(atomic.Int64), new(gate)
	room.Store(-1)
	s, stop = start(t, recorder.Config{Log: log}, func(s *recorder.Store) {
		s.Wrap(func(name string, f recorder.BlockFile) recorder.BlockFile {
			if !strings.Contains(name, "_bad") {
				return f
			}
			return badDisk{f, room, door}
		})
	})
	return s, stop, room, door
}

func written(s *recorder.Store) int64 {
	c := s.Counters()
	return c.ReceivedSamples + c.DiskSamples
}

func TestAFullDiskCostsOnlyWhatDidNotFit(t *testing.T) {
	var log bytes.Buffer
	s, stop, room, _ := onBadDisk(t, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})))
	bad, good := open(t, s, monoInfo("bad")), open(t, s, monoInfo("good"))
	k, g := newTalker(1, call.RoleMix, 0), newTalker(1, call.RoleMix, 0)
	write := func(n int) {
		want := written(s) + 2*int64(n)*160
		bad.Write(batch(0, k.speaks(n), k))
		good.Write(batch(0, g.speaks(n), g))
		eventually(t, "all written or given up", func() bool { return written(s) == want })
	}
	write(50)
	const header, fit = 80, 8000 + 1111
	room.Store(header + 2*fit + 1) // and half a sample
	write(50)
	write(10)
	room.Store(-1)
	write(50)
	res, m := seal(t, bad)
	for i := fit; i < 110*160; i++ {
		k.kinds[i] = "disk"
	}
	checkSpans(t, m.Tracks[0], k)
	sameSamples(t, "bad", readWave(t, res.Dir).pcm(0), expect(160*160, k))
	if m.State != recorder.StatePartial || m.Cause != call.CodeDisk || m.Tracks[0].Counts.DiskSamples != 110*160-fit {
		t.Errorf("got %s, %s, %d samples, want partial, disk, %d", m.State, m.Cause, m.Tracks[0].Counts.DiskSamples, 110*160-fit)
	}
	events, err := os.ReadFile(filepath.Join(res.Dir, "events.jsonl"))
	if err != nil || strings.Count(string(events), `"type":"disk"`) != 2 {
		t.Errorf("events: got %s, %v, want one disk begun, one over", events, err)
	}
	other, m := seal(t, good)
	if m.State != recorder.StateRecorded {
		t.Errorf("the other call: got %s (%s)", m.State, m.CauseText)
	}
	sameSamples(t, "good", readWave(t, other.Dir).pcm(0), expect(160*160, g))
	stop()
	if n := strings.Count(log.String(), "\n"); n != 1 {
		t.Errorf("log: got %d lines, want 1:\n%s", n, log.String())
	}
}

func TestADiskThatStandsStillHoldsNobodyUp(t *testing.T) {
	s, _, _, door := onBadDisk(t, nil)
	bad, good := open(t, s, monoInfo("bad")), open(t, s, monoInfo("good"))
	k, g := newTalker(1, call.RoleMix, 0), newTalker(1, call.RoleMix, 0)
	bad.Write(batch(0, k.speaks(50), k))
	eventually(t, "the first second", func() bool { return s.Counters().ReceivedSamples == 8000 })

	door.Lock()
	lift := sync.OnceFunc(door.Unlock)
	t.Cleanup(lift)
	bad.Write(batch(0, k.speaks(1), k))
	eventually(t, "a worker at the gate", func() bool { return door.waiting.Load() == 1 })
	for range 6 { // three times what the buffer holds; twice that may wait where the disk holds the recording itself up
		begun := time.Now()
		bad.Write(batch(0, k.speaks(200), k))
		good.Write(batch(0, g.speaks(200), g))
		if d := time.Since(begun); d > time.Second {
			t.Errorf("Write took %v", d)
		}
		eventually(t, "the other call's audio", func() bool { return s.Counters().ReceivedSamples == 8000+g.end() })
	}
	other, m := seal(t, good)
	if m.State != recorder.StateRecorded || other.Samples != g.end() {
		t.Errorf("the other call: got %s, %d samples, want recorded, %d", m.State, other.Samples, g.end())
	}
	lift()

	res, m := seal(t, bad)
	lost := m.Tracks[0].Counts.DiskSamples
	if m.State != recorder.StatePartial || m.Cause != call.CodeDisk || lost < 8*8000 || lost > 8*8000+160 {
		t.Errorf("got %s, %s, %d samples missing, want partial, disk, 8 s", m.State, m.Cause, lost)
	}
	if n := len(m.Tracks[0].Spans); n > 3 {
		t.Errorf("spans: got %d, want few", n)
	}
	for _, x := range m.Tracks[0].Spans {
		for i := range x.Samples {
			k.kinds[x.Pos+i] = x.Kind
		}
	}
	if res.Samples != k.end() {
		t.Errorf("samples: got %d, want %d", res.Samples, k.end())
	}
	sameSamples(t, "bad", readWave(t, res.Dir).pcm(0), expect(k.end(), k))
}

func TestAMaskThatCouldNotBeWrittenIsTriedAgain(t *testing.T) {
	s, _, room, _ := onBadDisk(t, nil)
	r := open(t, s, monoInfo("bad"))
	k := newTalker(1, call.RoleMix, 0)
	r.Write(batch(0, k.speaks(50), k))
	eventually(t, "the audio", func() bool { return s.Counters().ReceivedSamples == 8000 })
	room.Store(80 + 2*1000)
	r.Write(batch(0, []media.Frame{k.behind(media.KindMasked, 500, 4000)}, k))
	eventually(t, "an error", func() bool { return s.Counters().Errors > 0 })
	room.Store(-1)
	res, m := seal(t, r)
	sameSamples(t, "masked", readWave(t, res.Dir).pcm(0), expect(8000, k))
	checkSpans(t, m.Tracks[0], k)
	if m.State != recorder.StateRecorded {
		t.Errorf("state: got %s (%s)", m.State, m.CauseText)
	}
}

func TestWhatCannotBeSealedStaysPartialAndIsFinishedAtTheNextStart(t *testing.T) {
	s, stop, room, _ := onBadDisk(t, nil)
	r := open(t, s, monoInfo("bad"))
	k := newTalker(1, call.RoleMix, 0)
	r.Write(batch(0, k.speaks(50), k))
	eventually(t, "the audio", func() bool { return s.Counters().ReceivedSamples == 8000 })
	room.Store(0)
	r.End(hangup)
	<-r.Sealed()
	if res := r.Result(); !errors.Is(res.Err, syscall.ENOSPC) || !strings.HasSuffix(res.Dir, ".partial") {
		t.Errorf("got %v in %s, want no space left, .partial", res.Err, res.Dir)
	}
	stop()
	dir := r.Result().Dir
	for range 4 {
		dir = filepath.Dir(dir)
	}
	res, m := repaired(t, dir)
	if m.State != recorder.StatePartial || res.Samples != 8000 {
		t.Errorf("got %s, %d samples, want partial, 8000", m.State, res.Samples)
	}
	sameSamples(t, "repaired", readWave(t, res.Dir).pcm(0), expect(8000, k))
}
