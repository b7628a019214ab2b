package media

import "time"

// Holder is somebody on whose word a timeline's audio is held back. Each has a word of its own: audio goes out only while none holds.
type Holder uint8

// The holders.
const (
	HolderPCI     Holder = iota + 1 // a person masks what is said: a card number
	HolderHook                      // the policy's hook wants the call masked
	HolderHold                      // the call is on hold
	HolderConsent                   // consent was not given yet
	holders
)

// String gives the holder's name as in manifests, events and status.
func (h Holder) String() string {
	return [...]string{"", "pci", "hook", "hold", "consent"}[h%holders]
}

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

// Applied tells what became of a Timeline.Hold or Release.
type Applied struct {
	Holder Holder
	// State is the valve's, after it: masked while anybody holds.
	State ValveState
	// From is the capture time from which the holder's word holds: a mask's as asked for, but not before Final; an opening's
	// is At, for what was held back is gone.
	From time.Duration
	// At is the sweep that did it.
	At time.Duration
}

// valveSpans is how many masks are remembered apart, for the packets that wait to be read or placed. Of more than that the two
// oldest become one, with the time between them: what was captured inside a mask never comes out.
const valveSpans = 16

// span is a stretch of capture time: from <= t < to.
type span struct{ from, to time.Duration }

// valve is a timeline's mask by capture time: the union of what its holders hold.
//
// Invariant: spans are in order and don't overlap; the last is open-ended while anybody holds, and no other is.
type valve struct {
	n     int
	spans [valveSpans]span
	// held is from when each holder holds, by Holder; 0: not.
	held [holders]time.Duration
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

// on tells whether anybody holds.
func (v *valve) on() bool { return v.n > 0 && v.spans[v.n-1].to == forever }

// state is what that makes of the valve.
func (v *valve) state() ValveState {
	if v.on() {
		return ValveMasked
	}
	return ValveOpen
}

// hold has a holder hold from a capture time on, and returns that time as it was applied; more: he did not before, or not from so early on.
func (v *valve) hold(h Holder, from, final time.Duration) (since time.Duration, more bool) {
	from = max(from, final, 1)
	if was := v.held[h]; was != 0 && was <= from {
		return was, false
	}
	v.held[h] = from
	s := span{from, forever}
	for v.n > 0 && s.from <= v.spans[v.n-1].to { // runs into the mask before: one mask
		v.n--
		s.from = min(s.from, v.spans[v.n].from)
	}
	if v.n == valveSpans {
		v.spans[1].from = v.spans[0].from
		copy(v.spans[:], v.spans[1:])
		v.n--
	}
	v.spans[v.n] = s
	v.n++
	return from, true
}

// release ends what a holder holds, at a time that is not before any other that it was given; was: he held. The last one opens the valve.
func (v *valve) release(h Holder, now time.Duration) (was bool) {
	was = v.held[h] != 0
	v.held[h] = 0
	if v.on() && v.held == [holders]time.Duration{} {
		s := &v.spans[v.n-1]
		s.to = max(now, s.from)
	}
	return was
}
