package powercut_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/earshot/earshot/internal/powercut"
)

func put(t *testing.T, f *os.File, b []byte, at int64) {
	t.Helper()
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

func sync(t *testing.T, d *powercut.Disk, f *os.File) {
	t.Helper()
	if err := d.Sync(f); err != nil {
		t.Fatal(err)
	}
}

func openIn(t *testing.T, name string, flags int) *os.File {
	t.Helper()
	f, err := os.OpenFile(name, flags, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// TestWhatWasMadeDurableIsAlwaysThereAndTheRestComesInAnyPart: a durable file, one whose name is not, a rename, and sectors.
func TestWhatWasMadeDurableIsAlwaysThereAndTheRestComesInAnyPart(t *testing.T) {
	dir := t.TempDir()
	d, err := powercut.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close() //nolint:errcheck // files of a test
	root := openIn(t, dir, os.O_RDONLY)
	old, fresh := bytes.Repeat([]byte{1}, 4096), bytes.Repeat([]byte{2}, 8192)
	a := openIn(t, filepath.Join(dir, "a"), os.O_RDWR|os.O_CREATE)
	put(t, a, old, 0)
	sync(t, d, a)
	sync(t, d, root)
	put(t, a, fresh, 0)
	b := openIn(t, filepath.Join(dir, "b"), os.O_RDWR|os.O_CREATE)
	put(t, b, fresh, 0)
	sync(t, d, b) // its octets, not its name
	m := openIn(t, filepath.Join(dir, "m"), os.O_RDWR|os.O_CREATE)
	sync(t, d, m)
	sync(t, d, root)
	if err := os.Remove(b.Name()); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(m.Name(), filepath.Join(dir, "moved")); err != nil {
		t.Fatal(err)
	}

	seen := map[string]int{}
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test's
	for range 1000 {
		to := t.TempDir()
		sure, err := d.Cut(to, r)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(sure["a"], old) || !bytes.Equal(sure["b"], fresh) || sure["m"] == nil || len(sure) != 3 {
			t.Fatalf("sure: %d files", len(sure))
		}
		got, err := os.ReadFile(filepath.Join(to, "a"))
		if err != nil || len(got) < len(old) {
			t.Fatalf("a: %d octets, %v; want 4096 at least", len(got), err)
		}
		for i, c := range got {
			if c != 2 && (i < len(old)) != (c == 1) {
				t.Fatalf("a: octet %d: %d", i, c)
			}
			if c != got[i&^511] {
				t.Fatalf("a: octet %d is not as its sector's first", i)
			}
		}
		_, errM := os.Stat(filepath.Join(to, "m"))
		_, errMoved := os.Stat(filepath.Join(to, "moved"))
		if (errM == nil) == (errMoved == nil) {
			t.Fatalf("a rename that happened by half: %v, %v", errM, errMoved)
		}
		if _, err := os.Stat(filepath.Join(to, "b")); err == nil {
			seen["b"]++
		}
		if errMoved == nil {
			seen["moved"]++
		}
		if bytes.Contains(got, []byte{1, 2}) || bytes.Contains(got, []byte{2, 1}) {
			seen["mixed"]++
		}
		if err := os.RemoveAll(to); err != nil {
			t.Fatal(err)
		}
	}
	for _, what := range []string{"b", "moved", "mixed"} {
		if seen[what] < 100 || seen[what] > 900 {
			t.Errorf("%s: in %d of 1000 cuts, want some hundreds", what, seen[what])
		}
	}
}
