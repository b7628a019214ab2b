package recorder_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/recorder/evidence"
)

func line(from, samples int64, role, text string) recorder.Line {
	return recorder.Line{FromSamples: from, Samples: samples, Track: 1, Party: "p-" + role, Role: role, Consumer: "asr", Text: text}
}

// told collects what Config.Sealed says.
type told struct {
	mu   sync.Mutex
	dirs []string
}

func (x *told) sealed(r recorder.Result) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.dirs = append(x.dirs, r.Dir)
}

func (x *told) count() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.dirs)
}

// holds names the files below a folder that have a text in them.
func holds(t *testing.T, dir, text string) []string {
	t.Helper()
	return grep(t, dir, [][]byte{[]byte(text)})
}

// spokenCall is a recording of a second, that waits for words.
func spokenCall(t *testing.T, s *recorder.Store, id string) *recorder.Recording {
	t.Helper()
	r := open(t, s, stereoInfo(id))
	r.AwaitWords()
	spoken(r, 0, 1, pair()...)
	return r
}

func TestWordsThatComeAfterTheSealAreInTheFolderAndTheLog(t *testing.T) {
	var told told
	dir := filepath.Join(t.TempDir(), "recordings")
	s, stop := start(t, recorder.Config{Dir: dir, Sign: true, Sealed: told.sealed})
	r := spokenCall(t, s, "c")
	r.Hear(line(4000, 2000, "agent", "how can I help"))
	r.Hear(line(0, 2000, "customer", "hello <you> & all"))
	res, m := seal(t, r)
	if told.count() != 0 {
		t.Error("told of before its transcript is there")
	}
	if !r.Hear(line(6000, 2000, "customer", "the last word")) {
		t.Error("a word after the seal was not taken")
	}
	r.EndWords()
	eventually(t, "it is told of", func() bool { return told.count() == 1 })
	if r.Hear(line(7000, 10, "customer", "too late")) {
		t.Error("a word after the end was taken")
	}
	lines, err := recorder.ReadTranscript(res.Dir, nil)
	must(t, err)
	var texts []string
	for _, l := range lines {
		texts = append(texts, l.Text)
	}
	if got, want := strings.Join(texts, "|"), "hello <you> & all|how can I help|the last word"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if l := lines[1]; l.Start != 0.5 || l.End != 0.75 || l.Version != 1 {
		t.Errorf("got %+v, want 0.5 s to 0.75 s", l)
	}
	for _, f := range m.Files {
		if strings.HasPrefix(f.File, "transcript") {
			t.Errorf("the manifest names %s", f.File)
		}
	}
	stop()
	if names, _ := filepath.Glob(filepath.Join(dir, recorder.TranscriptsName, "*", "*", "*", "*")); len(names) > 0 {
		t.Errorf("left: %v", names)
	}
	clean(t, dir)

	file := filepath.Join(res.Dir, recorder.TranscriptName)
	whole, err := os.ReadFile(file)
	must(t, err)
	must(t, os.WriteFile(file, bytes.Replace(whole, []byte("help"), []byte("kill"), 1), 0o600))
	finds(t, dir, evidence.Changed, recorder.TranscriptName)
	must(t, os.Remove(file))
	finds(t, dir, evidence.Removed, recorder.TranscriptName)
	must(t, os.WriteFile(file, whole, 0o600))
	must(t, os.WriteFile(file+".age", whole, 0o600))
	finds(t, dir, evidence.Added, recorder.TranscriptName+".age")
}

func clean(t *testing.T, dir string) {
	t.Helper()
	if v := verified(t, dir); len(v.Findings) > 0 {
		t.Errorf("verify: got %+v, want nothing", v.Findings)
	}
}

func finds(t *testing.T, dir, kind, what string) {
	t.Helper()
	v := verified(t, dir)
	if len(v.Findings) != 1 || v.Findings[0].Kind != kind || !strings.HasSuffix(v.Findings[0].What, what) {
		t.Errorf("verify: got %+v, want %s of %s", v.Findings, kind, what)
	}
}

