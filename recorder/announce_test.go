package recorder_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/recorder/evidence"
)

// begun has a signed recording open until the log names it, and gives a copy of the directory as a kill would leave it.
func begun(t *testing.T) (dir string, key *evidence.Public) {
	t.Helper()
	made := filepath.Join(t.TempDir(), "recordings")
	s, stop := start(t, recorder.Config{Dir: made, Sign: true})
	r := open(t, s, stereoInfo("begun"))
	writeSome(r, 20)
	log := filepath.Join(made, evidence.DirName, evidence.LogName)
	eventually(t, "its beginning in the log, and a sync", func() bool {
		b, err := os.ReadFile(filepath.Join(log, "leaves.jsonl"))
		head, _ := os.ReadFile(filepath.Join(log, "checkpoint")) // it names the leaf: the append is over
		return err == nil && strings.Contains(string(b), `"type":"opened"`) && strings.Contains(string(head), "\n1\n") && readWaveSafe(r.Result().Dir) > 0
	})
	dir = filepath.Join(t.TempDir(), "recordings")
	if err := os.CopyFS(dir, os.DirFS(made)); err != nil {
		t.Fatal(err)
	}
	r.End(hangup)
	stop()
	return dir, publicKey(t, dir)
}

// readWaveSafe is how long audio.wav is, 0 where there is none.
func readWaveSafe(dir string) int64 {
	fi, err := os.Stat(filepath.Join(dir, recorder.AudioName))
	if err != nil {
		return 0
	}
	return fi.Size()
}

func TestACallThatWasBegunAndIsGoneIsNamed(t *testing.T) {
	dir, key := begun(t)
	if v, bad := verify(t, dir, key); bad != "" || v.Live != 1 {
		t.Fatalf("while it is there: %d live\n%s", v.Live, bad)
	}
	partials, _ := filepath.Glob(filepath.Join(dir, "2026/11/23/*.partial"))
	if err := os.RemoveAll(partials[0]); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a start changes nothing
		v, bad := verify(t, dir, key)
		if len(v.Findings) != 1 || !strings.HasPrefix(bad, "removed 2026/11/23/20261123T101500Z_begun: the log says that this recording was begun at 2") {
			t.Errorf("got\n%s", bad)
		}
		_, stop := start(t, recorder.Config{Dir: dir, Sign: true})
		stop()
	}
}

func TestAFolderThatNobodyAnnouncedIsFinishedAndSaysSo(t *testing.T) {
	dir, key := begun(t)
	day := filepath.Join(dir, "2026/11/23")
	partials, _ := filepath.Glob(filepath.Join(day, "*.partial"))
	if err := os.CopyFS(filepath.Join(day, "20261123T101500Z_forged.partial"), os.DirFS(partials[0])); err != nil {
		t.Fatal(err)
	}
	s, stop := start(t, recorder.Config{Dir: dir, Sign: true})
	eventually(t, "both finished", func() bool { return len(s.Repaired()) == 2 })
	stop()
	for name, want := range map[string]bool{"begun": false, "forged": true} {
		m, err := recorder.ReadManifest(filepath.Join(day, "20261123T101500Z_"+name))
		if err != nil || m.Unannounced != want {
			t.Errorf("%s: unannounced: got %v, %v, want %v", name, m.Unannounced, err, want)
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, evidence.DirName, evidence.LogName, "leaves.jsonl"))
	if err != nil || strings.Count(string(b), `"unannounced":true`) != 1 || strings.Count(string(b), `"type":"opened"`) != 1 {
		t.Errorf("log: %v\n%s", err, b)
	}
	if v, bad := verify(t, dir, key); bad != "" || v.Good != 2 || v.Unannounced != 1 {
		t.Errorf("verify: %d good, %d unannounced\n%s", v.Good, v.Unannounced, bad)
	}
}

// TestOpenDoesNotWaitForTheEvidenceLog: the log's disk stands still, and calls begin all the same; they are announced when it goes on.
func TestOpenDoesNotWaitForTheEvidenceLog(t *testing.T) {
	var z freeze
	cfg := recorder.Config{Dir: filepath.Join(t.TempDir(), "recordings"), Sign: true}
	cfg.Beneath(func(_ *os.File, ask func() error) error { z.wait(); return ask() }, nil)
	s, stop := start(t, cfg)
	t.Cleanup(z.end)
	z.begin()
	const n = 10
	recs := make([]*recorder.Recording, n)
	for i := range recs {
		info := stereoInfo("call")
		info.ID += string(rune('a' + i))
		recs[i] = open(t, s, info) // would hang
		writeSome(recs[i], 5)
	}
	z.end()
	for _, r := range recs {
		seal(t, r)
	}
	stop()
	v, bad := verify(t, cfg.Dir, publicKey(t, cfg.Dir))
	if bad != "" || v.Good != n || v.Leaves != 2*n {
		t.Errorf("verify: %d good, %d leaves\n%s", v.Good, v.Leaves, bad)
	}
}
