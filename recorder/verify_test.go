package recorder_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/recorder/evidence"
)

// archive makes a folder of signed recordings, and gives its key and its last checkpoint.
func archive(t *testing.T, calls int) (dir string, key *evidence.Public, kept *evidence.Checkpoint) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "recordings")
	s, stop := start(t, recorder.Config{Dir: dir, Sign: true})
	for i := range calls {
		info := stereoInfo(fmt.Sprint("s-", i))
		info.Started = morning.Add(time.Duration(i) * time.Hour)
		r := open(t, s, info)
		if i%3 != 2 { // one has no media
			writeSome(r, 20+i)
		}
		seal(t, r)
	}
	stop()
	key, err := evidence.LoadPublic(filepath.Join(dir, evidence.DirName, evidence.PublicKeyName))
	if err != nil {
		t.Fatal(err)
	}
	return dir, key, newest(t, dir, key)
}

func newest(t *testing.T, dir string, key *evidence.Public) *evidence.Checkpoint {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, evidence.DirName, evidence.LogName, "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := evidence.OpenCheckpoint(b, key)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// verify gives what is wrong as text.
func verify(t *testing.T, dir string, key *evidence.Public, kept ...*evidence.Checkpoint) (*recorder.Verified, string) {
	t.Helper()
	c, err := recorder.OpenCatalog(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	v, err := c.Verify(t.Context(), recorder.VerifyConfig{Key: key, Kept: kept})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range v.Findings {
		fmt.Fprintf(&b, "%s %s: %s\n", f.Kind, f.What, f.Text)
	}
	return v, b.String()
}

func TestWhatWasSealedIsVerified(t *testing.T) {
	dir, key, kept := archive(t, 6)
	v, bad := verify(t, dir, key, kept)
	if v.Good != 6 || v.Leaves != 12 || v.Proven != 12 || bad != "" {
		t.Errorf("got %+v\n%s", v, bad)
	}
}

// folders are the recordings in dir.
func folders(t *testing.T, dir string) (list []string) {
	t.Helper()
	c, err := recorder.OpenCatalog(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	all, err := c.List(t.Context(), "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range all {
		list = append(list, l.Folder)
	}
	slices.Sort(list)
	return list
}

func TestVerifyNamesWhatWasDone(t *testing.T) {
	dir, key, kept := archive(t, 6)
	names := folders(t, dir)
	path := func(parts ...string) string { return filepath.Join(append([]string{dir}, parts...)...) }
	flip := func(name string, at int64) {
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		one := []byte{0}
		if _, err := f.ReadAt(one, at); err != nil {
			t.Fatal(err)
		}
		one[0] ^= 1
		if _, err := f.WriteAt(one, at); err != nil {
			t.Fatal(err)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	good := snapshot(t, dir)
	for _, c := range []struct {
		what string
		do   func()
		want []string
	}{
		{"a sample", func() { flip(path(names[0], "audio.wav"), 500) }, []string{"changed " + names[0] + "/audio.wav", "from 0:00"}},
		{"the manifest", func() { flip(path(names[1], "recording.json"), 20) }, []string{"changed " + names[1] + "/recording.json"}},
		{"the signature", func() { flip(path(names[1], "recording.sig"), 20) }, []string{"unsigned " + names[1] + "/recording.sig"}},
		{"the events", func() { must(os.WriteFile(path(names[2], "events.jsonl"), []byte("{}\n"), 0o600)) }, []string{"changed " + names[2] + "/events.jsonl"}},
		{"a recording is gone", func() { must(os.RemoveAll(path(names[3]))) }, []string{"removed " + names[3]}},
		{"the audio is gone", func() { must(os.Remove(path(names[0], "audio.wav"))) }, []string{"removed " + names[0] + "/audio.wav"}},
		{"a file came", func() { must(os.WriteFile(path(names[0], "x.wav"), nil, 0o600)) }, []string{"added " + names[0] + "/x.wav"}},
		{"a copy under another name", func() { must(os.CopyFS(path(filepath.Dir(names[0]), "20261123T111111Z_x"), os.DirFS(path(names[0])))) }, []string{"added 2026/11/23/20261123T111111Z_x: it is signed"}},
		{"two change places", func() {
			must(os.Rename(path(names[0]), path("x")))
			must(os.Rename(path(names[1]), path(names[0])))
			must(os.Rename(path("x"), path(names[1])))
		}, []string{"changed " + names[0] + "/recording.json", "changed " + names[1] + "/recording.json"}},
		{"the log is gone", func() { must(os.RemoveAll(path("evidence", "log"))) }, []string{"removed evidence/log", "added " + names[0] + ": it is signed"}},
		{"all of it is gone", func() { must(os.RemoveAll(path("evidence"))); must(os.RemoveAll(path("2026"))) }, []string{"removed evidence/log"}},
	} {
		c.do()
		_, bad := verify(t, dir, key, kept)
		for _, want := range c.want {
			if !strings.Contains(bad, want) {
				t.Errorf("%s: want %q, got\n%s", c.what, want, bad)
			}
		}
		restore(t, dir, good)
		if _, bad := verify(t, dir, key, kept); bad != "" {
			t.Fatalf("%s, put back: %s", c.what, bad)
		}
	}
}

// snapshot reads all files; restore makes the directory exactly that again.
func snapshot(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(p)
		rel, _ := filepath.Rel(dir, p)
		out[rel] = b
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func restore(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for name, b := range files {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNoMutationOfAnArchiveIsMissed does something at random to a folder of recordings, again and again: verify finds it.
func TestNoMutationOfAnArchiveIsMissed(t *testing.T) {
	n, seed := 500, rand.Uint64()
	if s := os.Getenv("EARSHOT_CASES"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	if s := os.Getenv("EARSHOT_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("EARSHOT_SEED=%d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	dir, key, kept := archive(t, 5)
	good := snapshot(t, dir)
	var names []string
	for name := range good {
		if !strings.Contains(name, "key.") && !strings.HasPrefix(filepath.Base(name), ".") && len(good[name]) > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for i := range n {
		name := names[r.IntN(len(names))]
		how := meddle(t, r, dir, name, good)
		_, bad := verify(t, dir, key, kept)
		if bad == "" {
			t.Fatalf("case %d: %s: %s is not found", i, name, how)
		}
		about := filepath.ToSlash(filepath.Dir(name))
		if !strings.Contains(bad, about) {
			t.Fatalf("case %d: %s: %s: what is found does not name it: %s", i, name, how, bad)
		}
		putBack(t, dir, name, how, good)
		if i%50 == 0 {
			if v, bad := verify(t, dir, key, kept); bad != "" || v.Good != 5 {
				t.Fatalf("case %d, after %s of %s was put back: a false alarm: %s", i, how, name, bad)
			}
		}
	}
}

// meddle does something to a file, to its folder, or beside it.
func meddle(t *testing.T, r *rand.Rand, dir, name string, good map[string][]byte) string {
	t.Helper()
	at := filepath.Join(dir, name)
	b := bytes.Clone(good[name])
	how := []string{"a bit", "a cut", "a piece gone", "a piece twice", "the file gone", "another's octets", "a file beside it", "lines swapped"}[r.IntN(8)]
	i := r.IntN(len(b))
	j := i + 1 + r.IntN(len(b)-i)
	switch how {
	case "a bit":
		b[i] ^= 1 << r.IntN(8)
	case "a cut":
		b = b[:i]
	case "a piece gone":
		b = append(b[:i], b[j:]...)
	case "a piece twice":
		b = slices.Insert(b, i, b[i:j]...)
	case "another's octets":
		b = append(b, b...)
	case "lines swapped":
		lines := bytes.SplitAfter(b, []byte("\n"))
		k := r.IntN(len(lines))
		l := r.IntN(len(lines))
		lines[k], lines[l] = lines[l], lines[k]
		if b = bytes.Join(lines, nil); bytes.Equal(b, good[name]) {
			b[0] ^= 1
		}
	}
	var err error
	switch how {
	case "the file gone":
		err = os.Remove(at)
	case "a file beside it":
		if strings.HasPrefix(name, evidence.DirName) {
			err = os.WriteFile(at, append(b, '\n'), 0o600)
		} else {
			err = os.WriteFile(at+".x", b, 0o600)
		}
	default:
		err = os.WriteFile(at, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return how
}

func putBack(t *testing.T, dir, name, how string, good map[string][]byte) {
	t.Helper()
	at := filepath.Join(dir, name)
	if how == "a file beside it" && !strings.HasPrefix(name, evidence.DirName) {
		if err := os.Remove(at + ".x"); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(at, good[name], 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestYesterdaysArchiveIsFound(t *testing.T) {
	dir, key, _ := archive(t, 3)
	yesterday := snapshot(t, dir)
	s, stop := start(t, recorder.Config{Dir: dir, Sign: true})
	info := stereoInfo("later")
	info.Started = morning.Add(24 * time.Hour)
	r := open(t, s, info)
	writeSome(r, 30)
	seal(t, r)
	stop()
	kept := newest(t, dir, key)
	restore(t, dir, yesterday)
	if _, bad := verify(t, dir, key); bad != "" {
		t.Fatalf("the disk alone can't tell: %s", bad)
	}
	if _, bad := verify(t, dir, key, kept); !strings.Contains(bad, "rolled_back evidence/log/checkpoint") {
		t.Errorf("got %s", bad)
	}
}

// writeSome has both parties talk for n frames of 20 ms.
func writeSome(r *recorder.Recording, n int) {
	customer, agent := newTalker(1, call.RoleCustomer, 0), newTalker(2, call.RoleAgent, 80)
	frames := append(customer.speaks(n), agent.speaks(n)...)
	customer.Ended, agent.Ended = true, true
	b := batch(time.Minute+time.Second, frames, customer, agent)
	b.Events = []call.Event{{Time: morning, Type: call.EventTrackStarted, Track: 1}}
	r.Write(b)
}
