package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/earshot/earshot/recorder/evidence"
)

func replayed(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), process{args: append([]string{"replay"}, args...), out: &o, err: &e})
	return code, o.String(), e.String()
}

func TestAStoredCallIsReplayedToStandardOutput(t *testing.T) {
	dir := shelf(t)
	// s-1 has two parts, each of 10 samples of silence and 800 of sound.
	code, out, errs := replayed(t, "--dir", dir, "--to", "stdout", "--speed", "max", "s-1")
	if code != exitDone || len(out) != 2*2*810 || !strings.Contains(errs, "played 0.20 s of audio") || !strings.Contains(errs, "0.00 s dropped") {
		t.Errorf("code %d, %d octets, %q", code, len(out), errs)
	}
	if strings.Count(out[20:], "\x00\x00\x00\x00") != 5 || !strings.HasPrefix(out, strings.Repeat("\x00", 20)) {
		t.Errorf("sound begins elsewhere: %q", out[:40])
	}
	if code, framed, _ := replayed(t, "--dir", dir, "--to", "-", "--speed", "max", "--header", "s-1"); code != exitDone || !strings.HasPrefix(framed, "EAR1") || len(framed) != len(out)+strings.Count(framed, "EAR1")*24 {
		t.Errorf("with headers: code %d, %d octets", code, len(framed))
	}
}

