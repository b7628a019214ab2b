package media

import "time"

// ValveState says whether a timeline's audio goes out.
type ValveState uint8

// The states of the valve. Masked audio is held back from every sink: its frames keep their place and length, without
// samples, and DTMF events are not given out.
const (
	ValveOpen ValveState = iota
	ValveMasked
)

// String gives the state's name.
func (s ValveState) String() string {
	if s == ValveMasked {
		return "masked"
	}
	return "open"
}

// Applied tells what became of a Timeline.Valve.
type Applied struct {
	State ValveState
	// From is the capture time from which the state holds: a mask's as asked for, but not before Final; an opening's
	// not before At, for what was held back is gone.
	From time.Duration
	// At is the sweep that did it.
	At time.Duration
}

// valveSpans is how many masks are remembered: those which a packet still in the reorder buffer may belong to.
const valveSpans = 8

// span is a stretch of capture time: from <= t < to.
type span struct{ from, to time.Duration }

// valve is a timeline's mask by capture time.
//
// Invariant: spans are in order and don't overlap; only the last may be open-ended.
type valve struct {
	n     int
	spans [valveSpans]span
}

const forever = time.Duration(1<<63 - 1)

// masked tells whether a mask touches the capture times a to b.
//
//earshot:hot
func (v *valve) masked(a, b time.Duration) bool {
	for i := v.n - 1; i >= 0; i-- {
		if s := &v.spans[i]; s.from <= b && a < s.to {
			return true
		}
	}
	return false
}

// set puts the state from a capture time on, and returns that time as it was applied.
func (v *valve) set(s ValveState, from, final, now time.Duration) time.Duration {
	on := v.n > 0 && v.spans[v.n-1].to == forever
	switch {
	case s == ValveMasked && on:
		v.spans[v.n-1].from = min(v.spans[v.n-1].from, max(from, final))
		return v.spans[v.n-1].from
	case s == ValveMasked:
		from = max(from, final)
		if v.n > 0 && from < v.spans[v.n-1].to { // runs into the mask before: one mask
			v.spans[v.n-1].to = forever
			v.spans[v.n-1].from = min(from, v.spans[v.n-1].from)
			return from
		}
		if v.n == valveSpans {
			copy(v.spans[:], v.spans[1:])
			v.n--
		}
		v.spans[v.n] = span{from, forever}
		v.n++
		return from
	case on:
		from = max(from, now)
		v.spans[v.n-1].to = max(from, v.spans[v.n-1].from)
		return from
	}
	return max(from, now)
}
