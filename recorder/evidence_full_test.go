package recorder_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/recorder/evidence"
)

// TestALogThatCantBeWrittenCostsNoRecording: recordings are written to the end, told of once, and sealed when it can be written again.
func TestALogThatCantBeWrittenCostsNoRecording(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "recordings")
	var d diary
	s, stop := start(t, recorder.Config{Dir: dir, Sign: true, Log: d.log()})
	blocker := filepath.Join(dir, evidence.DirName, evidence.LogName, "checkpoint.next")
	if err := os.Mkdir(blocker, 0o700); err != nil {
		t.Fatal(err)
	}
	const calls = 20
	for i := range calls {
		info := stereoInfo(fmt.Sprint("full-", i))
		info.Started = morning.Add(time.Duration(i) * time.Minute)
		r := open(t, s, info)
		writeSome(r, 20)
		r.End(hangup)
		<-r.Sealed()
		if res := r.Result(); res.Err == nil || res.Samples == 0 {
			t.Fatalf("got %+v, want samples, and an error of sealing", res)
		}
	}
	d.mu.Lock()
	said := strings.Count(d.b.String(), "level=ERROR")
	d.mu.Unlock()
	if said != 1 {
		t.Errorf("told %d times, want once in 10 s\n%s", said, d.b.String())
	}
	if err := os.Remove(blocker); err != nil {
		t.Fatal(err)
	}
	key, err := evidence.LoadPublic(filepath.Join(dir, evidence.DirName, evidence.PublicKeyName))
	if err != nil {
		t.Fatal(err)
	}
	if v, bad := verify(t, dir, key); bad != "" || v.Live != calls {
		t.Errorf("while they wait: %+v\n%s", v, bad)
	}
	stop()
	if v, bad := verify(t, dir, key); bad != "" || v.Good != calls || v.Leaves != 2*calls {
		t.Errorf("after all: %+v\n%s", v, bad)
	}
}
