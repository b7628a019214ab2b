package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/needs"
)

func TestTimesInACallAreRead(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"": 0, "90s": 90 * time.Second, "1m30s": 90 * time.Second, "90": 90 * time.Second, "1:30": 90 * time.Second, "1:02:03.25": 3723250 * time.Millisecond,
		"0.125": 125 * time.Millisecond, "250ms": 250 * time.Millisecond,
	} {
		if got, err := callTime(s); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"soon", "-1s", "1:60", "1:2:3:4", "1.5:00", "1e99", "NaN", "1:-1", ":", "2000h", "Inf"} {
		if got, err := callTime(s); err == nil {
			t.Errorf("%q: got %v, want an error", s, got)
		}
	}
}

func TestWhatAnExportCantDoSaysWhatToDo(t *testing.T) {
	dir := shelf(t)
	part := "20261123T101500Z_s-1"
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{exitUsage, "--channels: got", []string{"--channels", "quad"}},
		{exitUsage, "--format: got", []string{"--format", "mp3"}},
		{exitUsage, "--tags: got", []string{"--tags", "all"}},
		{exitUsage, "--from: got", []string{"--from", "noon"}},
		{exitUsage, "--to: got 1s", []string{"--from", "2s", "--to", "1s"}},
		{exitUsage, "--to: got 0s", []string{"--to", "0s"}},
		{exitFailed, "want mix, or one that is in the audio: 1 (mix)", []string{"--track", "agent"}},
		{exitFailed, "the recording's 101.25ms", []string{"--from", "1s"}},
	} {
		code, out, errs := recordings(t, append([]string{"--dir", dir, "export", part}, c.args...)...)
		if code != c.code || out != "" || !strings.Contains(errs, c.want) {
			t.Errorf("%q: got code %d, stdout %d octets, stderr %q", c.args, code, len(out), errs)
		}
	}
	t.Setenv("PATH", t.TempDir())
	file := filepath.Join(t.TempDir(), "call.flac")
	code, _, errs := recordings(t, "--dir", dir, "export", "-o", file, part)
	if code != exitFailed || !strings.Contains(errs, "ffmpeg is not in PATH") || !strings.Contains(errs, "hint: install ffmpeg") {
		t.Errorf("without ffmpeg: got code %d, %q", code, errs)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(file), "*")); left != nil {
		t.Errorf("left behind: %q", left)
	}
}

func TestTheNameOfAnExportSaysItsFormat(t *testing.T) {
	needs.Programs(t, "ffmpeg")
	dir, to := shelf(t), t.TempDir()
	part := "20261123T101500Z_s-1"
	for name, begins := range map[string]string{"a.flac": "fLaC", "a.opus": "OggS", "a.wav": "RIFF", "a.bin": "RIFF"} {
		file := filepath.Join(to, name)
		if code, _, errs := recordings(t, "--dir", dir, "export", "-o", file, part); code != exitDone {
			t.Fatalf("%s: got code %d, %q", name, code, errs)
		}
		if b, err := os.ReadFile(file); err != nil || string(b[:4]) != begins {
			t.Errorf("%s: got %q, %v, want %q", name, b[:4], err, begins)
		}
	}
	if code, out, errs := recordings(t, "--dir", dir, "export", "--format", "flac", part); code != exitDone || !strings.HasPrefix(out, "fLaC") {
		t.Errorf("to standard output: got code %d, %d octets, %q", code, len(out), errs)
	}
}
