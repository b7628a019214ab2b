package recorder_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/recorder/evidence"
)

// talkEnv tells the child which round it is: it has 20 calls live, signed, that begin and end all the time.
const talkEnv = "EARSHOT_RECORDER_TALKS"

// babbler is that child. It says a line when it is ready, and one for each recording that is sealed.
func babbler() {
	s, err := recorder.New(recorder.Config{Dir: os.Getenv(childEnv), Sign: true, Sync: 100 * time.Millisecond})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	go s.Run(ctx)
	m := &mains{store: s, prefix: "-" + os.Getenv(talkEnv), sealed: map[string]recorder.Result{}}
	m.told = func(r recorder.Result) { fmt.Println(r.CallID, filepath.Base(r.Dir), r.SHA256) }
	fmt.Println("ready")
	m.talk(20, ctx.Done())
	os.Exit(0)
}

// killedWhileTalking kills the child some time after it began, and gives what it had told to be sealed.
func killedWhileTalking(t *testing.T, dir, round string, after time.Duration) map[string]recorder.Result {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childEnv+"="+dir, talkEnv+"="+round)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var killed atomic.Bool
	sealed := map[string]recorder.Result{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if lines.Text() == "ready" {
			time.AfterFunc(after, func() { killed.Store(true); _ = cmd.Process.Kill() })
			continue
		}
		if f := strings.Fields(lines.Text()); len(f) == 3 {
			sealed[f[0]] = recorder.Result{CallID: f[0], Dir: f[1], SHA256: f[2]}
		}
	}
	_ = cmd.Wait() // it was killed
	if !killed.Load() {
		t.Fatalf("round %s: the child ended by itself", round)
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
