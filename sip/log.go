package sip

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
)

// maxLogged is the length at which what sipgo logs is cut: it logs whole messages of strangers.
const maxLogged = 256

// quiet makes sipgo's log ours: everything is debug, short, and without secrets.
type quiet struct{ next slog.Handler }

func quietLog(log *slog.Logger) *slog.Logger { return slog.New(quiet{log.Handler()}) }

// Enabled: whatever sipgo thinks of it, to us it is debug.
func (q quiet) Enabled(ctx context.Context, _ slog.Level) bool {
	return q.next.Enabled(ctx, slog.LevelDebug)
}

// Handle writes the record as "sipgo".
func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	n := slog.NewRecord(r.Time, slog.LevelDebug, "sipgo", r.PC)
	n.AddAttrs(slog.String("what", shown(r.Message)))
	r.Attrs(func(a slog.Attr) bool {
		n.AddAttrs(quietAttr(a))
		return true
	})
	return q.next.Handle(ctx, n)
}

// WithAttrs cleans what is fixed for many records.
func (q quiet) WithAttrs(as []slog.Attr) slog.Handler {
	out := make([]slog.Attr, len(as))
	for i, a := range as {
		out[i] = quietAttr(a)
	}
	return quiet{q.next.WithAttrs(out)}
}

// WithGroup keeps the group.
func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.next.WithGroup(name)} }

func quietAttr(a slog.Attr) slog.Attr {
	return slog.String(clean(a.Key, maxText), shown(fmt.Sprint(a.Value.Resolve().Any())))
}

// secretMarks begin what must not be shown: the rest of the text is cut, for nobody knows where the secret ends.
var secretMarks = []string{"authorization", "a=crypto", "inline:", "response=", "password"}

// shown cleans and cuts a text, and cuts it before a secret.
func shown(s string) string {
	low := lowASCII(s[:min(len(s), 4*maxLogged)])
	cut := min(len(s), maxLogged)
	for _, m := range secretMarks {
		if i := strings.Index(low, m); i >= 0 {
			cut = min(cut, i)
		}
	}
	text := clean(s[:cut], maxLogged)
	if cut < len(s) {
		text += "..."
	}
	return text
}

// lowASCII lowers letters without moving an octet; strings.ToLower may.
func lowASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
