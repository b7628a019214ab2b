package recorder

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/earshot/earshot/recorder/evidence"
)

// leavesOf reads the leaves of a directory's log.
func leavesOf(t *testing.T, dir string) (out []evidence.Leaf) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, evidence.DirName, evidence.LogName, "leaves.jsonl"))
	succeed(t, err)
	for line := range bytes.Lines(b) {
		l, err := evidence.ParseLeaf(bytes.TrimSpace(line))
		succeed(t, err)
		out = append(out, l)
	}
	return out
}

func TestActsAreInTheLogInTheirOrder(t *testing.T) {
	dir := t.TempDir()
	s, err := New(Config{Dir: dir, Sign: true})
	succeed(t, err)
	early := s.Act(evidence.Leaf{Act: "listen", Call: "s-1", Who: "uid 7, pid 9", Why: "coaching"}) // before Run: it waits
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	succeed(t, <-early)
	last := s.Act(evidence.Leaf{Act: "release", Call: "s-1", Type: evidence.LeafErased}) // nobody passes an erasure off as an act, or the other way round
	stop()
	succeed(t, <-ran)
	if err := <-last; err != nil { // what was taken before the end is written
		t.Errorf("the act before the end: %v", err)
	}
	got := leavesOf(t, dir)
	if len(got) != 2 || got[0].Act != "listen" || got[0].Who != "uid 7, pid 9" || got[0].Why != "coaching" || got[0].Time.IsZero() || got[1].Act != "release" || got[1].Type != evidence.LeafAct {
		t.Errorf("got %+v", got)
	}
	if err := <-s.Act(evidence.Leaf{Act: "listen"}); !errors.Is(err, ErrClosed) {
		t.Errorf("after the end: got %v, want ErrClosed", err)
	}
}

func TestActsThatFindNoRoomAreToldAndCounted(t *testing.T) {
	s, err := New(Config{Dir: t.TempDir(), Sign: true})
	succeed(t, err)
	for range maxActs { // nobody writes before Run
		s.Act(evidence.Leaf{Act: "listen"})
	}
	if err := <-s.Act(evidence.Leaf{Act: "listen"}); !errors.Is(err, errActs) || s.Counters().Errors != 1 {
		t.Errorf("got %v, %d errors; want that too many wait, counted", err, s.Counters().Errors)
	}
	succeed(t, s.Close())
}

func TestWithoutALogActsAreDone(t *testing.T) {
	s, err := New(Config{Dir: t.TempDir()})
	succeed(t, err)
	if err := <-s.Act(evidence.Leaf{Act: "listen"}); err != nil {
		t.Errorf("got %v", err)
	}
	succeed(t, s.Close())
}

func TestNoteBeginsNothing(t *testing.T) {
	dir := t.TempDir()
	if err := evidence.Note(dir, "", evidence.Leaf{Type: evidence.LeafAct, Act: "export"}); !errors.Is(err, evidence.ErrNoLog) {
		t.Errorf("no log: got %v, want ErrNoLog", err)
	}
	if names, _ := os.ReadDir(dir); len(names) != 0 {
		t.Errorf("it made %v", names)
	}
	book, err := evidence.Open(dir, "", nil)
	succeed(t, err)
	succeed(t, book.Write(evidence.Leaf{Type: evidence.LeafAct, Act: "first"}))
	succeed(t, evidence.Note(dir, "", evidence.Leaf{Type: evidence.LeafAct, Act: "export"})) // beside who has it open
	succeed(t, book.Write(evidence.Leaf{Type: evidence.LeafAct, Act: "last"}))
	succeed(t, book.Close())
	if got := leavesOf(t, dir); len(got) != 3 || got[1].Act != "export" {
		t.Errorf("got %+v", got)
	}
	log := filepath.Join(dir, evidence.DirName, evidence.LogName, "leaves.jsonl")
	b, err := os.ReadFile(log)
	succeed(t, err)
	succeed(t, os.WriteFile(log, bytes.Replace(b, []byte("first"), []byte("other"), 1), 0o600))
	succeed(t, os.Remove(filepath.Join(dir, evidence.DirName, evidence.LogName, "hashes")))
	if err := evidence.Note(dir, "", evidence.Leaf{Type: evidence.LeafAct, Act: "export"}); !errors.Is(err, evidence.ErrDamaged) {
		t.Errorf("a damaged log: got %v, want ErrDamaged", err)
	}
	if names, _ := filepath.Glob(filepath.Join(dir, evidence.DirName, "log-*")); names != nil {
		t.Errorf("it put a log aside: %v", names)
	}
}

func succeed(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
