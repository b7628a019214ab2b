package recorder_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/earshot/earshot/recorder"
)

// TestListOutlivesWhatOthersPutThere: a pipe in a manifest's place, and a year that is a link out of the folder, hide no recording.
func TestListOutlivesWhatOthersPutThere(t *testing.T) {
	dir := t.TempDir()
	cat, err := recorder.OpenCatalog(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer cat.Close()
	const day, good, pipe = "2026/11/27", "20261127T002253Z_good", "20261127T002254Z_pipe"
	for _, name := range []string{good, pipe} {
		if err := os.MkdirAll(filepath.Join(dir, day, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{filepath.Join(day, pipe, recorder.ManifestName), "2027"} {
		if err := syscall.Mkfifo(filepath.Join(dir, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := cat.List(t.Context(), "", 10); err != nil || len(list) != 2 || list[0].Error == "" {
		t.Errorf("with pipes: got %+v, %v; want both folders", list, err)
	}
	if err := os.Symlink(t.TempDir(), filepath.Join(dir, "2025")); err != nil {
		t.Fatal(err)
	}
	if list, err := cat.List(t.Context(), "", 10); err == nil || len(list) != 2 {
		t.Errorf("with a link: got %+v, %v; want both folders, and an error", list, err)
	}
	if list, err := cat.Find(good); err != nil || len(list) != 1 {
		t.Errorf("found %+v, %v; want one", list, err)
	}
	if list, err := cat.Find("nobody"); err == nil || len(list) != 0 {
		t.Errorf("found %+v, %v; want an error: it may lie where the link points", list, err)
	}
}
