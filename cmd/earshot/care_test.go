package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/cmd/earshot/internal/config"
	"github.com/earshot/earshot/console"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/recorder/catalog"
)

// page gives the lines of a page's code blocks that begin with a prompt, and its block of YAML.
func page(t *testing.T, name string) (commands []string, yaml string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "```yaml\n")
	yaml, _, _ = strings.Cut(rest, "```")
	for line := range strings.Lines(string(b)) {
		if c, ok := strings.CutPrefix(line, "    $ earshot "); ok {
			commands = append(commands, strings.TrimSpace(c))
		}
	}
	return commands, yaml
}

// commandWords splits a command line with double quotes.
func commandWords(line string) (out []string) {
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			out = append(out, part)
			continue
		}
		out = append(out, strings.Fields(part)...)
	}
	return out
}

func TestTheExamplesOfThePageOnRetentionRun(t *testing.T) {
	commands, yaml := page(t, "../../docs/retention.md")
	if len(commands) < 12 {
		t.Fatalf("%d examples: %q", len(commands), commands)
	}
	dir := shelved(t, true, "s-1", "s-2")
	file := filepath.Join(t.TempDir(), "earshot.yaml")
	text := "sip: {domain: d, username: u, password: p}\ncontrol: {socket: " + filepath.Join(t.TempDir(), "s") + "}\n" + strings.Replace(yaml, "record:\n", "record:\n  dir: "+dir+"\n", 1)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range commands {
		var o, e strings.Builder
		if code := run(t.Context(), process{args: append([]string{"-c", file}, commandWords(c)...), out: &o, err: &e}); code != exitDone {
			t.Fatalf("earshot %s: code %d, %s%s", c, code, &o, &e)
		}
		for in, want := range map[string]string{
			"show s-1": "HELD for Miller v. Smith since", "erase s-1": "erased 2026/11/23/", "verify s-1": "request 17 of the customer", "list --call": "s-1",
			"--dry-run": "1 recordings looked at", "unhold": "no longer held",
		} {
			if strings.Contains(c, in) && !strings.Contains(o.String(), want) {
				t.Errorf("earshot %s: got %q, want %q in it", c, &o, want)
			}
		}
	}
	code, out, errs := recordings(t, "--dir", dir, "verify")
	if code != exitDone || !strings.Contains(out, "erased, as the log says: 1") {
		t.Errorf("verify: code %d, %s%s", code, out, errs)
	}
}

func TestWhatCantBeErasedSaysWhatToDo(t *testing.T) {
	dir := shelved(t, true, "s-1")
	if code, out, errs := recordings(t, "--dir", dir, "hold", "s-1", "--why", "a lawsuit"); code != exitDone {
		t.Fatalf("hold: code %d, %s%s", code, out, errs)
	}
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{exitFailed, "on legal hold", []string{"erase", "s-1", "--why", "x", "--yes"}},
		{exitUsage, "--yes", []string{"erase", "s-1", "--why", "x"}}, // nobody is there to be asked
		{exitUsage, "--why", []string{"erase", "s-1", "--yes"}},
		{exitFailed, `is "s-9"`, []string{"hold", "s-9", "--why", "x"}},
		{exitFailed, "no hold of the matter", []string{"unhold", "s-1", "--why", "x", "--matter", "other"}},
		{exitUsage, "2026-11-23T10:00", []string{"list", "--from", "yesterday"}},
		{exitUsage, "digits", []string{"list", "--number", "anna"}},
		{exitUsage, "recorded, partial", []string{"list", "--state", "lost"}},
		{exitUsage, "before", []string{"list", "--from", "2026-11-24", "--to", "2026-11-22"}},
	} {
		code, out, errs := recordings(t, append([]string{"--dir", dir}, c.args...)...)
		if code != c.code || out != "" || !strings.Contains(errs, c.want) {
			t.Errorf("%q: got code %d, stdout %q, stderr %q, want %d and %q", c.args, code, out, errs, c.code, c.want)
		}
	}
	if list, _ := filepath.Glob(filepath.Join(dir, "2026/11/23/*")); len(list) != 1 {
		t.Errorf("what is left: %q", list)
	}
}

