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

func TestWhatTheDiskDidNotTakeOfSIPIsGivenAgain(t *testing.T) {
	for what, text := range map[string]string{"with the next piece": "two\n", "when sealing": ""} {
		t.Run(what, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "recordings")
			s, _ := start(t, recorder.Config{Dir: dir})
			r := open(t, s, monoInfo("stubborn"))
			var folders []string
			eventually(t, "a folder", func() bool {
				folders, _ = filepath.Glob(filepath.Join(dir, "*", "*", "*", "*.partial"))
				return len(folders) == 1
			})
			path := filepath.Join(folders[0], recorder.SIPName)
			if err := os.MkdirAll(filepath.Join(path, "in the way"), 0o700); err != nil { // nothing can be put in its place
				t.Fatal(err)
			}
			r.AddSIP("one\n")
			eventually(t, "a try that failed", func() bool { return s.Counters().Errors > 0 })
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			if text != "" {
				r.AddSIP(text)
				eventually(t, "both there", func() bool { b, err := os.ReadFile(path); return err == nil && string(b) == "one\n"+text })
			}
			res, _ := seal(t, r)
			if b, err := os.ReadFile(filepath.Join(res.Dir, recorder.SIPName)); err != nil || string(b) != "one\n"+text {
				t.Errorf("got %q, %v; want %q", b, err, "one\n"+text)
			}
		})
	}
}
