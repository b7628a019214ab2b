package attr

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// maxLines bounds what a limiter remembers: a peer that provokes ever new texts costs one entry more, not memory.
const maxLines = 256

// keyCount is the attribute that tells how many equal records one line stands for, itself included.
const keyCount = "count"

// Limit wraps h: of warnings and errors with the same message and the same err, reason and cause, one per every goes
// through, with count: how many it stands for, itself included, if more than one. The first goes through at once. What
// else the record carries, such as the call, is that of the last case. Numbers of four or more digits (ports, positions)
// and hexadecimal ids don't make a text another one. Records below warning always pass. every <= 0 gives h itself.
func Limit(h slog.Handler, every time.Duration) slog.Handler {
	if every <= 0 {
		return h
	}
	return &limited{next: h, lines: &lines{every: every, seen: make(map[string]*line)}}
}

// limited is the handler; handlers derived from it share lines.
type limited struct {
	next  slog.Handler
	lines *lines
	// fixed is what WithAttrs put into the key.
	fixed string
}

// Enabled reports what the wrapped handler does.
func (l *limited) Enabled(ctx context.Context, level slog.Level) bool {
	return l.next.Enabled(ctx, level)
}

// Handle passes the record on, or counts it.
func (l *limited) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelWarn {
		return l.next.Handle(ctx, r)
	}
	var key strings.Builder
	key.WriteString(r.Message)
	key.WriteString(l.fixed)
	r.Attrs(func(a slog.Attr) bool {
		appendKey(&key, a)
		return true
	})
	now := r.Time
	if now.IsZero() {
		now = time.Now()
	}
	count, pass := l.lines.take(key.String(), now)
	if !pass {
		return nil
	}
	if count > 1 {
		r = r.Clone()
		r.AddAttrs(slog.Int64(keyCount, count))
	}
	return l.next.Handle(ctx, r)
}

// WithAttrs derives a handler that shares the counts.
func (l *limited) WithAttrs(attrs []slog.Attr) slog.Handler {
	var key strings.Builder
	key.WriteString(l.fixed)
	for _, a := range attrs {
		appendKey(&key, a)
	}
	return &limited{next: l.next.WithAttrs(attrs), lines: l.lines, fixed: key.String()}
}

// WithGroup derives a handler that shares the counts.
func (l *limited) WithGroup(name string) slog.Handler {
	return &limited{next: l.next.WithGroup(name), lines: l.lines, fixed: l.fixed}
}

// appendKey adds an attribute that tells one trouble from another.
func appendKey(b *strings.Builder, a slog.Attr) {
	switch a.Key {
	case keyErr, keyReason, keyCause:
		b.WriteByte(0)
		b.WriteString(a.Key)
		b.WriteByte('=')
		blur(b, a.Value.Resolve().String())
	}
}

// blur writes s with every run of four or more digits, and of eight or more hexadecimal ones, as #: a local port or an id in
// an error must not make it a new one, while a status code of three digits does.
func blur(b *strings.Builder, s string) {
	for len(s) > 0 {
		digits, hex := 0, 0
		for hex < len(s) && isHex(s[hex]) {
			if isDigit(s[hex]) && digits == hex {
				digits++
			}
			hex++
		}
		switch {
		case hex >= 8 && strings.ContainsFunc(s[:hex], func(r rune) bool { return r >= '0' && r <= '9' }):
			b.WriteByte('#')
			s = s[hex:]
		case digits >= 4:
			b.WriteByte('#')
			s = s[digits:]
		default:
			n := max(digits, 1)
			b.WriteString(s[:n])
			s = s[n:]
		}
	}
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isHex(c byte) bool { return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }

// lines counts records by key.
type lines struct {
	every time.Duration

	// mu guards the fields below.
	mu   sync.Mutex
	seen map[string]*line
	// Invariant: len(seen) <= maxLines.
	other line
}

// line is one kind of record: when it last went through, and how many were held back since.
type line struct {
	last time.Time
	held int64
}

// take tells whether a record goes through, and how many it stands for.
func (l *lines) take(key string, now time.Time) (int64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entryLocked(key, now)
	if !e.last.IsZero() && now.Sub(e.last) < l.every {
		e.held++
		return 0, false
	}
	n := e.held + 1
	e.last, e.held = now, 0
	return n, true
}

// entryLocked finds or makes the entry of a key. An entry that is old enough to be let through and holds nothing back is
// no longer needed, so room is made of those.
func (l *lines) entryLocked(key string, now time.Time) *line {
	if e := l.seen[key]; e != nil {
		return e
	}
	if len(l.seen) >= maxLines {
		for k, e := range l.seen {
			if now.Sub(e.last) >= l.every && e.held == 0 {
				delete(l.seen, k)
			}
		}
	}
	if len(l.seen) >= maxLines {
		for k, e := range l.seen {
			if now.Sub(e.last) >= 2*l.every {
				delete(l.seen, k)
			}
		}
	}
	if len(l.seen) >= maxLines {
		return &l.other
	}
	e := &line{}
	l.seen[key] = e
	return e
}
