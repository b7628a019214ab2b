package recorder_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/recorder"
)

const (
	// windowLoss is what of encrypted audio may not be on the disk when a sync has come back: what is not final, what a new track may lie earlier, how far one party is
	// behind the other, and a chunk.
	windowLoss = 2*8000 + 4000 + apart + (64<<10)/4
	// openWindow is the first of them.
	openWindow = 2 * 8000
)

// assurance follows what of encrypted recordings is durable for sure, by what was written before each sync of a segment. It knows nothing of clocks: how much audio comes between two
// syncs is the machine's affair.
type assurance struct {
	mu    sync.Mutex
	calls map[string]*assured // by folder's name
}

// assured is one recording. A step takes all that was written before the sync of the step before it was asked for; it notes how long the audio is, has encrypted what was noted a window
// ago, and is made durable by its own sync.
type assured struct {
	written int64
	asked   []int64 // what was written when each sync was asked for
	sure    int64
}

func folderName(dir string) string { return strings.TrimSuffix(filepath.Base(dir), ".partial") }

// wrote notes how much of a recording was written.
func (a *assurance) wrote(r *recorder.Recording, samples int64) {
	if a == nil {
		return
	}
	name := folderName(r.Result().Dir)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.calls[name] == nil {
		a.calls[name] = &assured{}
	}
	a.calls[name].written = samples
}

// syncs notes that a file is about to be made durable, and when it is.
func (a *assurance) syncs(file string) (done func(error)) {
	if a == nil || filepath.Ext(file) != ".age" || !strings.HasPrefix(filepath.Base(file), "audio-") {
		return func(error) {}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.calls[folderName(filepath.Dir(file))]
	if c == nil {
		return func(error) {}
	}
	c.asked = append(c.asked, c.written)
	n, will := len(c.asked)-1, int64(0)
	for k := 1; k < n; k++ { // what step k noted is final for step n, which has heard at least as far as the sync before it
		if c.asked[k] <= c.asked[n-1]-openWindow {
			will = c.asked[k-1] - (windowLoss - openWindow)
		}
	}
	return func(err error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		if err == nil {
			c.sure = max(c.sure, will)
		}
	}
}

// promised gives what is sure.
func (a *assurance) promised() map[string]int64 {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	out := map[string]int64{}
	for name, c := range a.calls {
		out[name] = c.sure
	}
	return out
}

// TestAPowerLossTakesOfEncryptedAudioTheOpenWindowAndAChunkAtMost cuts the power at random syncs of a store that encrypts: what was final and made durable is there, can be decrypted, and
// is right to the sample; nothing that can't be decrypted is promised. EARSHOT_CUTS says how often.
func TestAPowerLossTakesOfEncryptedAudioTheOpenWindowAndAChunkAtMost(t *testing.T) {
	n := 8
	if s := os.Getenv("EARSHOT_CUTS"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	for done := 0; done < n; done += sessionCuts {
		t.Run("", func(t *testing.T) { sealedCutSession(t, min(sessionCuts, n-done)) })
	}
}

func sealedCutSession(t *testing.T, cuts int) {
	const live = 8
	m := newMains(t, rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 2)), 60, what{to: newIdentity(t)}) //nolint:gosec // a test's
	stop := make(chan struct{})
	var talking sync.WaitGroup
	talking.Go(func() { m.talk(live, stop) })
	t.Cleanup(func() { close(stop); talking.Wait() })
	checked := 0
	for i := range cuts {
		eventually(t, "something is sure of most", func() bool { return sureOf(m.sure.promised()) >= live/2 })
		l := m.next()
		if l.err != nil {
			t.Fatal(l.err)
		}
		if i%3 == 2 {
			again := lossWhileFinishing(t, l, m.chance())
			checkSealedLoss(t, again)
			if err := os.RemoveAll(again.dir); err != nil {
				t.Fatal(err)
			}
		}
		checked += checkSealedLoss(t, l)
		if t.Failed() {
			t.Fatalf("cut %d: the folder is %s", i, keepDir(l.dir))
		}
		if err := os.RemoveAll(l.dir); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d cuts: %d recordings had something that was sure", cuts, checked)
	if checked == 0 {
		t.Error("nothing was sure of any")
	}
}

func sureOf(promised map[string]int64) (n int) {
	for _, samples := range promised {
		if samples > 0 {
			n++
		}
	}
	return n
}

// checkSealedLoss starts a store on what was left, and looks at every recording; it gives how many of them had something that was sure.
func checkSealedLoss(t *testing.T, l loss) (checked int) {
	t.Helper()
	partials, _ := filepath.Glob(filepath.Join(l.dir, "2026/11/23/*.partial"))
	cfg := l.of.config(l.dir)
	cfg.Beneath(func(*os.File, func() error) error { return nil }, nil) // not what this is about
	s, stop := start(t, cfg)
	eventually(t, "all finished", func() bool { return len(s.Repaired()) == len(partials) })
	stop()
	if v := verified(t, l.dir, l.of.to); v.Live != 0 || len(v.Findings) > 0 {
		t.Errorf("verify, with the identity: %+v", v)
	}
	for _, res := range s.Repaired() {
		least := l.promised[filepath.Base(res.Dir)]
		if least > 0 {
			checked++
		}
		if res.Err == nil && res.State != recorder.StatePartial { // it was sealed but for its name, and verified against all hashes; or nothing of it was final
			if res.Samples < least {
				t.Errorf("%s: %d samples, want %d at least", res.Dir, res.Samples, least)
			}
			continue
		}
		checkSealedRepair(t, l.dir, res, least, l.of.to)
	}
	for name, least := range l.promised {
		if all, _ := filepath.Glob(filepath.Join(l.dir, "2026/11/23", name)); least > 0 && len(all) != 1 {
			t.Errorf("%s: found %v, want it once", name, all)
		}
	}
	for id, res := range l.sealed {
		m, err := recorder.ReadManifest(filepath.Join(l.dir, "2026/11/23", filepath.Base(res.Dir)))
		if err != nil || m.State != res.State || m.Audio != nil && m.Audio.SHA256 != res.SHA256 {
			t.Errorf("%s: was sealed, and is not as it was: %v", id, err)
		}
	}
	for _, f := range grep(t, l.dir, words()) {
		t.Errorf("sound in %s", f)
	}
	return checked
}
