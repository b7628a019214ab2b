package recorder_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/recorder/evidence"
)

// TestACrashWhileSealingLeavesOneGoodLeaf undoes the last steps of sealing, one more each time: the next start does them again.
func TestACrashWhileSealingLeavesOneGoodLeaf(t *testing.T) {
	for _, c := range []struct {
		what string
		undo func(t *testing.T, partial, log string)
	}{
		{"the name", func(*testing.T, string, string) {}},
		{"the leaf", func(t *testing.T, _, log string) { must(t, os.RemoveAll(log)) }},
		{"the signature", func(t *testing.T, partial, log string) {
			must(t, os.RemoveAll(log))
			must(t, os.Remove(filepath.Join(partial, recorder.SignatureName)))
		}},
		{"half the signature", func(t *testing.T, partial, log string) {
			must(t, os.RemoveAll(log))
			must(t, os.Truncate(filepath.Join(partial, recorder.SignatureName), 10))
		}},
	} {
		dir := t.TempDir()
		s, stop := start(t, recorder.Config{Dir: dir, Sign: true})
		r := open(t, s, stereoInfo("cut"))
		writeSome(r, 30)
		res, _ := seal(t, r)
		stop()
		must(t, os.Rename(res.Dir, res.Dir+".partial"))
		c.undo(t, res.Dir+".partial", filepath.Join(dir, evidence.DirName, evidence.LogName))
		s, stop = start(t, recorder.Config{Dir: dir, Sign: true})
		eventually(t, "the folder is finished", func() bool { return len(s.Repaired()) == 1 })
		stop()
		key, err := evidence.LoadPublic(filepath.Join(dir, evidence.DirName, evidence.PublicKeyName))
		must(t, err)
		v, bad := verify(t, dir, key)
		if v.Good != 1 || v.Leaves != int64(2-v.Unannounced) || bad != "" {
			t.Errorf("without %s: %+v\n%s", c.what, v, bad)
		}
	}
}

func TestWhatACrashLeftIsSignedWhenItIsFinished(t *testing.T) {
	dir := abandoned(t, func(string) {})
	s, stop := start(t, recorder.Config{Dir: dir, Sign: true})
	eventually(t, "the folder is finished", func() bool { return len(s.Repaired()) == 1 })
	stop()
	key, err := evidence.LoadPublic(filepath.Join(dir, evidence.DirName, evidence.PublicKeyName))
	must(t, err)
	if v, bad := verify(t, dir, key); v.Good != 1 || bad != "" {
		t.Errorf("%+v\n%s", v, bad)
	}
	if res := s.Repaired()[0]; res.Cause.Code != call.CodeCrash {
		t.Errorf("cause: got %s", res.Cause.Code)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
