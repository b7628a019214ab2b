package recorder

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestOnlyATornLastLineIsCutOff(t *testing.T) {
	long := append(append([]byte(`{"a":"`), bytes.Repeat([]byte("x"), maxLineBytes-10)...), "\"}\n"...)
	for _, c := range []struct{ name, in, keep, last string }{
		{"empty", "", "", ""},
		{"whole", "{\"a\":1}\n{\"b\":2}\n", "{\"a\":1}\n{\"b\":2}\n", `{"b":2}`},
		{"no newline", "{\"a\":1}\n{\"b\":2}", "{\"a\":1}\n", `{"a":1}`},
		{"half a line", "{\"a\":1}\n{\"b\":", "{\"a\":1}\n", `{"a":1}`},
		{"zeros after a power loss", "{\"a\":1}\n\x00\x00\x00\x00", "{\"a\":1}\n", `{"a":1}`},
		{"zeros with a newline", "{\"a\":1}\n\x00\x00\n", "{\"a\":1}\n", `{"a":1}`},
		{"nothing but a torn line", "{\"a", "", ""},
		{"long lines", string(long) + string(long) + string(long[:maxLineBytes-20]), string(long) + string(long), string(long[:len(long)-1])},
		{"a long torn line", string(long) + string(bytes.Repeat([]byte{0}, 8*maxLineBytes)), string(long), string(long[:len(long)-1])},
	} {
		f, err := os.Create(filepath.Join(t.TempDir(), EventsName))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(c.in); err != nil {
			t.Fatal(err)
		}
		last, err := repairEvents(f)
		got, _ := os.ReadFile(f.Name())
		if err != nil || string(got) != c.keep || string(last) != c.last {
			t.Errorf("%s: got %d octets, last %.20q, %v, want %d, %.20q", c.name, len(got), last, err, len(c.keep), c.last)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// FuzzWholeLines: what is kept is a prefix that ends with a line of JSON, and loses nothing if kept again.
func FuzzWholeLines(f *testing.F) {
	f.Add([]byte("{\"a\":1}\n{\"b\""))
	f.Add([]byte("\n\n1\n\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		keep, line := wholeLines(b)
		if keep < 0 || keep > len(b) || keep > 0 && (b[keep-1] != '\n' || !json.Valid(line)) {
			t.Fatalf("kept %d of %d, last %q", keep, len(b), line)
		}
		if again, same := wholeLines(b[:keep]); again != keep || !bytes.Equal(same, line) {
			t.Fatalf("kept %d, then %d", keep, again)
		}
	})
}

func TestARepeatedErrorIsOneLineAMinute(t *testing.T) {
	var g gripe
	now := time.Unix(1000, 0)
	var lines []int64
	for range 125 {
		if n, ok := g.pass(now, false); ok {
			lines = append(lines, n)
		}
		now = now.Add(time.Second)
	}
	if len(lines) != 3 || lines[0] != 1 || lines[1] != 60 || lines[2] != 60 {
		t.Errorf("got lines for %v errors, want 1, 60, 60", lines)
	}
}
