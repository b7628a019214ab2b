package recorder_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/recorder"
)

// tank is a disk of which the test says how much room it has.
type tank struct{ free, total atomic.Int64 }

func (k *tank) room(string) (free, total int64, err error) {
	if free = k.free.Load(); free < 0 {
		return 0, 0, syscall.EIO
	}
	return free, k.total.Load(), nil
}

func TestEachMarkIsToldOnceAndLeftWithATenthMoreRoom(t *testing.T) {
	for name, cfg := range map[string]recorder.Config{
		"bytes":   {Warn: recorder.Mark{Bytes: 2000}, Refuse: recorder.Mark{Bytes: 1000}},
		"percent": {Warn: recorder.Mark{Percent: 20}, Refuse: recorder.Mark{Percent: 10}},
	} {
		t.Run(name, func(t *testing.T) {
			var d diary
			var k tank
			k.total.Store(10000)
			k.free.Store(5000)
			cfg.Dir, cfg.Log = t.TempDir(), d.log()
			cfg.OnRoom(k.room)
			s, err := recorder.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close() //nolint:errcheck // a test's folder
			for _, step := range []struct {
				free int64
				want recorder.Level
				said string
			}{
				{2000, recorder.LevelOK, ""},
				{1999, recorder.LevelWarn, "level=WARN msg=\"disk fills up"},
				{1500, recorder.LevelWarn, ""},
				{2100, recorder.LevelWarn, ""},
				{2200, recorder.LevelOK, "level=INFO msg=\"disk has room again\""},
				{999, recorder.LevelRefuse, "level=ERROR msg=\"disk nearly full, no new calls"},
				{1099, recorder.LevelRefuse, ""},
				{-1, recorder.LevelRefuse, ""}, // what is not known changes nothing
				{1100, recorder.LevelWarn, "level=INFO msg=\"disk has room again, new calls are taken\""},
				{999, recorder.LevelRefuse, "no new calls"},
				{5000, recorder.LevelOK, "new calls are taken"},
			} {
				d.reset()
				k.free.Store(step.free)
				s.Measure()
				if got := s.Disk().Level; got != step.want {
					t.Fatalf("%d free: got %s, want %s", step.free, got, step.want)
				}
				said := d.text()
				if (said == "") != (step.said == "") || !strings.Contains(said, step.said) || strings.Count(said, "\n") > 1 {
					t.Errorf("%d free: said %q, want %q once", step.free, said, step.said)
				}
			}
		})
	}
}

func TestMarksThatMakeNoSenseAreRefused(t *testing.T) {
	for _, cfg := range []recorder.Config{
		{Warn: recorder.Mark{Percent: 100}},
		{Refuse: recorder.Mark{Percent: -1}},
		{Warn: recorder.Mark{Percent: 1, Bytes: 1}},
		{Warn: recorder.Mark{Bytes: 10}, Refuse: recorder.Mark{Bytes: 20}},
	} {
		cfg.Dir = t.TempDir()
		if s, err := recorder.New(cfg); err == nil {
			t.Errorf("%+v, %+v: taken", cfg.Warn, cfg.Refuse)
			_ = s.Close()
		}
	}
}

// gremlin fails changes of the disk, all of one kind, from when it is told to.
type gremlin struct{ err atomic.Pointer[error] }

func (g *gremlin) set(err error) { g.err.Store(&err) }

func (g *gremlin) fail() error {
	if e := g.err.Load(); e != nil {
		return *e
	}
	return nil
}

func (g *gremlin) fault(string, string) error { return g.fail() }

func (g *gremlin) through(_ *os.File, ask func() error) error {
	if err := g.fail(); err != nil && !errors.Is(err, syscall.EMFILE) {
		return err
	}
	return ask()
}

// haunted is an audio file on such a disk.
type haunted struct {
	recorder.BlockFile
	g *gremlin
}

func (h haunted) WriteAt(b []byte, at int64) (int, error) {
	if err := h.g.fail(); err != nil && !errors.Is(err, syscall.EMFILE) {
		return 0, err
	}
	return h.BlockFile.WriteAt(b, at)
}

func (h haunted) Truncate(n int64) error {
	if err := h.g.fail(); err != nil && !errors.Is(err, syscall.EMFILE) {
		return err
	}
	return h.BlockFile.Truncate(n)
}

