package recorder_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/recorder/evidence"
)

// abandoned makes a folder as a process leaves it that ended after a sync, and gives it changed by spoil.
func abandoned(t *testing.T, spoil func(folder string)) (dir string) {
	t.Helper()
	made := t.TempDir()
	s, stop := start(t, recorder.Config{Dir: made})
	r := open(t, s, stereoInfo("left"))
	k := newTalker(1, call.RoleCustomer, 0)
	r.Write(batch(0, k.speaks(100), k))
	eventually(t, "a sync with audio", func() bool {
		m, err := recorder.ReadManifest(r.Result().Dir)
		return err == nil && m.Samples == 16000 && len(m.Tracks) == 1 && readWave(t, r.Result().Dir).samples() == 16000
	})
	dir = t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(made)); err != nil {
		t.Fatal(err)
	}
	r.End(hangup)
	stop()
	folders, _ := filepath.Glob(filepath.Join(dir, "2026/11/23/*.partial"))
	if len(folders) != 1 {
		t.Fatalf("folders: %v", folders)
	}
	spoil(folders[0])
	return dir
}

func repaired(t *testing.T, dir string) (recorder.Result, *recorder.Manifest) {
	t.Helper()
	s, stop := start(t, recorder.Config{Dir: dir})
	eventually(t, "the repair", func() bool { return len(s.Repaired()) == 1 })
	stop()
	res := s.Repaired()[0]
	if res.Err != nil {
		t.Fatal(res.Err)
	}
	m, err := recorder.ReadManifest(res.Dir)
	if err != nil {
		t.Fatal(err)
	}
	return res, m
}

func TestWhatACrashLeftIsFinishedAsFarAsPossible(t *testing.T) {
	edit := func(name string, f func([]byte) []byte) func(string) {
		return func(folder string) {
			b, err := os.ReadFile(filepath.Join(folder, name))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(folder, name), f(b), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		name    string
		spoil   func(folder string)
		samples int64
		state   recorder.State
		id      string
	}{
		{"untouched", func(string) {}, 16000, recorder.StatePartial, "left"},
		{"header not brought up", edit("audio.wav", func(b []byte) []byte { clear(b[76:80]); clear(b[4:8]); return b }), 16000, recorder.StatePartial, "left"},
		{"header of zeros", edit("audio.wav", func(b []byte) []byte { clear(b[:80]); return b }), 16000, recorder.StatePartial, "left"},
		{"half a block at the end", edit("audio.wav", func(b []byte) []byte { return append(b, 1, 2, 3) }), 16000, recorder.StatePartial, "left"},
		{"more than the header says", edit("audio.wav", func(b []byte) []byte { return append(b, make([]byte, 400)...) }), 16100, recorder.StatePartial, "left"},
		{"shorter than the header says", edit("audio.wav", func(b []byte) []byte { return b[:80+4000] }), 1000, recorder.StatePartial, "left"},
		{"header cut off", edit("audio.wav", func(b []byte) []byte { return b[:40] }), 0, recorder.StateNoMedia, "left"},
		{"empty audio", edit("audio.wav", func([]byte) []byte { return nil }), 0, recorder.StateNoMedia, "left"},
		{"no manifest", func(f string) { os.Remove(filepath.Join(f, "recording.json")) }, 16000, recorder.StatePartial, "left"},
		{"torn manifest", edit("recording.json", func(b []byte) []byte { return b[:len(b)/2] }), 16000, recorder.StatePartial, "left"},
		{"manifest of zeros", edit("recording.json", func(b []byte) []byte { clear(b); return b }), 16000, recorder.StatePartial, "left"},
		{"no events", func(f string) { os.Remove(filepath.Join(f, "events.jsonl")) }, 16000, recorder.StatePartial, "left"},
		{"nothing", func(f string) {
			for _, n := range []string{"events.jsonl", "audio.wav", "recording.json"} {
				os.Remove(filepath.Join(f, n))
			}
		}, 0, recorder.StateNoMedia, "left"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			res, m := repaired(t, abandoned(t, c.spoil))
			if res.Samples != c.samples || m.Samples != c.samples || m.State != c.state || m.Call.ID != c.id || m.Cause != call.CodeCrash {
				t.Errorf("got %d samples, %s, call %q, cause %q, want %d, %s, %q, crash", m.Samples, m.State, m.Call.ID, m.Cause, c.samples, c.state, c.id)
			}
			_, err := os.Stat(filepath.Join(res.Dir, "audio.wav"))
			if has := err == nil; has != (c.samples > 0) {
				t.Errorf("audio.wav: got %v", err)
			}
			if c.samples == 0 {
				return
			}
			w := readWave(t, res.Dir)
			if w.samples() != c.samples || w.channels != 2 || w.size != w.riff+8 {
				t.Errorf("audio.wav: got %d samples, %d channels, RIFF %d of %d", w.samples(), w.channels, w.riff, w.size)
			}
			k := newTalker(1, call.RoleCustomer, 0)
			k.frame(media.KindReceived, int(min(c.samples, 16000)))
			sameSamples(t, "left", w.pcm(0), expect(c.samples, k))
		})
	}
}