// TestACommandBeginsNoLogAnew: a daemon that starts puts a log aside that it can't go on; a command must not.
func TestACommandBeginsNoLogAnew(t *testing.T) {
	for name, spoil := range map[string]func(string) error{
		"no key": func(ev string) error { return os.Remove(filepath.Join(ev, "key.pem")) },
		"damaged": func(ev string) error {
			return os.WriteFile(filepath.Join(ev, "log", "checkpoint"), []byte("x"), 0o600)
		},
	} {
		dir := shelved(t, true, "s-1")
		if err := spoil(filepath.Join(dir, "evidence")); err != nil {
			t.Fatal(err)
		}
		code, out, errs := recordings(t, "--dir", dir, "erase", "s-1", "--why", "x", "--yes")
		if code != exitFailed || out != "" || !strings.Contains(errs, "the evidence log has to name what is done") || !strings.Contains(errs, "hint:") {
			t.Errorf("%s: got code %d, %q, %q", name, code, out, errs)
		}
		if aside, _ := filepath.Glob(filepath.Join(dir, "evidence", "log-*")); aside != nil {
			t.Errorf("%s: it put a log aside: %q", name, aside)
		}
		if _, err := os.Stat(filepath.Join(dir, "2026/11/23/20261123T101500Z_s-1")); err != nil {
			t.Errorf("%s: the recording went: %v", name, err)
		}
	}
}

func TestAnExportGoesWithItsRecording(t *testing.T) {
	dir, file := signedShelf(t), filepath.Join(t.TempDir(), "out.wav")
	if code, out, errs := recordings(t, "--dir", dir, "export", "s-1", "--out", file); code != exitDone {
		t.Fatalf("export: code %d, %s%s", code, out, errs)
	}
	code, out, errs := recordings(t, "--dir", dir, "erase", "s-1", "--why", "she asked", "--yes", "--json")
	var done []recorder.Erasure
	if err := json.Unmarshal([]byte(out), &done); err != nil || code != exitDone {
		t.Fatalf("erase: code %d, %v, %s%s", code, err, out, errs)
	}
	if len(done) != 1 || len(done[0].Exports) != 1 || done[0].Exports[0].State != recorder.ExportErased || done[0].Exports[0].To != file {
		t.Errorf("got %s, want the export erased", out)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("%s: %v", file, err)
	}
}

// TestTheDaemonDoesItForWhoAsks: it has the directory's lock.
func TestTheDaemonDoesItForWhoAsks(t *testing.T) {
	dir := shelved(t, true, "s-1", "s-1")
	file := filepath.Join(t.TempDir(), "earshot.yaml")
	text := "sip: {domain: sip.test, outbound_proxy: 127.0.0.1:9, transport: udp, username: u, password: p}\nconsole: {listen: \"off\"}\nrecord: {dir: " + dir + ", retention: {default: 1d}}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := config.Load(config.Input{File: file, Required: true})
	if err != nil {
		t.Fatal(err)
	}
	d, err := openDaemon(l, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- d.run(ctx) }()
	ask := func(want int, args ...string) string {
		t.Helper()
		var o, e strings.Builder
		if code := run(t.Context(), process{args: append([]string{"-c", file, "recordings"}, args...), out: &o, err: &e}); code != want {
			t.Errorf("%q: code %d, %s%s", args, code, &o, &e)
		}
		return o.String() + e.String()
	}
	const first = "20261123T101500Z_s-1"
	ask(exitDone, "hold", first, "--why", "a lawsuit")
	if text := ask(exitFailed, "erase", first, "--why", "she asked", "--yes"); !strings.Contains(text, "on legal hold") {
		t.Errorf("erase: got %q", text)
	}
	if text := ask(exitDone, "prune", "--reclass"); !strings.Contains(text, "1 erased, 1 past their time on legal hold") {
		t.Errorf("prune: got %q", text)
	}
	awaitTrue(t, "the daemon keeps the list", func() bool {
		r, err := catalog.Open(t.Context(), dir)
		if err != nil {
			return false
		}
		defer r.Close()
		list, err := r.Search(t.Context(), recorder.Query{})
		return err == nil && len(list) == 1 && list[0].Part == 1 && list[0].Held
	})
	stop()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "evidence", "log", "leaves.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"act":"hold"`, `"type":"erased"`, `"act":"prune"`} {
		if i := strings.Index(string(b), want); i < 0 || !strings.Contains(string(b), self()) {
			t.Errorf("no leaf %s of %s: %s", want, self(), b)
		}
	}
}

var _ console.Carer = backend{}

func awaitTrue(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); !cond(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}
