package outbox_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/earshot/earshot/internal/outbox"
)

func TestATornLineCostsNoOther(t *testing.T) {
	dir := t.TempDir()
	l, err := outbox.OpenLedger(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	add := func(n int) {
		if err := l.Add("2026-11-23", n); err != nil {
			t.Fatal(err)
		}
	}
	add(1)
	add(2)
	f, err := os.OpenFile(filepath.Join(dir, "2026-11-23.jsonl"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"cut`); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	add(3)
	var got []string
	if err := l.Read("2026-11-23", func(line []byte) { got = append(got, string(line)) }); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, []string{"1", "2", "3"}) {
		t.Errorf("lines: %q, want 1, 2, 3", got)
	}
	if err := l.Read("2026-11-24", func([]byte) { t.Error("a line of a day that has none") }); err != nil {
		t.Error(err)
	}
	if err := l.Add("../x", 1); err == nil {
		t.Error("a day that leads elsewhere was taken")
	}
}
