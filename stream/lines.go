package stream

import (
	"bytes"
	"log/slog"
	"strings"
	"time"

	"github.com/earshot/earshot/internal/attr"
)

const (
	// maxLine bounds a line of a program's output, in bytes; the rest of it is not shown.
	maxLine = 512
	// maxLines bounds the lines of a second; the others are counted.
	maxLines = 20
)

// lineLog is a program's output on its way to our log, at debug.
type lineLog struct {
	log *slog.Logger

	// Owned by the goroutine that exec.Cmd copies with, until its Wait returns.
	part  []byte // of the line that is coming, at most maxLine
	last  string
	since time.Time // the second that is counted
	n     int       // lines in it
	over  int       // lines that were not shown
}

func (p *program) lines(which string) *lineLog {
	return &lineLog{log: p.hub.log.With(attr.Call(p.call), attr.Track(p.track), attr.Sink(p.consumer.Name), "output", which)}
}

// Write takes output in any pieces. It never fails: a program must not end because of its log.
func (l *lineLog) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		l.part = append(l.part, line[:min(len(line), maxLine-len(l.part))]...)
		if whole {
			l.show()
		}
		rest = after
	}
	return len(b), nil
}

// show logs the line that is complete.
func (l *lineLog) show() {
	text := clean(l.part)
	l.part = l.part[:0]
	if text == "" {
		return
	}
	l.last = text
	if now := time.Now(); now.Sub(l.since) >= time.Second {
		l.since, l.n = now, 0
	}
	if l.n++; l.n > maxLines {
		l.over++
		return
	}
	l.log.Debug("stream program wrote", "line", text, "skipped", l.over)
	l.over = 0
}

// lastLine gives the last line that was not empty; for after the process's end.
func (l *lineLog) lastLine() string {
	if text := clean(l.part); text != "" {
		return text
	}
	return l.last
}

// clean makes a line fit for logs and records.
func clean(b []byte) string {
	s := strings.ToValidUTF8(string(b), "?")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s))
}
