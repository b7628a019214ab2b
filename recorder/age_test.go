package recorder_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/earshot/earshot/internal/needs"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/recorder/evidence"
)

// scriptOf gives the first shell script of a page.
func scriptOf(t *testing.T, page string) string {
	t.Helper()
	b, err := os.ReadFile(page)
	must(t, err)
	_, rest, _ := strings.Cut(string(b), "```sh\n")
	script, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatalf("%s has no script", page)
	}
	return script
}

// shell runs a script with arguments.
func shell(script string, args ...string) (out []byte, errs string, err error) {
	cmd := exec.Command("sh", append([]string{"-c", script, "sh"}, args...)...)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err = cmd.Run()
	return o.Bytes(), e.String(), err
}

// TestAgeAndCatGiveTheAudioBack runs the scripts of docs/encryption.md, docs/keys.md and docs/evidence.md with other people's programs.
func TestAgeAndCatGiveTheAudioBack(t *testing.T) {
	t.Parallel()
	needs.Programs(t, "age", "sox", "openssl", "sha256sum", "base64", "xxd")
	dir, id, next := filepath.Join(t.TempDir(), "recordings"), newIdentity(t), newIdentity(t)
	mine, theirs, to := filepath.Join(t.TempDir(), "me"), filepath.Join(t.TempDir(), "they"), filepath.Join(t.TempDir(), "to")
	must(t, os.WriteFile(mine, []byte(id.String()+"\n"), 0o600))
	must(t, os.WriteFile(theirs, []byte(next.String()+"\n"), 0o600))
	must(t, os.WriteFile(to, []byte(next.Recipient().String()+"\n"), 0o600))
	s, stop := start(t, recorder.Config{Dir: dir, Recipients: []string{id.Recipient().String(), newIdentity(t).Recipient().String()}, Sign: true})
	r := open(t, s, stereoInfo("c"))
	k := pair()
	spoken(r, 0, 62, k...)
	res, m := seal(t, r)
	stop()
	listen := scriptOf(t, "../docs/encryption.md")
	heard := func(identity string) {
		t.Helper()
		wav, errs, err := shell(listen, dir, res.Dir, identity)
		if err != nil {
			t.Fatalf("%v: %s", err, errs)
		}
		out := t.TempDir()
		must(t, os.WriteFile(filepath.Join(out, recorder.AudioName), wav, 0o600))
		w := readWave(t, out)
		sameSamples(t, "left", w.pcm(0), expect(m.Samples, k[0]))
		sameSamples(t, "right", w.pcm(1), expect(m.Samples, k[1]))
		info, errs, err := shell(`sox --i "$1" && sha256sum "$1"`, filepath.Join(out, recorder.AudioName))
		if want := fmt.Sprintf("= %d samples", m.Samples); err != nil || !strings.Contains(string(info), want) || !strings.Contains(string(info), m.Audio.SHA256) {
			t.Errorf("sox, sha256sum: %v, %s%s, want %q and %s", err, info, errs, want, m.Audio.SHA256)
		}
	}
	heard(mine)
	if _, errs, err := shell(listen, dir, res.Dir, theirs); err == nil {
		t.Errorf("a stranger can listen: %s", errs)
	}
	if out, errs, err := shell(scriptOf(t, "../docs/keys.md"), filepath.Join(dir, "keys"), mine, to); err != nil {
		t.Fatalf("keys anew: %v: %s%s", err, out, errs)
	}
	heard(theirs)
	if _, errs, err := shell(listen, dir, res.Dir, mine); err == nil {
		t.Errorf("who went can listen still: %s", errs)
	}
	if v := verified(t, dir, next); v.Good != 1 || len(v.Findings) != 0 {
		t.Errorf("verify, the key encrypted anew: %d good, %v", v.Good, v.Findings)
	}
	out, errs, err := shell(scriptOf(t, "../docs/evidence.md"), res.Dir, filepath.Join(dir, evidence.DirName, evidence.PublicKeyName), filepath.Join(dir, evidence.DirName, evidence.LogName))
	if err != nil || !strings.Contains(string(out), "audio-000002.pcm.age: OK") || !strings.Contains(string(out), "audio.head: OK") {
		t.Errorf("the expert's shell: %v: %s%s", err, out, errs)
	}
}