func TestACallWithoutWordsHasNoTranscript(t *testing.T) {
	var told told
	dir := filepath.Join(t.TempDir(), "recordings")
	s, stop := start(t, recorder.Config{Dir: dir, Sign: true, Sealed: told.sealed})
	r := spokenCall(t, s, "c")
	r.EndWords()
	res, _ := seal(t, r)
	eventually(t, "it is told of", func() bool { return told.count() == 1 })
	stop()
	if _, err := recorder.ReadTranscript(res.Dir, nil); !errors.Is(err, recorder.ErrNoTranscript) {
		t.Errorf("got %v, want ErrNoTranscript", err)
	}
	if told.count() != 1 {
		t.Errorf("told of %d times, want once", told.count())
	}
	clean(t, dir)
}

func TestWordsThatAMaskTakesBackAreNowhere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "recordings")
	s, stop := start(t, recorder.Config{Dir: dir, Sign: true})
	r := spokenCall(t, s, "c")
	r.Hear(line(0, 2000, "customer", "my name is Ann"))
	r.Hear(line(2000, 2000, "customer", "it is 4111 1111"))
	eventually(t, "they are on the disk", func() bool { return len(holds(t, dir, "4111 1111")) > 0 })
	if n := r.Unhear("other", 1, 0, 8000) + r.Unhear("asr", 2, 0, 8000) + r.Unhear("asr", 1, 4000, 4000); n != 0 {
		t.Errorf("took out %d lines of another consumer, track or time", n)
	}
	if n := r.Unhear("asr", 1, 3000, 4000); n != 1 {
		t.Errorf("took out %d lines, want 1", n)
	}
	eventually(t, "they are off the disk, while the call goes on", func() bool { return len(holds(t, dir, "4111 1111")) == 0 })
	res, _ := seal(t, r)
	r.EndWords()
	stop()
	lines, err := recorder.ReadTranscript(res.Dir, nil)
	if err != nil || len(lines) != 1 || lines[0].Text != "my name is Ann" {
		t.Errorf("got %+v, %v, want the other line", lines, err)
	}
	clean(t, dir)
}

// TestWordsThatAMaskTakesBackLeaveAFullDiskToo: at once, not when there is room; the others are written when there is.
func TestWordsThatAMaskTakesBackLeaveAFullDiskToo(t *testing.T) {
	g := &gremlin{}
	dir := filepath.Join(t.TempDir(), "recordings")
	cfg := recorder.Config{Dir: dir, Sign: true}
	cfg.Beneath(g.through, g.fault)
	s, stop := start(t, cfg)
	r := spokenCall(t, s, "c")
	r.Hear(line(0, 2000, "customer", "my name is Ann"))
	r.Hear(line(2000, 2000, "customer", "it is 4111 1111"))
	eventually(t, "they are on the disk", func() bool { return len(holds(t, dir, "4111 1111")) > 0 })
	g.set(syscall.ENOSPC)
	r.Unhear("asr", 1, 3000, 1000)
	eventually(t, "they are off the full disk", func() bool { return len(holds(t, dir, "4111 1111")) == 0 })
	r.Hear(line(4000, 2000, "customer", "thank you"))
	r.Hear(line(6000, 2000, "customer", "it ends in 1881"))
	g.set(nil)
	r.Unhear("asr", 1, 6000, 2000)
	eventually(t, "the others are written", func() bool { return len(holds(t, dir, "thank you")) > 0 && len(holds(t, dir, "my name is Ann")) > 0 })
	if found := holds(t, dir, "1881"); len(found) > 0 {
		t.Errorf("what was taken back is in %v", found)
	}

	// At the end of a process too: what it left would be brought into the folder by the next one.
	r.Hear(line(7000, 500, "customer", "once more, 4242"))
	r.Unhear("asr", 1, 4000, 2000)
	eventually(t, "it is on the disk", func() bool { return len(holds(t, dir, "4242")) > 0 })
	seal(t, r)
	g.set(syscall.ENOSPC)
	r.Unhear("asr", 1, 7000, 500)
	r.EndWords()
	stop()
	if found := holds(t, dir, "4242"); len(found) > 0 {
		t.Errorf("left in %v", found)
	}
}

