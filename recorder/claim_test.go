package recorder_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/recorder"
)

// diary is a log that can be read while it is written.
type diary struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (d *diary) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.b.Write(p)
}

func (d *diary) has(text string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Contains(d.b.String(), text)
}

func (d *diary) log() *slog.Logger {
	return slog.New(slog.NewTextHandler(d, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func TestADirectoryChangesHandsWhileItsRecordingsGoOn(t *testing.T) {
	dir := t.TempDir()
	first, stopFirst := start(t, recorder.Config{Dir: dir})
	r := open(t, first, monoInfo("moved"))
	k := newTalker(1, call.RoleCustomer, 0)
	r.Write(batch(0, k.speaks(50), k))

	var d diary
	second, _ := start(t, recorder.Config{Dir: dir, Standby: true, Log: d.log()})
	if err := second.Claim(); !errors.Is(err, recorder.ErrInUse) {
		t.Fatalf("Claim beside the first: %v, want ErrInUse", err)
	}
	if err := first.Release(); err != nil {
		t.Fatal(err)
	}
	if err := second.Claim(); err != nil {
		t.Fatal(err)
	}
	if err := first.Claim(); !errors.Is(err, recorder.ErrInUse) {
		t.Errorf("Claim of the first again: %v, want ErrInUse", err)
	}
	eventually(t, "a look at what the first still writes", func() bool { return d.has("recordings=1") })
	r.Write(batch(time.Second, k.speaks(50), k))
	next := open(t, second, monoInfo("moved")) // the call goes on there before the first has sealed its part
	res, m := seal(t, r)
	if m.Samples != 16000 || m.State != recorder.StateRecorded || m.Part != 1 {
		t.Errorf("first part: %d samples, %s, part %d, want 16000, recorded, 1", m.Samples, m.State, m.Part)
	}
	_, m2 := seal(t, next)
	if m2.Part != 2 || m2.Previous == nil || m2.Previous.Folder != "2026/11/23/"+filepath.Base(res.Dir) || m2.Previous.SHA256 == "" {
		t.Errorf("second part: %d, previous %+v, want 2 after %s", m2.Part, m2.Previous, res.Dir)
	}
	stopFirst() // gives back nothing that is the second's
	if got := second.Repaired(); len(got) != 0 {
		t.Errorf("repaired %+v, want nothing", got)
	}
	third, err := recorder.New(recorder.Config{Dir: dir})
	if !errors.Is(err, recorder.ErrInUse) {
		t.Errorf("a third: %v, want ErrInUse", err)
	}
	if third != nil {
		_ = third.Close()
	}
}

func TestWhatAnotherProcessHeldIsFinishedOnceItIsKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childEnv+"="+dir, releaseEnv+"=yes")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := sync.OnceFunc(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	})
	defer kill()
	eventually(t, "the child's recordings", func() bool {
		open, _ := filepath.Glob(filepath.Join(dir, "2026/11/23/*.partial/audio.wav"))
		for _, f := range open {
			if fi, err := os.Stat(f); err != nil || fi.Size() < 1000 {
				return false
			}
		}
		return len(open) == childCalls
	})
	var d diary
	s, stop := start(t, recorder.Config{Dir: dir, Standby: true, Log: d.log()}, func(s *recorder.Store) { s.LookAgain(20 * time.Millisecond) })
	if err := s.Claim(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a look", func() bool { return d.has("recordings=10") })
	if got := s.Repaired(); len(got) != 0 {
		t.Errorf("repaired while their writer lives: %+v", got)
	}
	kill()
	eventually(t, "the repair", func() bool { return len(s.Repaired()) == childCalls })
	stop()
	for _, r := range s.Repaired() {
		if r.Err != nil || r.State != recorder.StatePartial || r.Samples == 0 {
			t.Errorf("%s: %s, %d samples, %v", r.Dir, r.State, r.Samples, r.Err)
		}
	}
}

func TestAStoreOnStandbyFinishesNothing(t *testing.T) {
	dir := abandoned(t, func(string) {})
	s, stop := start(t, recorder.Config{Dir: dir, Standby: true})
	s.Recover()
	seal(t, open(t, s, monoInfo("own")))
	if got := s.Repaired(); len(got) != 0 {
		t.Errorf("repaired %+v without the lock", got)
	}
	if err := s.Claim(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the repair", func() bool { return len(s.Repaired()) == 1 })
	stop()
}
