package recorder_test

import (
	"path/filepath"
	"sync"
	"testing"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/recorder"
)

// TestWhatIsSealedIsTold: under its final name, and also what is finished after a crash.
func TestWhatIsSealedIsTold(t *testing.T) {
	var mu sync.Mutex
	told := map[string]recorder.State{}
	tell := func(res recorder.Result) {
		mu.Lock()
		defer mu.Unlock()
		told[filepath.Base(res.Dir)] = res.State
		if m, err := recorder.ReadManifest(res.Dir); err != nil || m.State != res.State {
			t.Errorf("%s: %v, %v", res.Dir, m, err)
		}
	}
	dir := abandoned(t, func(string) {})
	s, stop := start(t, recorder.Config{Dir: dir, Sealed: tell})
	r := open(t, s, monoInfo("told"))
	k := newTalker(1, call.RoleMix, 0)
	r.Write(batch(0, k.speaks(50), k))
	res, _ := seal(t, r)
	eventually(t, "the repair is told", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(told) == 2
	})
	stop()
	if got := told[filepath.Base(res.Dir)]; got != recorder.StateRecorded {
		t.Errorf("told of %s: %q, want recorded", res.Dir, got)
	}
}
