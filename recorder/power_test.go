package recorder_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/powercut"
)

// TestAPowerLossTakesNothingThatWasDurable cuts the power at random syncs of a store at work: with few calls, whose files are made
// durable one by one, and with so many that the file system is as a whole; of parties with two laws too. EARSHOT_CUTS says how often.
func TestAPowerLossTakesNothingThatWasDurable(t *testing.T) {
	n := 16
	if s := os.Getenv("EARSHOT_CUTS"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	for _, laws := range []bool{false, true} {
		for _, live := range []int{20, 40} {
			name := fmt.Sprint(live, " calls")
			if laws {
				name += " of two laws"
			}
			t.Run(name, func(t *testing.T) {
				for done := 0; done < n/4; done += sessionCuts {
					t.Run("", func(t *testing.T) { cutSession(t, live, min(sessionCuts, n/4-done), what{laws: laws}) })
				}
			})
		}
	}
}

// sessionCuts is how often the power of one store is cut: all that it made stays open.
const sessionCuts = 10

func cutSession(t *testing.T, live, cuts int, of what) {
	m := newMains(t, rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1)), int64(2400/live), of) //nolint:gosec // a test's
	stop := make(chan struct{})
	var talking sync.WaitGroup
	talking.Go(func() { m.talk(live, stop) })
	t.Cleanup(func() { close(stop); talking.Wait() })
	repaired, sealed := 0, 0
	for i := range cuts {
		l := m.next()
		if l.err != nil {
			t.Fatal(l.err)
		}
		if i%3 == 2 {
			again := lossWhileFinishing(t, l, m.chance())
			checkLoss(t, again)
			if err := os.RemoveAll(again.dir); err != nil {
				t.Fatal(err)
			}
		}
		repaired += checkLoss(t, l)
		sealed += len(l.sealed)
		if t.Failed() {
			t.Fatalf("cut %d: the folder is %s", i, keepDir(l.dir))
		}
		if err := os.RemoveAll(l.dir); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d cuts: %d recordings finished after a start, %d were sealed before", cuts, repaired, sealed)
}

// keepDir saves what a failed test is about, where EARSHOT_KEEP names a folder for it.
func keepDir(dir string) string {
	to := os.Getenv("EARSHOT_KEEP")
	if to == "" {
		return "gone; EARSHOT_KEEP=folder keeps it"
	}
	to = filepath.Join(to, filepath.Base(filepath.Dir(dir))+filepath.Base(dir))
	_ = os.CopyFS(to, os.DirFS(dir))
	return to
}

// lossWhileFinishing starts a store on what was left, and cuts the power again while it finishes that.
func lossWhileFinishing(t *testing.T, l loss, r *rand.Rand) loss {
	t.Helper()
	work := t.TempDir()
	if err := os.CopyFS(work, os.DirFS(l.dir)); err != nil {
		t.Fatal(err)
	}
	d, err := powercut.New(work)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close() //nolint:errcheck // files of a test
	again := loss{dir: t.TempDir(), sure: l.sure, sealed: l.sealed, promised: l.promised, of: l.of}
	at, syncs := 1+r.IntN(100), 0
	cfg := l.of.config(work)
	cut := make(chan struct{})
	cfg.Beneath(func(f *os.File, _ func() error) error { // one at a time: repair is
		if syncs++; syncs == at {
			_, again.err = d.Cut(again.dir, r)
			close(cut)
		}
		return d.Sync(f)
	}, nil)
	partials, _ := filepath.Glob(filepath.Join(work, "2026/11/23/*.partial"))
	s, stop := start(t, cfg)
	eventually(t, "all finished", func() bool { return len(s.Repaired()) == len(partials) })
	stop()
	select {
	case <-cut:
	default: // there was less to finish: the power stays on until it is done
		_, again.err = d.Cut(again.dir, r)
	}
	if again.err != nil {
		t.Fatal(again.err)
	}
	return again
}
