package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/needs"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
)

// exampleCalls are the recordings of docs/recordings.md.
func exampleCalls(t *testing.T, dir string) {
	t.Helper()
	s, err := recorder.New(recorder.Config{Dir: dir, Sync: 100 * time.Millisecond, Sign: true, Software: "earshot 1.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	began := time.Date(2026, 11, 23, 10, 15, 0, 0, time.UTC)
	both := []call.Party{{ID: "p-customer", Role: call.RoleCustomer}, {ID: "p-agent", Role: call.RoleAgent}}
	record := func(info call.Info, cause call.Cause, samples int64, offsets ...int64) {
		info.Agent, info.Mode = "108", "party"
		r, err := s.Open(info, recorder.Anchor{Wall: info.Started})
		if err != nil {
			t.Fatal(err)
		}
		b := &media.Batch{}
		for i, offset := range offsets {
			k := media.TrackState{
				ID: media.TrackID(i + 1), Leg: "leg", Line: i, Law: media.LawPCMU, Placed: true, OffsetMethod: media.OffsetArrival, Offset: offset, OffsetEstimate: offset,
				Length: samples, Party: info.Expected[i], Epochs: []media.Epoch{{Why: "first", Estimated: true, OffsetEstimate: offset}},
			}
			at := int64(0)
			if i == 0 && len(offsets) > 1 {
				k.Counts.LostSamples, at = 160, 160
				b.Frames = append(b.Frames, media.Frame{Track: 1, Kind: media.KindLost, Samples: 160})
			}
			b.Tracks = append(b.Tracks, k)
			b.Frames = append(b.Frames, media.Frame{Track: k.ID, Kind: media.KindReceived, Law: media.LawPCMU, Pos: at, Samples: samples - at, Octets: bytes.Repeat([]byte{0x33}, int(samples-at))})
		}
		if len(offsets) > 0 {
			r.Write(b)
			r.AwaitWords()
			r.Hear(recorder.Line{FromSamples: 8000, Samples: 8000, Role: "customer", Consumer: "asr", Text: "where is my parcel"})
			r.EndWords()
		}
		r.End(cause)
		<-r.Sealed()
		if err := r.Result().Err; err != nil {
			t.Fatal(err)
		}
	}
	hangup := call.Cause{Code: call.CodeHangup}
	record(call.Info{ID: "s-a0d7f1c2", Started: began, Expected: both}, hangup, 32000, 0, 800)
	record(call.Info{ID: "s-a0d7f1c2", Started: began.Add(time.Minute), Expected: []call.Party{{ID: "p-mix", Role: call.RoleMix}}}, hangup, 16000, 0)
	record(call.Info{ID: "s-b3e9", Started: began.Add(2 * time.Minute), Expected: both}, call.Cause{Code: call.CodeRefused}, 0)
	stop()
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
}

// TestThePageOfRecordingsIsTrue runs each example of docs/recordings.md, and compares what it prints with what the page says: "..." stands for anything.
func TestThePageOfRecordingsIsTrue(t *testing.T) {
	needs.Programs(t, "ffmpeg")
	page, err := os.ReadFile("../../docs/recordings.md")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := os.WriteFile("earshot.yaml", []byte("sip: {domain: sip.example.com, username: \"101\", password: secret}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	exampleCalls(t, "recordings")
	ran, made := map[string]int{}, 0
	for _, block := range regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		for _, example := range strings.Split("\n"+block[1], "\n$ ")[1:] {
			line, want, _ := strings.Cut(example, "\n")
			args := words(line)
			if len(args) < 3 || args[0] != "earshot" || args[1] != "recordings" {
				t.Fatalf("%s: want an earshot recordings command", line)
			}
			var out, errs bytes.Buffer
			if code := run(t.Context(), process{args: args[1:], out: &out, err: &errs}); code != exitDone {
				t.Errorf("%s: exit code %d: %s", line, code, &errs)
			}
			if !told(want, out.String()) {
				t.Errorf("$ %s\n%s\nthe page says\n%s", line, &out, want)
			}
			ran[args[2]]++
			for i, a := range args {
				if a == "--out" {
					made++
					if fi, err := os.Stat(args[i+1]); err != nil || fi.Size() == 0 {
						t.Errorf("%s: made nothing: %v", line, err)
					}
				}
			}
		}
	}
	for _, command := range []string{"list", "show", "verify", "export", "schema"} {
		if ran[command] == 0 {
			t.Errorf("docs/recordings.md has no example of %s", command)
		}
	}
	if left, _ := filepath.Glob("*.tmp"); made < 5 || left != nil {
		t.Errorf("%d files were made, %q left behind", made, left)
	}
}

// words splits a command line as a shell does, without expansions.
func words(line string) (out []string) {
	for _, m := range regexp.MustCompile(`"([^"]*)"|(\S+)`).FindAllStringSubmatch(line, -1) {
		out = append(out, m[1]+m[2])
	}
	return out
}

// told compares an output with what a page says of it.
func told(want, got string) bool {
	pattern := regexp.QuoteMeta(strings.TrimRight(want, "\n"))
	pattern = regexp.MustCompile(`(?m)^\\\.\\\.\\\.$`).ReplaceAllString(pattern, `(?s:.*)`) // a line of dots is any number of lines
	pattern = strings.ReplaceAll(pattern, `\.\.\.`, `[^\n]*`)
	return regexp.MustCompile(`^` + pattern + `$`).MatchString(strings.TrimRight(got, "\n"))
}
