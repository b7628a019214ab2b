package recorder

import (
	"testing"
	"time"

	"github.com/earshot/earshot/call"
)

func TestWhatWentUnheardBeforeSampleZeroIsNamed(t *testing.T) {
	zero := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	ended := zero.Add(-4 * time.Second)
	crash := &call.Cause{Code: call.CodeCrash}
	for name, c := range map[string]struct {
		info   call.Info
		part   int
		before *Manifest
		why    string
		want   *Late
	}{
		"nobody asked for it":           {part: 1},
		"at once":                       {info: call.Info{Talks: zero.Add(-900 * time.Millisecond)}, part: 1},
		"late":                          {info: call.Info{Talks: zero.Add(-1500 * time.Millisecond), Obstacle: "x"}, part: 1, want: &Late{zero.Add(-1500 * time.Millisecond), 12000, call.CodeLate, "x"}},
		"after a crash":                 {info: call.Info{Talks: zero.Add(-time.Hour)}, part: 2, before: &Manifest{Ended: &ended, EndCause: crash}, want: &Late{ended, 32000, call.CodeCrash, "the part before had ended"}},
		"a part of the same process":    {part: 2, before: &Manifest{Ended: &ended, EndCause: crash}, why: "a third person"},
		"after a part that is open yet": {info: call.Info{Talks: zero.Add(-time.Hour)}, part: 2, before: &Manifest{}},
	} {
		r := &Recording{started: zero, part: c.part}
		r.w.info, r.w.notes.why = c.info, c.why
		if c.before != nil {
			r.resume(c.before)
		}
		got := r.late()
		if (got == nil) != (c.want == nil) || got != nil && *got != *c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}