func TestAnEncryptedCallIsReplayedToWhoMayReadIt(t *testing.T) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	dir, file := filepath.Join(t.TempDir(), "recordings"), filepath.Join(t.TempDir(), "me.txt")
	if err := os.WriteFile(file, []byte(id.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	makeEncrypted(t, dir, id.Recipient())
	if code, out, errs := replayed(t, "--dir", dir, "--to", "stdout", "--speed", "max", "s-1"); code != exitFailed || out != "" || !strings.Contains(errs, "hint: --identity FILE") {
		t.Errorf("without an identity: code %d, %d octets, %q", code, len(out), errs)
	}
	if code, out, errs := replayed(t, "--dir", dir, "--to", "stdout", "--speed", "max", "--identity", file, "--why", "trial", "s-1"); code != exitDone || len(out) != 1600 || strings.Contains(out, "\x00\x00\x00\x00") {
		t.Errorf("code %d, %d octets, %q", code, len(out), errs)
	}
	named := ""
	err = evidence.Leaves(dir, []string{`"act":"replay"`}, func(l evidence.Leaf) { named += l.Why + "\n" })
	if err != nil || named != "trial; to standard output\n" {
		t.Errorf("the evidence log has %q, %v", named, err)
	}
}

func TestAReplayReachesConfiguredConsumersAndOthers(t *testing.T) {
	dir, to := shelf(t), t.TempDir()
	file := filepath.Join(to, "earshot.yaml")
	yaml := "record: {dir: " + dir + "}\nstream:\n" +
		"  - {name: one, command: [sh, -c, 'cat >> " + to + "/one'], agents: ['108']}\n" +
		"  - {name: two, command: [sh, -c, 'cat >> " + to + "/two'], format: alaw}\n" +
		"  - {name: bad, command: [sh, -c, 'exit 3'], restart: never}\n"
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := replayed(t, "-c", file, "--speed", "max", "--consumer", "two", "s-1")
	if code != exitDone || !strings.Contains(out, "two: 2 connections, 1600 octets, 0.00 s dropped") || strings.Contains(out, "one:") {
		t.Errorf("code %d, %q, %q", code, out, errs)
	}
	if b, err := os.ReadFile(filepath.Join(to, "two")); err != nil || len(b) != 1600 {
		t.Errorf("two got %d octets, %v", len(b), err)
	}
	code, out, errs = replayed(t, "-c", file, "--speed", "max", "s-1")
	if code != exitFailed || !strings.Contains(out, "failed: bad: ") || !strings.Contains(out, "one: 2 connections, 3200 octets") || !strings.Contains(errs, "not all of it was taken") {
		t.Errorf("code %d, %q, %q", code, out, errs)
	}
	if code, _, errs = replayed(t, "-c", file, "--consumer", "three", "s-1"); code != exitUsage || !strings.Contains(errs, `got "three", want one, two, bad`) {
		t.Errorf("code %d, %q", code, errs)
	}

	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got := make(chan int, 2)
	go func() {
		for range 2 {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b, _ := io.ReadAll(c)
			got <- len(b)
			_ = c.Close()
		}
	}()
	if code, out, errs := replayed(t, "-c", file, "--to", "tcp://"+l.Addr().String(), "--format", "mulaw", "--speed", "max", "s-1"); code != exitDone {
		t.Fatalf("code %d, %q, %q", code, out, errs)
	}
	if a, b := <-got, <-got; a != 800 || b != 800 {
		t.Errorf("got %d and %d octets, want 800 of each part", a, b)
	}
}

func TestAReplayThatIsStoppedSaysSo(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	var o, e bytes.Buffer
	code := run(ctx, process{args: []string{"replay", "--dir", shelf(t), "--to", "stdout", "s-1"}, out: &o, err: &e})
	if code != exitFailed || !strings.Contains(e.String(), "earshot: replay: stopped before its end\n") || strings.Contains(e.String(), "context canceled") {
		t.Errorf("code %d, %q", code, e.String())
	}
}

func TestWhatAReplayCantDoSaysWhatToDo(t *testing.T) {
	dir := shelf(t)
	empty := filepath.Join(t.TempDir(), "e.yaml")
	if err := os.WriteFile(empty, []byte("record: {dir: "+dir+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{exitUsage, "--speed: got \"0\", want a number up to 1000", []string{"--speed", "0", "s-1"}},
		{exitUsage, "--speed: got \"NaN\"", []string{"--speed", "NaN", "s-1"}},
		{exitUsage, "no consumer is configured", []string{"s-1"}},
		{exitUsage, "--to: got \"http://x\", want stdout or a URL", []string{"--to", "http://x", "s-1"}},
		{exitUsage, "address: got \"\", want host:port", []string{"--to", "tcp://", "s-1"}},
		{exitUsage, "preset: got \"hal\"", []string{"--to", "ws://127.0.0.1/", "--preset", "hal", "s-1"}},
		{exitUsage, "want one of [s16le mulaw alaw wav]", []string{"--to", "stdout", "--format", "f32le", "s-1"}},
		{exitUsage, "s-1 has 2 parts, and a WAV file one beginning", []string{"--to", "stdout", "--format", "wav", "s-1"}},
		{exitUsage, "--consumer goes with a replay without --to", []string{"--to", "stdout", "--consumer", "x", "s-1"}},
		{exitUsage, "--track goes with --to stdout", []string{"--to", "tcp://127.0.0.1:1", "--track", "customer", "s-1"}},
		{exitUsage, "--track goes with --to stdout", []string{"--track", "mix", "s-1"}},
		{exitUsage, "--preset goes with --to URL", []string{"--to", "-", "--preset", "vosk", "s-1"}},
		{exitUsage, "--per goes with --to URL", []string{"--to", "stdout", "--per", "call", "s-1"}},
		{exitUsage, "--format goes with --to: a consumer of earshot.yaml has its own", []string{"--format", "alaw", "s-1"}},
		{exitUsage, "--rate goes with --to", []string{"--rate", "16000", "s-1"}},
		{exitUsage, "--header goes with --to", []string{"--header", "s-1"}},
		{exitUsage, "--to: got \"unix://asr.sock/x\", want stdout or a URL", []string{"--to", "unix://asr.sock/x", "s-1"}},
		{exitUsage, "--to: got \"tcp://127.0.0.1:1/x\", want stdout or a URL", []string{"--to", "tcp://127.0.0.1:1/x", "s-1"}},
		{exitFailed, "the recording has no audio", []string{"--to", "stdout", "s-2"}},
		{exitFailed, "is \"s-9\"", []string{"--to", "stdout", "s-9"}},
	} {
		code, out, errs := replayed(t, append([]string{"-c", empty}, c.args...)...)
		if code != c.code || out != "" || !strings.Contains(errs, c.want) {
			t.Errorf("%q: got code %d, stdout %q, stderr %q", c.args, code, out, errs)
		}
	}
}
