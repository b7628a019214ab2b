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

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/recorder/evidence"
)

// sealEnv tells the child which round it is: it seals signed recordings, one after the other, several at once.
const sealEnv = "EARSHOT_RECORDER_SEALS"

// sealer is a child that says a line for each recording that it opens, until somebody kills it.
func sealer() {
	s, ctx := childStore(recorder.Config{Sign: true, Sync: 100 * time.Millisecond})
	var live []*recorder.Recording
	for i := 0; ctx.Err() == nil; i++ {
		info := stereoInfo(fmt.Sprintf("round-%s-%d", os.Getenv(sealEnv), i))
		info.Started = morning.Add(time.Duration(i) * time.Second)
		r, err := s.Open(info, anchor)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		writeSome(r, 10)
		fmt.Println(info.ID)
		if live = append(live, r); len(live) < 20 {
			continue
		}
		live[0].End(call.Cause{Code: call.CodeHangup})
		live[10].End(call.Cause{Code: call.CodeHangup})
		<-live[0].Sealed()
		live = append(live[1:10], live[11:]...)
	}
}

// TestWhatAKilledDaemonSealedVerifies kills it at random moments of sealing, over and over, in one directory.
func TestWhatAKilledDaemonSealedVerifies(t *testing.T) {
	n := 4
	if s := os.Getenv("EARSHOT_KILLS"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	dir := filepath.Join(t.TempDir(), "recordings")
	calls, repaired := 0, 0
	for round := range n {
		told := killedChild(t, dir, sealEnv+"="+strconv.Itoa(round), lines(20), rand.N(400*time.Millisecond))
		calls += len(told)
		partials, _ := filepath.Glob(filepath.Join(dir, "2026/11/23/*.partial"))
		s, stop := start(t, recorder.Config{Dir: dir, Sign: true})
		eventually(t, "all finished", func() bool { return len(s.Repaired()) == len(partials) })
		stop()
		repaired += len(partials)
		for _, r := range s.Repaired() {
			if r.Err != nil {
				t.Errorf("round %d: %s: %v", round, r.Dir, r.Err)
			}
		}
		for _, id := range told {
			if got, _ := filepath.Glob(filepath.Join(dir, "2026/11/23/*_"+id)); len(got) != 1 {
				t.Errorf("round %d: %s: %d folders, want 1", round, id, len(got))
			}
		}
		key, err := evidence.LoadPublic(filepath.Join(dir, evidence.DirName, evidence.PublicKeyName))
		if err != nil {
			t.Fatal(err)
		}
		v, bad := verify(t, dir, key)
		if bad != "" || v.Live != 0 || v.Good < calls || int64(2*v.Good-v.Unannounced) != v.Leaves {
			t.Fatalf("round %d: %d calls: good %d, live %d, leaves %d\n%s", round, calls, v.Good, v.Live, v.Leaves, bad)
		}
	}
	if logs, _ := filepath.Glob(filepath.Join(dir, evidence.DirName, "log-*")); len(logs) > 0 {
		t.Errorf("logs were put aside: %s", strings.Join(logs, " "))
	}
	t.Logf("%d kills, %d recordings, %d finished after a start", n, calls, repaired)
}
