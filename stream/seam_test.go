package stream_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/stream"
)

// TestWhatTheUpsamplerHoldsBackGoesToTheNextProcess: what processes that die one after the other were given is, put end to end and octet for octet, what one that lives was; each is
// told where its part begins.
func TestWhatTheUpsamplerHoldsBackGoesToTheNextProcess(t *testing.T) {
	for _, rate := range []int{16000, 24000} {
		for name, c := range map[string]stream.Consumer{"catches up": {CatchUp: true, Overlap: -1}, "does not": {}} {
			t.Run(strconv.Itoa(rate)+" "+name, func(t *testing.T) {
				t.Parallel()
				parts, whole := t.TempDir(), filepath.Join(t.TempDir(), "whole")
				// A message is less than a pipe takes in one piece (pipe(7)), so one read has all of it.
				c.Message, c.Rate, c.MaxRestarts = 60*time.Millisecond, rate, 2*kills
				c.Env = map[string]string{"OUT": parts}
				c.Command = sh(`n=$(ls "$OUT" | wc -l); f="$OUT/$n.$CALL_FROM_SAMPLES"; : > "$f"; if [ "$n" -lt ` + strconv.Itoa(kills) + ` ]; then dd bs=65536 count=1 of="$f" status=none; kill -9 $$; fi; exec cat > "$f"`)
				h, stop := start(t, c, stream.Consumer{Command: sh(`cat > "$OUT"`), Rate: rate, Env: map[string]string{"OUT": whole}})
				stream.Calm(h)
				told, a := new(record), new(tape)
				s := h.Open(info(), stream.Options{Notify: told.notify, Archive: a})
				at := int64(0)
				for i := range kills + 1 {
					feed(s, 1, at, at+3)
					at += 3
					waitFor(t, "the next process", func() bool { return i == kills || h.Consumers()["sh"].Connections == int64(i+2) })
				}
				s.End(call.Cause{Code: call.CodeHangup})
				waitFor(t, "both have all", func() bool { return strings.Count(told.reasons(), "call_ended") == 2 })
				stop()
				checkParts(t, parts, read(t, whole), int64(rate/8000))
			})
		}
	}
}

// checkParts compares a stream, of s16le in one channel at so many times 8000 Hz, with the parts of it that lie in a directory, by number and position.
func checkParts(t *testing.T, dir string, want []byte, times int64) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != kills+1 {
		t.Fatalf("%v, %d processes, want %d", err, len(files), kills+1)
	}
	number := func(f os.DirEntry) int {
		n, _ := strconv.Atoi(f.Name()[:strings.Index(f.Name(), ".")])
		return n
	}
	slices.SortFunc(files, func(a, b os.DirEntry) int { return number(a) - number(b) })
	var got []byte
	for _, f := range files {
		_, from, _ := strings.Cut(f.Name(), ".")
		if want := int64(len(got)) / 2 / times; from != strconv.FormatInt(want, 10) {
			t.Errorf("process %d: told that it begins at %s, want %d", number(f), from, want)
		}
		got = append(got, read(t, filepath.Join(dir, f.Name()))...)
	}
	if len(want) == 0 || !bytes.Equal(got, want) {
		t.Errorf("%d octets in parts, want the %d that one process was given", len(got), len(want))
	}
}
