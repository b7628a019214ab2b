package recorder_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/earshot/earshot/internal/needs"
	"github.com/earshot/earshot/recorder/evidence"
)

// TestTheExpertsShellAgrees runs the script of docs/evidence.md on what we recorded, and on what somebody changed.
func TestTheExpertsShellAgrees(t *testing.T) {
	needs.Programs(t, "openssl", "sha256sum", "base64", "xxd")
	script := scriptOf(t, "../docs/evidence.md")
	if n := strings.Count(script, "\n"); n > 32 {
		t.Errorf("%d lines, want about 30", n)
	}
	dir, _, _ := archive(t, 7)
	folder := filepath.Join(dir, folders(t, dir)[0])
	run := func() (string, error) {
		cmd := exec.Command("sh", "-c", script, "sh", folder, filepath.Join(dir, evidence.DirName, evidence.PublicKeyName), filepath.Join(dir, evidence.DirName, evidence.LogName))
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := run()
	if err != nil || strings.Count(out, "Signature Verified Successfully") != 2 || !strings.Contains(out, "audio.wav: OK") || !strings.Contains(out, "events.jsonl: OK") || !strings.Contains(out, "root of 14 lines: OK") {
		t.Fatalf("%v:\n%s", err, out)
	}
	good := snapshot(t, dir)
	for _, name := range []string{"audio.wav", "recording.json", "recording.sig", "events.jsonl", "../../../../evidence/log/leaves.jsonl", "../../../../evidence/log/checkpoint"} {
		name = filepath.Join(folder, name)
		b, err := os.ReadFile(name)
		must(t, err)
		b[len(b)/2] ^= 1
		must(t, os.WriteFile(name, b, 0o600))
		if out, err := run(); err == nil {
			t.Errorf("%s was changed, and the script is content:\n%s", filepath.Base(name), out)
		}
		restore(t, dir, good)
	}
}