func TestNoWordOfAnEncryptedRecordingIsOnTheDiskInPlain(t *testing.T) {
	dir, id := filepath.Join(t.TempDir(), "recordings"), newIdentity(t)
	s, stop := start(t, recorder.Config{Dir: dir, Sign: true, Recipients: []string{id.Recipient().String()}})
	r := spokenCall(t, s, "c")
	r.Hear(line(0, 2000, "customer", "nobody may read this"))
	eventually(t, "it is on the disk", func() bool {
		names, _ := filepath.Glob(filepath.Join(dir, recorder.TranscriptsName, "*", "*", "*", "*.jsonl.age"))
		return len(names) == 1
	})
	if found := holds(t, dir, "nobody may"); len(found) > 0 {
		t.Errorf("in plain: %v", found)
	}
	res, _ := seal(t, r)
	r.EndWords()
	stop()
	if found := holds(t, dir, "nobody may"); len(found) > 0 {
		t.Errorf("in plain: %v", found)
	}
	if _, err := recorder.ReadTranscript(res.Dir, nil); !errors.Is(err, recorder.ErrEncrypted) {
		t.Errorf("without identity: got %v, want ErrEncrypted", err)
	}
	lines, err := recorder.ReadTranscript(res.Dir, []recorder.Identity{id})
	if err != nil || len(lines) != 1 || lines[0].Text != "nobody may read this" {
		t.Errorf("got %+v, %v", lines, err)
	}
	clean(t, dir)
}

func TestAnErasedRecordingsWordsAreGoneToo(t *testing.T) {
	var told told
	dir := filepath.Join(t.TempDir(), "recordings")
	s, stop := start(t, recorder.Config{Dir: dir, Sign: true, Sealed: told.sealed})
	r := spokenCall(t, s, "c")
	r.Hear(line(0, 2000, "customer", "forget me"))
	res, _ := seal(t, r) // and its consumers have not ended
	eventually(t, "it is on the disk", func() bool { return len(holds(t, dir, "forget me")) > 0 })
	rel, err := filepath.Rel(dir, res.Dir)
	must(t, err)
	if _, err := s.Erase(t.Context(), filepath.ToSlash(rel), "anna", "asked"); err != nil {
		t.Fatal(err)
	}
	if found := holds(t, dir, "forget me"); len(found) > 0 {
		t.Errorf("after the erasure it is in %v", found)
	}
	r.Hear(line(2000, 2000, "customer", "forget me too"))
	r.Hear(line(4000, 2000, "customer", "forget me as well"))
	r.Unhear("asr", 1, 4000, 2000) // that is written soon
	eventually(t, "it was looked at", func() bool { return recorder.WordsTaken(r) })
	if found := holds(t, dir, "forget me"); len(found) > 0 {
		t.Errorf("after the erasure it was written into %v", found)
	}
	r.EndWords()
	eventually(t, "it is done with", func() bool { return told.count() == 1 })
	stop()
	if found := holds(t, dir, "forget me"); len(found) > 0 {
		t.Errorf("left in %v", found)
	}
	clean(t, dir)
}

// TestWhatACrashLeftOfATranscriptIsFinished ends a store at each step as a crash would, by leaving its files to another one.
func TestWhatACrashLeftOfATranscriptIsFinished(t *testing.T) {
	for _, sealed := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "recordings")
		s, stop := start(t, recorder.Config{Dir: dir, Sign: true})
		r := spokenCall(t, s, "c")
		r.Hear(line(0, 2000, "customer", "hello"))
		eventually(t, "it is on the disk, and the log says that it was begun", func() bool {
			names, _ := filepath.Glob(filepath.Join(dir, recorder.TranscriptsName, "*", "*", "*", "*.jsonl"))
			return len(names) == 1 && len(holds(t, filepath.Join(dir, evidence.DirName), `"opened"`)) > 0
		})
		if sealed {
			seal(t, r)
		}
		eventually(t, "the audio is on the disk", func() bool {
			names, _ := filepath.Glob(filepath.Join(dir, "2026", "11", "23", "*", "audio.wav"))
			return len(names) == 1
		})
		other := filepath.Join(t.TempDir(), "recordings") // as the disk is at this moment
		eventually(t, "a copy of it", func() bool {       // a file may go while it is copied
			must(t, os.RemoveAll(other))
			return os.CopyFS(other, os.DirFS(dir)) == nil
		})
		r.EndWords()
		seal(t, r)
		stop()

		_, stop2 := start(t, recorder.Config{Dir: other, Sign: true, Sealed: func(res recorder.Result) {
			if _, err := recorder.ReadTranscript(res.Dir, nil); err != nil {
				t.Errorf("told of before its transcript is there: %v", err)
			}
		}, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
		eventually(t, "the transcript is in its folder", func() bool {
			names, _ := filepath.Glob(filepath.Join(other, "2026", "11", "23", "*_c", recorder.TranscriptName))
			return len(names) == 1
		})
		stop2()
		clean(t, other)
		if names, _ := filepath.Glob(filepath.Join(other, recorder.TranscriptsName, "*", "*", "*", "*")); len(names) > 0 {
			t.Errorf("left: %v", names)
		}
	}
}

