package recorder_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/recorder/evidence"
)

// TestUntouchedArchivesRaiseNoAlarm: daemons at random, that record, are asked for things, end and begin anew. Nobody touches what they wrote, so verify finds nothing,
// with whatever checkpoint was kept.
func TestUntouchedArchivesRaiseNoAlarm(t *testing.T) {
	n, seed := 60, rand.Uint64()
	if s := os.Getenv("EARSHOT_CASES"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	if s := os.Getenv("EARSHOT_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("EARSHOT_SEED=%d", seed)
	root := t.TempDir()
	for i := range n {
		dir := filepath.Join(root, "recordings")
		key, kept, calls := untouched(t, rand.New(rand.NewPCG(seed, uint64(i))), dir) //nolint:gosec // a count
		if v, bad := verify(t, dir, key, kept...); bad != "" || v.Good != calls || v.Proven != v.Leaves {
			t.Fatalf("run %d: %d of %d good, %d of %d leaves proven: a false alarm: %s", i, v.Good, calls, v.Proven, v.Leaves, bad)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
}

// untouched makes an archive, and gives its key, the checkpoints that somebody kept meanwhile, and how many recordings it has.
func untouched(t *testing.T, r *rand.Rand, dir string) (key *evidence.Public, kept []*evidence.Checkpoint, calls int) {
	t.Helper()
	formats := []string{recorder.FormatWAV, recorder.FormatMulaw}
	for range 1 + r.IntN(3) {
		s, stop := start(t, recorder.Config{Dir: dir, Sign: true, Format: formats[r.IntN(2)]})
		var live []*recorder.Recording
		for range r.IntN(6) {
			switch r.IntN(4) {
			case 0:
				<-s.Act(evidence.Leaf{Act: "listen", Call: fmt.Sprint("s-", calls), Who: "uid 7, pid 9"})
			case 1:
				if len(live) > 0 {
					seal(t, live[0])
					live = live[1:]
				}
			default:
				info := stereoInfo(fmt.Sprint("s-", calls%3))
				info.Started = morning.Add(time.Duration(calls) * time.Minute)
				rec := open(t, s, info)
				if r.IntN(4) > 0 {
					writeSome(rec, 1+r.IntN(30))
				}
				live = append(live, rec)
				calls++
			}
		}
		for _, rec := range live {
			seal(t, rec)
		}
		stop()
		var err error
		if key, err = evidence.LoadPublic(filepath.Join(dir, evidence.DirName, evidence.PublicKeyName)); err != nil {
			t.Fatal(err)
		}
		if r.IntN(2) == 0 && calls > 0 {
			kept = append(kept, newest(t, dir, key))
		}
	}
	return key, kept, calls
}
