package recorder_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/recorder/evidence"
)

// rotated is an archive whose first recordings an older key signed.
func rotated(t *testing.T) (dir string, cfg recorder.VerifyConfig, keptOfOld, keptOfNew *evidence.Checkpoint) {
	t.Helper()
	dir, old, keptOfOld := archive(t, 3)
	if err := os.Remove(filepath.Join(dir, "evidence", "key.pem")); err != nil {
		t.Fatal(err)
	}
	s, stop := start(t, recorder.Config{Dir: dir, Sign: true})
	info := stereoInfo("new")
	info.Started = morning.Add(24 * time.Hour)
	r := open(t, s, info)
	writeSome(r, 30)
	seal(t, r)
	stop()
	key, err := evidence.LoadPublic(filepath.Join(dir, "evidence", "key.pub"))
	if err != nil {
		t.Fatal(err)
	}
	return dir, recorder.VerifyConfig{Key: key, Older: []*evidence.Public{old}}, keptOfOld, newest(t, dir, key)
}

// verifyWith gives what is wrong as text.
func verifyWith(t *testing.T, dir string, cfg recorder.VerifyConfig, kept ...*evidence.Checkpoint) (*recorder.Verified, string) {
	t.Helper()
	c, err := recorder.OpenCatalog(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	cfg.Kept = kept
	v, err := c.Verify(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	bad := ""
	for _, f := range v.Findings {
		bad += f.Kind + " " + f.What + ": " + f.Text + "\n"
	}
	return v, bad
}

func TestAnArchiveOfTwoKeysIsVerifiedAtOnce(t *testing.T) {
	dir, cfg, keptOfOld, keptOfNew := rotated(t)
	v, bad := verifyWith(t, dir, cfg, keptOfOld, keptOfNew)
	if v.Good != 4 || v.Leaves != 9 || v.Proven != 9 || bad != "" {
		t.Errorf("got %+v\n%s", v, bad)
	}
}

// TestALogThatWasPutAsideIsHeldByTheOneAfterIt: with what it names it is not taken away unseen, nor put back to an older state.
func TestALogThatWasPutAsideIsHeldByTheOneAfterIt(t *testing.T) {
	dir, cfg, keptOfOld, keptOfNew := rotated(t)
	names := folders(t, dir)
	good := snapshot(t, dir)
	remove := func(name string) {
		t.Helper()
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	remove("evidence/log-1")
	for _, n := range names[:3] {
		remove(n)
	}
	if _, bad := verifyWith(t, dir, cfg); !strings.Contains(bad, "removed evidence/log-1") {
		t.Errorf("the old log is gone: got\n%s", bad)
	}
	restore(t, dir, good)

	// The older state of the old log is one that its key signed, as its owner may have a copy of.
	yesterday, old := oneOf(t)
	remove("evidence/log-1")
	if err := os.CopyFS(filepath.Join(dir, "evidence", "log-1"), os.DirFS(filepath.Join(yesterday, "evidence", "log"))); err != nil {
		t.Fatal(err)
	}
	cfg.Older = append(cfg.Older, old)
	if _, bad := verifyWith(t, dir, cfg); !strings.Contains(bad, "rolled_back evidence/log-1") || !strings.Contains(bad, "changed evidence/log-1") {
		t.Errorf("another in its place: got\n%s", bad)
	}
	restore(t, dir, good)

	remove("evidence/log")
	remove(names[3])
	if err := os.Rename(filepath.Join(dir, "evidence", "log-1"), filepath.Join(dir, "evidence", "log")); err != nil {
		t.Fatal(err)
	}
	if _, bad := verifyWith(t, dir, recorder.VerifyConfig{Key: cfg.Older[0]}, keptOfOld); bad != "" {
		t.Errorf("the old key, log and checkpoint alone: got\n%s", bad)
	}
	if _, bad := verifyWith(t, dir, cfg, keptOfNew); !strings.Contains(bad, "evidence/log") {
		t.Errorf("put back to before the new key: got\n%s", bad)
	}
}

// TestALogOfAnOldKeyIsNotLaidBeside: whoever has a key of before can sign, but not with what the newest key signed.
func TestALogOfAnOldKeyIsNotLaidBeside(t *testing.T) {
	dir, cfg, _, _ := rotated(t)
	foreign, old := oneOf(t)
	cfg.Older = append(cfg.Older, old)
	for from, to := range map[string]string{"evidence/log": "evidence/log-7", folders(t, foreign)[0]: "2026/11/23/20261123T235959Z_x"} {
		if err := os.CopyFS(filepath.Join(dir, to), os.DirFS(filepath.Join(foreign, from))); err != nil {
			t.Fatal(err)
		}
	}
	if _, bad := verifyWith(t, dir, cfg); !strings.Contains(bad, "added evidence/log-7") || !strings.Contains(bad, "added 2026/11/23/20261123T235959Z_x") {
		t.Errorf("got\n%s", bad)
	}
}

// oneOf is an archive of one recording.
func oneOf(t *testing.T) (dir string, key *evidence.Public) {
	dir, key, _ = archive(t, 1)
	return dir, key
}