// TestATranscriptThatTheLogNamesAlreadyIsNotMissed stops between leaf and folder.
func TestATranscriptThatTheLogNamesAlreadyIsNotMissed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "recordings")
	stuck := errors.New("stop here")
	s, stop := start(t, recorder.Config{Dir: dir, Sign: true}, func(s *recorder.Store) {
		recorder.StopAt(s, func(done string) error {
			if done == "transcript leaf" {
				return stuck
			}
			return nil
		})
	})
	r := spokenCall(t, s, "c")
	r.Hear(line(0, 2000, "customer", "hello"))
	res, _ := seal(t, r)
	r.EndWords()
	eventually(t, "the log names it", func() bool { return len(holds(t, filepath.Join(dir, evidence.DirName), `"transcript"`)) > 0 })
	clean(t, dir)
	stop()
	clean(t, dir)
	_, stop2 := start(t, recorder.Config{Dir: dir, Sign: true})
	eventually(t, "the next start has it", func() bool { _, err := recorder.ReadTranscript(res.Dir, nil); return err == nil })
	stop2()
	clean(t, dir)
}

func TestATranscriptIsBounded(t *testing.T) {
	s, _ := start(t, recorder.Config{})
	r := spokenCall(t, s, "c")
	text := strings.Repeat("x", 4000)
	n := 0
	for r.Hear(line(0, 1, "customer", text)) {
		n++
	}
	if n < 1000 || n*len(text) > 8<<20 {
		t.Errorf("took %d lines of %d octets", n, len(text))
	}
	r.EndWords()
	seal(t, r)
}

func TestWebVTTNamesWhoSpeaks(t *testing.T) {
	var out strings.Builder
	must(t, recorder.WriteVTT(&out, []recorder.Line{
		{Start: 1.25, End: 2.5, Role: "customer", Text: "hello <you> & all\n\n00:01 --> 00:02"},
		{Start: 3661.0004, End: 3661.0004, Role: "other", Party: "p-3", Text: "yes"},
	}))
	want := "WEBVTT\n\n00:00:01.250 --> 00:00:02.500\n<v customer>hello &lt;you&gt; &amp; all 00:01 --&gt; 00:02\n\n01:01:01.000 --> 01:01:01.500\n<v other p-3>yes\n"
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

// FuzzTranscript: whatever lies in the file, what is read of it makes WebVTT with one cue a line.
func FuzzTranscript(f *testing.F) {
	b, _ := json.Marshal(recorder.Line{Version: 1, FromSamples: 1, Samples: 2, Start: 1, End: 2, Role: "customer", Text: "hello --> you"})
	f.Add(append(b, '\n'))
	f.Add([]byte("{\"v\":1,\"start\":1e9,\"end\":2}\n\n{"))
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, recorder.TranscriptName), b, 0o600))
		lines, err := recorder.ReadTranscript(dir, nil)
		if err != nil {
			return
		}
		var out strings.Builder
		must(t, recorder.WriteVTT(&out, lines))
		if n := strings.Count(out.String(), " --> "); n != len(lines) {
			t.Errorf("%d cues of %d lines: %q", n, len(lines), out.String())
		}
		if n := strings.Count(out.String(), "\n"); n != 1+3*len(lines) {
			t.Errorf("%d lines of text of %d lines: %q", n, len(lines), out.String())
		}
	})
}
