package supervise

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	repeatEvery = time.Minute
	maxRepeats  = 256
)

// repeats is a log for what may fail again and again: the first line of a kind goes out at once, further ones are
// counted and told once a minute with the newest case. It is safe for concurrent use.
type repeats struct {
	log *slog.Logger

	mu   sync.Mutex // guards seen
	seen map[string]*repeated
}

type repeated struct {
	last  time.Time // when a line went out
	count int       // held back since
	level slog.Level
	msg   string
	attrs []slog.Attr
}

func newRepeats(log *slog.Logger) *repeats { return &repeats{log: log, seen: map[string]*repeated{}} }

// say logs a line of the kind key, or counts it.
func (r *repeats) say(level slog.Level, key, msg string, attrs ...slog.Attr) {
	now := time.Now()
	r.mu.Lock()
	k := r.seen[key]
	if k == nil && len(r.seen) >= maxRepeats {
		r.seen = map[string]*repeated{} // kinds are few; if not, forget rather than grow
	}
	if k == nil {
		k = &repeated{}
		r.seen[key] = k
	}
	k.count++
	k.level, k.msg, k.attrs = level, msg, attrs
	due := k.last.IsZero() || now.Sub(k.last) >= repeatEvery
	count := k.count
	if due {
		k.last, k.count = now, 0
	}
	r.mu.Unlock()
	if due {
		r.line(level, msg, attrs, count)
	}
}

func (r *repeats) line(level slog.Level, msg string, attrs []slog.Attr, count int) {
	if count > 1 {
		attrs = append(attrs[:len(attrs):len(attrs)], slog.Int("count", count))
	}
	r.log.LogAttrs(context.Background(), level, msg, attrs...)
}

// flush tells what was held back for a minute, or all of it, and forgets kinds that have stopped.
func (r *repeats) flush(all bool) {
	now := time.Now()
	var lines []repeated
	r.mu.Lock()
	for key, k := range r.seen {
		switch {
		case !all && now.Sub(k.last) < repeatEvery:
		case k.count > 0:
			lines = append(lines, *k)
			k.last, k.count = now, 0
		default:
			delete(r.seen, key)
		}
	}
	r.mu.Unlock()
	for _, k := range lines {
		r.line(k.level, k.msg, k.attrs, k.count)
	}
}