// TestADiskFaultInMidCallIsToldWithinTwoSecondsAndNamedToTheSample: full, broken, read-only, and no descriptors left. A call that was
// heard before goes on in what was open; what could not be written is named exactly; the next after it is whole again.
func TestADiskFaultInMidCallIsToldWithinTwoSecondsAndNamedToTheSample(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EIO, syscall.EROFS, syscall.EMFILE} {
		t.Run(errno.Error(), func(t *testing.T) {
			t.Parallel()
			var d diary
			g := &gremlin{}
			cfg := recorder.Config{Sign: true, Log: d.log()}
			cfg.Beneath(g.through, g.fault)
			s, stop := start(t, cfg, func(s *recorder.Store) {
				s.Wrap(func(_ string, f recorder.BlockFile) recorder.BlockFile { return haunted{f, g} })
			})
			r := open(t, s, monoInfo("live"))
			k := newTalker(1, call.RoleMix, 0)
			write := func(n int) {
				want := written(s) + int64(n)*160
				b := batch(0, k.speaks(n), k)
				b.Events = []call.Event{{Time: morning, Type: call.EventDTMF, Facts: map[string]any{"digit": "5"}}}
				r.Write(b)
				eventually(t, "all written or given up", func() bool { return written(s) == want })
			}
			write(50)
			before := s.Counters().DiskSamples
			g.set(errno)
			begun := time.Now()
			write(50)
			if _, err := s.Open(monoInfo("new"), anchor); !errors.Is(err, errno) {
				t.Errorf("a new recording: got %v, want %v", err, errno)
			}
			eventually(t, "the fault", func() bool { return s.Disk().Fault != "" })
			if took := s.Disk().Since.Sub(begun); took > 2*time.Second {
				t.Errorf("told after %v", took)
			}
			if said := d.text(); strings.Count(said, "recording not written") != 1 || !strings.Contains(said, errno.Error()) {
				t.Errorf("said %q, want one line with %q", said, errno)
			}
			lost := s.Counters().DiskSamples - before
			if want := int64(50 * 160); errno == syscall.EMFILE && lost != 0 || errno != syscall.EMFILE && lost != want {
				t.Errorf("%d samples not written", lost)
			}
			g.set(nil)
			write(50)
			res, m := seal(t, r)
			if errno != syscall.EMFILE {
				for i := 50 * 160; i < 100*160; i++ {
					k.kinds[i] = "disk"
				}
			}
			checkSpans(t, m.Tracks[0], k)
			sameSamples(t, "live", readWave(t, res.Dir).pcm(0), expect(150*160, k))
			_, next := seal(t, openWith(t, s, "after", k))
			if next.State != recorder.StateRecorded {
				t.Errorf("the next: %s (%s)", next.State, next.CauseText)
			}
			stop()
			dir := filepath.Dir(filepath.Dir(filepath.Dir(filepath.Dir(res.Dir))))
			if v, bad := verify(t, dir, publicKey(t, dir)); bad != "" || v.Good != 2 {
				t.Errorf("verify: %d good\n%s", v.Good, bad)
			}
		})
	}
}

// openWith opens a recording and has a second of audio come.
func openWith(t *testing.T, s *recorder.Store, id string, like *talker) *recorder.Recording {
	t.Helper()
	r := open(t, s, monoInfo(id))
	k := newTalker(like.ID, call.RoleMix, 0)
	r.Write(batch(0, k.speaks(50), k))
	return r
}

// TestASealThatTheDiskRefusedIsDoneWhenThereIsRoom: not as that of a crash, and without a restart.
func TestASealThatTheDiskRefusedIsDoneWhenThereIsRoom(t *testing.T) {
	s, stop, room, _ := onBadDisk(t, nil)
	r := open(t, s, monoInfo("bad"))
	k := newTalker(1, call.RoleMix, 0)
	r.Write(batch(0, k.speaks(50), k))
	eventually(t, "the audio", func() bool { return s.Counters().ReceivedSamples == 8000 })
	room.Store(0)
	r.End(hangup)
	<-r.Sealed()
	if err := r.Result().Err; !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("got %v, want no space left", err)
	}
	room.Store(-1)
	stop() // tries once more
	res := r.Result()
	if res.Err != nil || res.State != recorder.StateRecorded {
		t.Fatalf("got %+v, want recorded", res)
	}
	sameSamples(t, "bad", readWave(t, res.Dir).pcm(0), expect(8000, k))
}

