package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// bookAt opens a directory's book, and writes one leaf for each name.
func bookAt(t *testing.T, root string, names ...string) (*Book, *bytes.Buffer) {
	t.Helper()
	said := new(bytes.Buffer)
	b, err := Open(root, "", slog.New(slog.NewTextHandler(said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() }) // some tests close it themselves
	writeNames(t, b, names...)
	return b, said
}

func writeNames(t *testing.T, b *Book, names ...string) {
	t.Helper()
	for _, n := range names {
		if err := b.Write(Leaf{Type: LeafRecording, Folder: n, Manifest: "aa"}); err != nil {
			t.Fatalf("%s: %v", n, err)
		}
	}
}

// lies gives all of a directory's logs as text, and what is wrong with the newest.
func lies(t *testing.T, root string, p *Public) (leaves, bad string) {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(root, DirName, LogName+"*", leavesName))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range logs {
		b, err := os.ReadFile(l)
		if err != nil {
			t.Fatal(err)
		}
		leaves += string(b)
	}
	_, bad = checked(t, filepath.Join(root, DirName, LogName), p)
	return leaves, bad
}

func TestALogThatIsTakenAwayWhileItIsWrittenIsMissedAtOnce(t *testing.T) {
	for what, do := range map[string]func(evidence string) error{
		"evidence":   os.RemoveAll,
		"log":        func(e string) error { return os.RemoveAll(filepath.Join(e, LogName)) },
		"leaves":     func(e string) error { return os.Remove(filepath.Join(e, LogName, leavesName)) },
		"hashes":     func(e string) error { return os.Remove(filepath.Join(e, LogName, hashesName)) },
		"checkpoint": func(e string) error { return os.Remove(filepath.Join(e, LogName, checkpointName)) },
	} {
		root := t.TempDir()
		b, said := bookAt(t, root, "f0", "f1")
		if err := do(filepath.Join(root, DirName)); err != nil {
			t.Fatal(err)
		}
		writeNames(t, b, "f2", "f3")
		leaves, bad := lies(t, root, b.Public())
		if bad != "" || !strings.Contains(leaves, `"f2"`) || !strings.Contains(leaves, `"f3"`) || !strings.Contains(leaves, "\\n2\\n") {
			t.Errorf("%s: %s\nleaves: %s", what, bad, leaves)
		}
		if n := strings.Count(said.String(), "level=ERROR"); n != 1 {
			t.Errorf("%s: told %d times, want once:\n%s", what, n, said)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		b, _ = bookAt(t, root, "f4")
		if leaves, bad := lies(t, root, b.Public()); bad != "" || !strings.Contains(leaves, `"f3"`) || !strings.Contains(leaves, `"f4"`) {
			t.Errorf("%s, after a start: %s\nleaves: %s", what, bad, leaves)
		}
	}
}

// TestALogInOtherFilesGoesOn: a backup that is put in place of the log, while it is written, is no other log; an older one is.
func TestALogInOtherFilesGoesOn(t *testing.T) {
	root := t.TempDir()
	b, said := bookAt(t, root, "f0", "f1")
	name, copied := filepath.Join(root, DirName, LogName), filepath.Join(root, "copy")
	if err := os.CopyFS(copied, os.DirFS(name)); err != nil {
		t.Fatal(err)
	}
	exchange := func() {
		t.Helper()
		if err := os.RemoveAll(name); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(name, os.DirFS(copied)); err != nil {
			t.Fatal(err)
		}
	}
	exchange()
	writeNames(t, b, "f2")
	if leaves, bad := lies(t, root, b.Public()); bad != "" || strings.Count(leaves, "\n") != 3 || said.Len() > 0 {
		t.Errorf("%s\n%s\n%s", bad, leaves, said)
	}
	exchange()
	writeNames(t, b, "f3")
	if leaves, bad := lies(t, root, b.Public()); bad != "" || !strings.Contains(leaves, `"dir":"log-1"`) || said.Len() == 0 {
		t.Errorf("an older one: %s\n%s\n%s", bad, leaves, said)
	}
}

func TestTwoProcessesBeginOneLogAnew(t *testing.T) {
	root := t.TempDir()
	one, _ := bookAt(t, root, "f0")
	two, _ := bookAt(t, root, "f1")
	if err := os.Remove(filepath.Join(root, DirName, LogName, hashesName)); err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		writeNames(t, one, fmt.Sprint("one-", i))
		writeNames(t, two, fmt.Sprint("two-", i))
	}
	logs, _ := filepath.Glob(filepath.Join(root, DirName, LogName+"*"))
	if leaves, bad := lies(t, root, one.Public()); bad != "" || len(logs) != 2 || strings.Count(leaves, "\n") != 2+1+12 {
		t.Errorf("%s\n%v\n%s", bad, logs, leaves)
	}
}

