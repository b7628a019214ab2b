package recorder_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/earshot/earshot/recorder"
)

func TestWhatWasSaidInSIPIsAFileOfTheRecording(t *testing.T) {
	s, _ := start(t, recorder.Config{})
	r, plain := open(t, s, monoInfo("bad")), open(t, s, monoInfo("good"))
	r.AddSIP("one\n")
	r.AddSIP("two\n")
	r.AddSIP(strings.Repeat("x", 300<<10))
	r.AddSIP("three\n")
	res, _ := seal(t, r)
	b, err := os.ReadFile(filepath.Join(res.Dir, recorder.SIPName))
	if err != nil || !strings.HasPrefix(string(b), "one\ntwo\nxxx") || len(b) != 256<<10 {
		t.Errorf("got %d octets, %v, want 256 KiB that begin with both", len(b), err)
	}
	if st, err := os.Stat(filepath.Join(res.Dir, recorder.SIPName)); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode: %v, %v", st, err)
	}
	r.AddSIP("late")
	res, _ = seal(t, plain)
	if _, err := os.Stat(filepath.Join(res.Dir, recorder.SIPName)); !os.IsNotExist(err) {
		t.Errorf("of a call that went well: %v, want no file", err)
	}
}