// forgetful is an audio file on a disk whose sync fails once, and that has forgotten then what was not durable.
type forgetful struct {
	recorder.BlockFile
	file    *os.File
	mu      sync.Mutex
	durable []byte
	rotten  bool
	wrote   map[int64]bool // sectors written since the last sync, or the failure of one
}

func (f *forgetful) WriteAt(b []byte, at int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := at / 512; i <= (at+int64(len(b))-1)/512; i++ {
		f.wrote[i] = true
	}
	return f.BlockFile.WriteAt(b, at)
}

func (f *forgetful) Datasync() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer clear(f.wrote)
	if f.rotten {
		f.rotten = false
		return syscall.EIO
	}
	now, err := os.ReadFile(f.file.Name())
	if err != nil {
		return err
	}
	f.durable = append(f.durable, make([]byte, max(0, len(now)-len(f.durable)))...)
	for i := range f.wrote { // the rest it takes for written
		copy(f.durable[min(i*512, int64(len(now))):], now[min(i*512, int64(len(now))):min((i+1)*512, int64(len(now)))])
	}
	return nil
}

func TestWhatAFailedSyncLostIsWrittenAgain(t *testing.T) {
	dir := t.TempDir()
	var f *forgetful
	s, _ := start(t, recorder.Config{Dir: dir}, func(s *recorder.Store) {
		s.Wrap(func(name string, b recorder.BlockFile) recorder.BlockFile {
			file, err := os.Open(filepath.Join(dir, name))
			if err != nil {
				t.Error(err)
			}
			t.Cleanup(func() { _ = file.Close() })
			f = &forgetful{BlockFile: b, file: file, wrote: map[int64]bool{}}
			return f
		})
	})
	r := open(t, s, monoInfo("rotten"))
	k := newTalker(1, call.RoleMix, 0)
	write := func() {
		want := written(s) + 50*160
		r.Write(batch(0, k.speaks(50), k))
		eventually(t, "the audio", func() bool { return written(s) == want })
		syncs := s.Counters().Syncs
		eventually(t, "two syncs", func() bool { return s.Counters().Syncs > syncs+2 })
	}
	write()
	f.mu.Lock()
	f.rotten = true
	f.mu.Unlock()
	write()
	f.mu.Lock()
	durable := bytes.Clone(f.durable)
	f.mu.Unlock()
	have, err := os.ReadFile(filepath.Join(r.Result().Dir, recorder.AudioName))
	if err != nil || len(have) != 80+2*2*8000 || !bytes.Equal(durable[80:], have[80:]) {
		t.Errorf("durable: %d octets, not those of the file, %d", len(durable), len(have))
	}
}

func (d *diary) text() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.b.String()
}

func (d *diary) reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.b.Reset()
}

// TestEventsOfACallThatEndsOnAFullDiskAreWrittenWhenThereIsRoom: sealing is tried again, and nothing of them is lost or told twice.
func TestEventsOfACallThatEndsOnAFullDiskAreWrittenWhenThereIsRoom(t *testing.T) {
	for _, at := range []string{recorder.EventsName, recorder.ManifestName + ".tmp"} {
		t.Run(at, func(t *testing.T) {
			g := &gremlin{}
			cfg := recorder.Config{}
			cfg.Beneath(nil, func(_, name string) error {
				if filepath.Base(name) == at {
					return g.fail()
				}
				return nil
			})
			s, stop := start(t, cfg)
			r := open(t, s, monoInfo("full"))
			k := newTalker(1, call.RoleMix, 0)
			g.set(syscall.ENOSPC)
			b := batch(0, k.speaks(50), k)
			b.Events = []call.Event{{Time: morning, Type: call.EventDTMF, Facts: map[string]any{"digit": "5"}}}
			r.Write(b)
			r.End(hangup)
			<-r.Sealed()
			if err := r.Result().Err; !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("sealed on a full disk: got %v", err)
			}
			before := s.Counters().Syncs
			eventually(t, "more tries", func() bool { return s.Counters().Syncs > before+2 })
			g.set(nil)
			stop() // which tries once more
			res := r.Result()
			if res.Err != nil {
				t.Fatal(res.Err)
			}
			events, err := os.ReadFile(filepath.Join(res.Dir, recorder.EventsName))
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(events), `"digit":"5"`); n != 1 {
				t.Errorf("the digit: %d times in\n%s", n, events)
			}
		})
	}
}
