package sip

import "time"

// jumpLimit is how far the wall clock may run ahead of ours, or behind, or a look be late, before that is a jump: what we know
// of the binding and of the flow is then older than our timers say. They stand still while the machine sleeps; the
// registrar's do not.
const jumpLimit = 10 * time.Second

// clockWatch notices time that passed and no timer saw: the machine slept, was moved to another host, or its clock was set.
// The zero value has seen nothing yet.
type clockWatch struct {
	mono time.Time // with Go's monotonic reading
	wall time.Time // without
}

// look compares both clocks with the last look, every of which is due after that time.
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
	if by = passed - every; by > jumpLimit {
		return by, true // the process stood still
	}
	return 0, false
}
