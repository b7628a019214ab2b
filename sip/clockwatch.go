package sip

import (
	"log/slog"
	"time"
)

// jumpLimit is how far the wall clock may run ahead of ours, or behind, or how long no look may come, before that is a jump:
// what we know of the binding and of the flow is then older than our timers say. They stand still while the machine sleeps; the
// registrar's do not.
const jumpLimit = 10 * time.Second

// clockWatch notices time that passed and no timer saw: the machine slept, was moved to another host, or its clock was set.
// The zero value has seen nothing yet.
type clockWatch struct {
	mono time.Time // with Go's monotonic reading
	wall time.Time // without
}

// look compares both clocks with the last look. Looks are due after every; 0 means whenever.
func (w *clockWatch) look(mono, wall time.Time, every time.Duration) (by time.Duration, jumped bool) {
	wall = wall.Round(0)
	last := *w
	w.mono, w.wall = mono, wall
	if last.mono.IsZero() {
		return 0, false
	}
	passed := mono.Sub(last.mono)
	if by = wall.Sub(last.wall) - passed; by.Abs() > jumpLimit {
		return by, true
	}
	if every > 0 && passed > max(jumpLimit, 2*every) {
		return passed - every, true // the process stood still
	}
	return 0, false
}

// jumped looks at the clocks, and tells if one jumped.
func (a *Account) jumped(every time.Duration) bool {
	by, jumped := a.clock.look(time.Now(), a.cfg.wall(), every)
	if jumped {
		a.counters.add(cntClockJumps, 1)
		a.log.Warn("clock jumped: the registrar is asked", slog.Duration("by", by.Round(time.Second)))
	}
	return jumped
}