func TestANewKeyLeavesTheOldPublicOneBeside(t *testing.T) {
	root := t.TempDir()
	b, _ := bookAt(t, root, "f0")
	old := b.Public()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(root, DirName, KeyName)); err != nil {
		t.Fatal(err)
	}
	b, said := bookAt(t, root, "f1")
	now, err := LoadPublic(filepath.Join(root, DirName, PublicKeyName))
	if err != nil || !now.Same(b.Public()) {
		t.Errorf("key.pub is not the key's: %v", err)
	}
	before, err := LoadPublic(filepath.Join(root, DirName, "key-1.pub"))
	if err != nil || !before.Same(old) || !strings.Contains(said.String(), "another key signs") {
		t.Errorf("key-1.pub is not the one of before: %v\n%s", err, said)
	}
}

func TestAKeyThatOthersMayReadIsToldOf(t *testing.T) {
	root := t.TempDir()
	b, said := bookAt(t, root)
	if err := b.Close(); err != nil || said.Len() > 0 {
		t.Fatalf("%v, told %s", err, said)
	}
	if err := os.Chmod(filepath.Join(root, DirName, KeyName), 0o640); err != nil {
		t.Fatal(err)
	}
	if _, said := bookAt(t, root); !strings.Contains(said.String(), "level=WARN") {
		t.Errorf("told %q, want a warning", said)
	}
}

// TestALogWithoutItsCheckpointIsNotEmptied: a file of 150 octets that is lost costs no leaf.
func TestALogWithoutItsCheckpointIsNotEmptied(t *testing.T) {
	root := t.TempDir()
	b, _ := bookAt(t, root, "f0", "f1")
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(root, DirName, LogName, checkpointName)); err != nil {
		t.Fatal(err)
	}
	b, said := bookAt(t, root, "f2")
	if leaves, bad := lies(t, root, b.Public()); bad != "" || strings.Count(leaves, "\n") != 4 || !strings.Contains(said.String(), "no checkpoint") {
		t.Errorf("%s\n%s\n%s", bad, leaves, said)
	}
}

func TestAnEmptyLogIsSigned(t *testing.T) {
	root := t.TempDir()
	b, _ := bookAt(t, root)
	if leaves, bad := lies(t, root, b.Public()); leaves != "" || bad != "" {
		t.Errorf("%s\n%s", leaves, bad)
	}
}

func TestACrashBetweenTwoLogsLeavesTheOldOneNamed(t *testing.T) {
	root := t.TempDir()
	b, _ := bookAt(t, root, "f0", "f1")
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(root, DirName, LogName)
	if err := os.Rename(log, log+"-1"); err != nil {
		t.Fatal(err)
	}
	bookAt(t, root, "f2")
	before, err := PreviousOf(root, DirName+"/"+LogName)
	if err != nil || before == nil || before.Dir != LogName+"-1" || before.Head() == nil || before.Head().Size != 2 {
		t.Errorf("got %+v, %v", before, err)
	}
}

func TestAKeyThatIsNoFileHoldsNobodyUp(t *testing.T) {
	if _, err := Open(t.TempDir(), t.TempDir(), nil); !errors.Is(err, errNotPlain) {
		t.Errorf("got %v, want that it is no file", err)
	}
}

// TestADirectoryThatIsMovedGetsNoSecondLog: one under its old name would hold what belongs to the moved one.
func TestADirectoryThatIsMovedGetsNoSecondLog(t *testing.T) {
	root := filepath.Join(t.TempDir(), "recordings")
	if err := os.Mkdir(root, 0o700); err != nil {
		t.Fatal(err)
	}
	b, _ := bookAt(t, root, "f0")
	if err := os.Rename(root, root+"-moved"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := b.Write(Leaf{Type: LeafRecording, Folder: "f1"}); !errors.Is(err, errMoved) && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("moved: got %v", err)
		}
	}
	if _, err := os.Stat(root); err == nil {
		t.Error("there is a directory under the old name again")
	}
	if err := os.Rename(root+"-moved", root); err != nil {
		t.Fatal(err)
	}
	writeNames(t, b, "f2")
	if leaves, bad := lies(t, root, b.Public()); bad != "" || !strings.Contains(leaves, `"f0"`) || !strings.Contains(leaves, `"f2"`) {
		t.Errorf("moved back: %s\nleaves: %s", bad, leaves)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}
