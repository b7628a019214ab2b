package stream

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestOutputOfProgramsIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		l := &lineLog{log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
		write := func(s string) {
			if n, err := l.Write([]byte(s)); n != len(s) || err != nil {
				t.Fatalf("Write: %d, %v", n, err)
			}
		}
		write("half of ")
		write("a line\r\n\n  \n\x1b[31mred\x00\xff\n")
		if got := strings.Count(log.String(), "\n"); got != 2 || !strings.Contains(log.String(), "half of a line") {
			t.Errorf("got %s", log.String())
		}
		if strings.ContainsAny(log.String(), "\x1b\x00") {
			t.Errorf("control characters in %q", log.String())
		}
		time.Sleep(time.Second)
		log.Reset()
		write(strings.Repeat("flood\n", 1000))
		if got := strings.Count(log.String(), "\n"); got != maxLines {
			t.Errorf("%d lines in a second, want %d", got, maxLines)
		}
		time.Sleep(time.Second)
		log.Reset()
		write(strings.Repeat("x", 1<<20))
		write("\nend")
		if n := log.Len(); n > maxLine+300 || !strings.Contains(log.String(), "skipped=980") {
			t.Errorf("%d bytes: %.300s", n, log.String())
		}
		if got := l.lastLine(); got != "end" {
			t.Errorf("last line: %q, want end", got)
		}
	})
}