func TestACrashBeforeTheLastRenameChangesNothing(t *testing.T) {
	dir := t.TempDir()
	s, stop := start(t, recorder.Config{Dir: dir})
	k := newTalker(1, call.RoleMix, 0)
	r := open(t, s, monoInfo("almost"))
	r.Write(batch(0, k.speaks(50), k))
	res, want := seal(t, r)
	stop()
	if err := os.Rename(res.Dir, res.Dir+".partial"); err != nil {
		t.Fatal(err)
	}
	again, got := repaired(t, dir)
	if again.Dir != res.Dir || got.State != want.State || got.Cause != call.CodeHangup || got.Audio.SHA256 != want.Audio.SHA256 {
		t.Errorf("got %s, %s, %s, want %s, %s, hangup", again.Dir, got.State, got.Cause, res.Dir, want.State)
	}
}

// TestAManifestIsNotSignedOverFilesThatAreGone: a power loss left the final manifest, and not the names beside it; or a kill left a vCon half written.
func TestAManifestIsNotSignedOverFilesThatAreGone(t *testing.T) {
	for name, spoil := range map[string]func(folder string) error{
		"no vCon":   func(folder string) error { return os.Remove(filepath.Join(folder, recorder.VConName)) },
		"no events": func(folder string) error { return os.Remove(filepath.Join(folder, recorder.EventsName)) },
		"half a vCon": func(folder string) error {
			return os.Rename(filepath.Join(folder, recorder.VConName), filepath.Join(folder, recorder.VConName+".tmp"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s, stop := start(t, recorder.Config{Dir: dir, VCon: true})
			k := newTalker(1, call.RoleMix, 0)
			r := open(t, s, monoInfo("almost"))
			r.Write(batch(0, k.speaks(50), k))
			res, want := seal(t, r)
			stop()
			must(t, os.Rename(res.Dir, res.Dir+".partial"))
			must(t, spoil(res.Dir+".partial"))
			again, stop := start(t, recorder.Config{Dir: dir, Sign: true}) // a vCon is not wanted any more
			eventually(t, "the repair", func() bool { return len(again.Repaired()) == 1 })
			stop()
			key, err := evidence.LoadPublic(filepath.Join(dir, evidence.DirName, evidence.PublicKeyName))
			must(t, err)
			if v, bad := verify(t, dir, key); bad != "" || v.Good != 1 {
				t.Errorf("%d good\n%s", v.Good, bad)
			}
			if got, err := recorder.ReadManifest(res.Dir); err != nil || got.Audio.SHA256 != want.Audio.SHA256 {
				t.Errorf("audio: got %v, %v, want %s", got, err, want.Audio.SHA256)
			}
		})
	}
}

func TestARepairedFolderTakesNobodysName(t *testing.T) {
	var taken string
	dir := abandoned(t, func(folder string) {
		taken = folder[:len(folder)-len(".partial")]
		if err := os.Mkdir(taken, 0o700); err != nil {
			t.Fatal(err)
		}
	})
	res, _ := repaired(t, dir)
	if res.Dir != taken+"_2" {
		t.Errorf("folder: got %s, want %s_2", res.Dir, taken)
	}
}

func TestOneDirectoryIsForOneProcess(t *testing.T) {
	dir := t.TempDir()
	first, err := recorder.New(recorder.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := recorder.New(recorder.Config{Dir: dir}); !errors.Is(err, recorder.ErrInUse) {
		t.Errorf("second New: got %v, want %v", err, recorder.ErrInUse)
	}
	if err := errors.Join(first.Close(), first.Close()); err != nil {
		t.Errorf("Close twice: %v", err)
	}
	again, err := recorder.New(recorder.Config{Dir: dir})
	if err != nil {
		t.Fatalf("New after Close: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := again.Run(ctx); err != nil {
		t.Errorf("Run: %v", err)
	}
	if _, err := again.Open(monoInfo("late"), anchor); !errors.Is(err, recorder.ErrClosed) {
		t.Errorf("Open after Run: got %v, want %v", err, recorder.ErrClosed)
	}
}
