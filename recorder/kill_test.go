package recorder_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/recorder/evidence"
)

// talkEnv tells the child which round it is: it has 20 calls live, signed, that begin and end all the time.
const talkEnv = "EARSHOT_RECORDER_TALKS"

// babbler is that child. It says a line when it is ready, and one for each recording that is sealed.
func babbler() {
	s, ctx := childStore(recorder.Config{Sign: true, Sync: 100 * time.Millisecond})
	m := &mains{store: s, prefix: "-" + os.Getenv(talkEnv), sealed: map[string]recorder.Result{}}
	m.told = func(r recorder.Result) { fmt.Println(r.CallID, filepath.Base(r.Dir), r.SHA256) }
	fmt.Println("ready")
	m.talk(20, ctx.Done())
	os.Exit(0)
}

// killedWhileTalking kills the child some time after it began, and gives what it had told to be sealed.
func killedWhileTalking(t *testing.T, dir, round string, after time.Duration) map[string]recorder.Result {
	t.Helper()
	sealed := map[string]recorder.Result{}
	for _, line := range killedChild(t, dir, talkEnv+"="+round, lines(1), after) {
		if f := strings.Fields(line); len(f) == 3 {
			sealed[f[0]] = recorder.Result{CallID: f[0], Dir: f[1], SHA256: f[2]}
		}
	}
	return sealed
}

// TestAKilledDaemonLosesAndDoublesNothing kills it at random moments with 20 calls live. EARSHOT_KILLS says how often.
func TestAKilledDaemonLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	n := 6
	if s := os.Getenv("EARSHOT_KILLS"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	const rounds = 5 // in one folder
	dir, sealed, repaired := "", map[string]recorder.Result{}, 0
	for i := range n {
		if i%rounds == 0 {
			dir = filepath.Join(t.TempDir(), "recordings")
			clear(sealed)
		}
		for id, res := range killedWhileTalking(t, dir, strconv.Itoa(i), 50*time.Millisecond+rand.N(1500*time.Millisecond)) {
			sealed[id] = res
		}
		repaired += checkLoss(t, loss{dir: dir, sure: files(t, dir), sealed: sealed})
		if t.Failed() {
			t.Fatalf("kill %d: the folder is %s", i, keepDir(dir))
		}
	}
	t.Logf("%d kills, %d recordings finished after a start", n, repaired)
}

// files reads all that lies in the recordings' folders.
func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	names, err := filepath.Glob(filepath.Join(dir, "2026/11/23/*/*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = b
	}
	if _, err := evidence.LoadPublic(filepath.Join(dir, evidence.DirName, evidence.PublicKeyName)); err != nil {
		t.Fatal(err)
	}
	return all
}
