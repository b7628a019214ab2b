package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
)

// shelf is a folder of recordings: a call in two parts, and one without media.
func shelf(t *testing.T) (dir string) { return shelved(t, false, "s-1", "s-1", "s-2") }

// signedShelf is a folder with one signed recording.
func signedShelf(t *testing.T) (dir string) { return shelved(t, true, "s-1") }

func shelved(t *testing.T, sign bool, calls ...string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "recordings")
	s, err := recorder.New(recorder.Config{Dir: dir, Sync: 100 * time.Millisecond, Sign: sign})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	began := time.Date(2026, 11, 23, 10, 15, 0, 0, time.UTC)
	for i, id := range calls {
		info := call.Info{ID: id, Started: began.Add(time.Duration(i) * time.Minute), Expected: []call.Party{{ID: "p1", Role: call.RoleMix}}}
		r, err := s.Open(info, recorder.Anchor{Wall: info.Started})
		if err != nil {
			t.Fatal(err)
		}
		if id == "s-1" {
			k := media.TrackState{
				ID: 1, Leg: "leg", Law: media.LawPCMU, Placed: true, OffsetMethod: media.OffsetArrival, Offset: 10, OffsetEstimate: 20, Length: 800,
				Party:  call.Party{ID: "p1", Role: call.RoleMix},
				Epochs: []media.Epoch{{Estimated: true, OffsetEstimate: 20}},
			}
			r.Write(&media.Batch{
				Frames: []media.Frame{{Track: 1, Kind: media.KindReceived, Law: media.LawPCMU, Samples: 800, Octets: bytes.Repeat([]byte{0x33}, 800)}},
				Tracks: []media.TrackState{k},
			})
		}
		r.End(call.Cause{Code: call.CodeHangup})
		<-r.Sealed()
		if err := r.Result().Err; err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	return dir
}

// recordings runs the command.
func recordings(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), process{args: append([]string{"recordings"}, args...), out: &o, err: &e})
	return code, o.String(), e.String()
}

func TestRecordingsAreListedShownAndExported(t *testing.T) {
	dir := shelf(t)
	code, out, errs := recordings(t, "--dir", dir, "list", "--json")
	var list []recorder.Listed
	if err := json.Unmarshal([]byte(out), &list); err != nil || code != exitDone {
		t.Fatalf("list --json: code %d, %v, stderr %q", code, err, errs)
	}
	if len(list) != 3 || list[0].State != recorder.StateNoMedia || list[1].Part != 2 || list[2].CallID != "s-1" || list[2].Seconds != 0.10125 {
		t.Fatalf("list: got %+v", list)
	}
	if _, out, _ = recordings(t, "--dir", dir, "list", "--most", "1"); strings.Count(out, "\n") != 2 || !strings.Contains(out, "no_media (hangup)") {
		t.Errorf("list: got %q", out)
	}
	if code, out, errs = recordings(t, "--dir", dir, "list", "--day", "2026-11-24"); code != exitDone || out != "" || !strings.Contains(errs, "no recordings") {
		t.Errorf("list of an empty day: got code %d, %q, %q", code, out, errs)
	}
	if code, out, _ = recordings(t, "--dir", dir, "show", "s-1"); code != exitDone || !strings.Contains(out, "s-1, part 2") || !strings.Contains(out, "estimated +1.2 ms") {
		t.Errorf("show: got code %d, %q", code, out)
	}
	part := filepath.Base(list[2].Folder)
	code, out, errs = recordings(t, "--dir", dir, "export", "--tags", "none", part)
	if code != exitDone || len(out) != 44+2*810 || out[:4] != "RIFF" {
		t.Errorf("export: got code %d, %d octets, %q", code, len(out), errs)
	}
	file := filepath.Join(t.TempDir(), "out.wav")
	if code, _, errs = recordings(t, "export", "--tags", "none", "--align", "--out", file, filepath.Join(dir, list[2].Folder)); code != exitDone {
		t.Fatalf("export --align: got code %d, %q", code, errs)
	}
	b, err := os.ReadFile(file)
	if err != nil || len(b) != 44+2*820 || string(b[44+40:]) != out[44+20:] {
		t.Errorf("export --align: got %d octets, %v; want the samples 10 later", len(b), err)
	}
	if left, _ := filepath.Glob(file + ".*"); left != nil {
		t.Errorf("left behind: %q", left)
	}
}

func TestWhatCantBeExportedSaysWhatToDo(t *testing.T) {
	dir := shelf(t)
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{exitUsage, "has 2 parts", []string{"export", "s-1"}},
		{exitFailed, "not one sample came", []string{"export", "s-2"}},
		{exitFailed, `is "s-3"`, []string{"export", "s-3"}},
		{exitUsage, "2026-11-23", []string{"list", "--day", "yesterday"}},
		{exitUsage, "--most", []string{"list", "--most", "0"}},
		{exitFailed, "no such file", []string{"--dir", filepath.Join(dir, "none"), "list"}},
	} {
		code, out, errs := recordings(t, append([]string{"--dir", dir}, c.args...)...)
		if code != c.code || out != "" || !strings.Contains(errs, c.want) {
			t.Errorf("%q: got code %d, stdout %q, stderr %q", c.args, code, out, errs)
		}
	}
}

// Whoever exports or verifies where no daemon runs is named in the log all the same, if the private key is there.
func TestExportAndVerifyAreNoted(t *testing.T) {
	dir := signedShelf(t)
	code, out, errs := recordings(t, "--dir", dir, "export", "--why", "complaint 7", "--out", filepath.Join(t.TempDir(), "x.wav"), "s-1")
	if code != exitDone || errs != "" {
		t.Fatalf("export: code %d, %q, %q", code, out, errs)
	}
	if code, out, errs = recordings(t, "--dir", dir, "verify"); code != exitDone || errs != "" {
		t.Fatalf("verify: code %d, %q, %q", code, out, errs)
	}
	b, err := os.ReadFile(filepath.Join(dir, "evidence", "log", "leaves.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	if len(lines) != 5 {
		t.Fatalf("got %d leaves, want opened, recording, export, exported, verify: %s", len(lines), b)
	}
	for i, want := range []string{`"act":"export"`, `"act":"exported"`, `"act":"verify"`} {
		if l := lines[i+2]; !strings.Contains(l, want) || !strings.Contains(l, `"who":"uid `) {
			t.Errorf("leaf %d: got %s, want %s", i+1, l, want)
		}
	}
	if !strings.Contains(lines[2], "complaint 7; to /") || !strings.Contains(lines[2], `"folder":"2026/11/23/`) {
		t.Errorf("the export: got %s", lines[2])
	}
	// A copy without the private key, as an expert has it: nothing can be noted, and nobody is bothered with that.
	if err := os.Remove(filepath.Join(dir, "evidence", "key.pem")); err != nil {
		t.Fatal(err)
	}
	if code, out, errs = recordings(t, "--dir", dir, "verify"); code != exitDone || errs != "" {
		t.Errorf("verify of a copy: code %d, %q, %q", code, out, errs)
	}
}
