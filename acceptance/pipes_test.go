package acceptance

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/needs"
	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
)

// pipes reads docs/pipes.md: the lines to run, and the configuration.
func pipes(t *testing.T) (commands []string, config string) {
	t.Helper()
	yaml := false
	for line := range strings.Lines(readFile(t, "../docs/pipes.md")) {
		text, ok := strings.CutPrefix(line, "    ")
		switch yaml = ok && (yaml || text == "stream:\n"); {
		case yaml:
			config += text
		case ok:
			commands = append(commands, strings.TrimSpace(text))
		}
	}
	return commands, config
}

// TestTheLinesOfThePipesPageHearTheCall runs all of them, and looks at what is in the files that they make.
func TestTheLinesOfThePipesPageHearTheCall(t *testing.T) {
	needs.Programs(t, "sox", "ffmpeg", "curl")
	t.Parallel()
	commands, config := pipes(t)
	const token = "a-token-of-the-pipes-page-that-is-long"
	sim := ringCentral(t, 1)
	dir := t.TempDir()
	yaml := string(sim.YAML("tls")) + config + "console: {listen: \"127.0.0.1:0\", auth: {token: " + token + "}}\n"
	d := write(t, yaml)
	if err := os.Rename(d.config, filepath.Join(dir, "earshot.yaml")); err != nil {
		t.Fatal(err)
	}
	d.home, d.config = dir, filepath.Join(dir, "earshot.yaml")
	d = d.runReady(t, quick)
	at := consoleAt.FindStringSubmatch(d.log.String())
	if at == nil {
		t.Fatal("no console")
	}

	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var running sync.WaitGroup
	for _, line := range commands {
		cmd := exec.CommandContext(ctx, "sh", "-c", strings.ReplaceAll(line, "127.0.0.1:8080", at[1]))
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "PATH="+filepath.Dir(earshot)+":"+os.Getenv("PATH"), "TOKEN="+token)
		cmd.WaitDelay = 5 * time.Second
		running.Go(func() {
			if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("%s: %v\n%s", line, err, out)
			}
		})
	}
	done := make(chan struct{})
	go func() { running.Wait(); close(done) }()
	calls := talkUntil(t, sim, done)
	d.terminate(t)
	files := look(t, dir, calls)
	if want := len(commands) + 3; files != want || len(commands) != 9 { // programs: one for each party, one for the call
		t.Errorf("%d files of %d commands, want %d of 9", files, len(commands), want)
	}
}

// talkUntil lets calls come, one after the other, until done: a command that came too late for one hears the next.
func talkUntil(t *testing.T, sim *ringsim.Sim, done <-chan struct{}) (calls []*ringsim.Call) {
	t.Helper()
	for range 5 {
		c := begin(t, sim, 1, func(int) ringsim.CallSpec { return ringsim.CallSpec{} })
		said(t, c, 3*time.Second)
		hangUp(t, c)
		calls = append(calls, c...)
		end := time.NewTimer(10 * time.Second)
		select {
		case <-done:
			end.Stop()
			return calls
		case <-end.C:
		}
	}
	t.Error("some commands did not end with a call")
	return calls
}

// look wants sound in each file, and in a lossless one of one party what that party said.
func look(t *testing.T, dir string, calls []*ringsim.Call) (files int) {
	t.Helper()
	party := regexp.MustCompile(`^(agent|customer|fifo|stereo|program-agent|program-customer)\.flac$`)
	for _, path := range glob(t, dir, "*.*") {
		name := filepath.Base(path)
		switch fi, err := os.Stat(path); {
		case err != nil:
			t.Fatal(err)
		case fi.Mode()&(fs.ModeSocket|fs.ModeNamedPipe) != 0, strings.HasPrefix(name, "earshot."):
			continue
		}
		files++
		if name == "pauses.txt" {
			if text := readFile(t, path); !strings.Contains(text, "size=N/A") && !strings.Contains(text, "time=00:00:0") {
				t.Errorf("%s: no sound was looked at:\n%s", name, text)
			}
			continue
		}
		out, err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-i", path, "-f", "s16le", "-").Output()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		pcm := oracle.S16LE(out)
		if len(pcm) < 8000 {
			t.Errorf("%s: %d samples, want a second at least", name, len(pcm))
			continue
		}
		if m := party.FindStringSubmatch(name); m != nil {
			wantParty(t, name, pcm, calls)
		}
	}
	return files
}

// wantParty wants a second of a file, in one piece, to be what the party said in one of the calls: where a busy machine moves or cuts what is heard live is no
// matter of the page's.
func wantParty(t *testing.T, name string, pcm []int16, calls []*ringsim.Call) {
	t.Helper()
	role, stereo := ringsim.RoleAgent, name == "stereo.flac" || name == "fifo.flac"
	if stereo || strings.Contains(name, "customer") {
		role = ringsim.RoleCustomer
	}
	if stereo {
		for i := range len(pcm) / 2 {
			pcm[i] = pcm[2*i] // the left side
		}
		pcm = pcm[:len(pcm)/2]
	}
	const second, step = 8000, 800
	longest := 0
	for _, c := range calls {
		s := streamOf(t, c, role)
		sent := s.Sent()
		from, until := sent[0].Pos, sent[len(sent)-1].Pos+int64(sent[len(sent)-1].Octets)
		for off := 0; off < len(pcm) && longest < second; off += step {
			at, ok := oracle.Find(pcm[off:], s.Law(), s.Source, from, until)
			if !ok || pcm[off] == 0 { // it begins with silence, which Find passes over
				continue
			}
			n := 0
			for _, v := range oracle.PCM(s.Law(), s.Source, at, min(len(pcm)-off, int(until-at))) {
				if pcm[off+n] != v {
					break
				}
				n++
			}
			longest = max(longest, n)
		}
	}
	if longest < second {
		t.Errorf("%s: of %d samples %d in one piece are what the %s said, want a second", name, len(pcm), longest, role)
	}
}
