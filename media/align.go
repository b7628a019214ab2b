package media

import "time"

const (
	// placeAfter is how much of a track is looked at before its offset is fixed.
	placeAfter = 500 * time.Millisecond
	// driftWindow is the stretch whose quickest packet counts for the drift: the lower envelope of transit.
	driftWindow = 2 * time.Second
	// driftWindows is how many of them make an estimate: 10 s.
	driftWindows = 5
)

// aligner watches transit, arrival minus position in samples: its minimum places the track on the call's timeline, its
// slope is the drift, its changes are the jitter.
type aligner struct {
	first     time.Duration // arrival of the first packet
	least     int64         // transit over the first placeAfter
	jitter16  int64         // RFC 3550 appendix A.8, in 1/16 samples
	jitterOf  int64         // transit of the packet before
	any       bool          // least is
	placed    bool
	jitterAny bool
	until     time.Duration // end of the present window
	now       lowest        // of the present window
	last      lowest        // of the window before
	fit       line
	lastFit   line // of the epoch before
}

// lowest is a window's quickest packet.
type lowest struct {
	transit int64
	at      time.Duration
	any     bool
}

func (a *aligner) begin(arrival time.Duration) {
	a.first, a.until = arrival, arrival+driftWindow
}

// observe takes an audio packet in its turn.
//
//earshot:hot
func (a *aligner) observe(arrival time.Duration, pos int64) {
	t := samplesIn(arrival) - pos
	if !a.placed && arrival <= a.first+placeAfter && (!a.any || t < a.least) {
		a.any, a.least = true, t
	}
	if arrival >= a.until {
		a.turn(arrival)
	}
	if !a.now.any || t < a.now.transit {
		a.now = lowest{t, arrival, true}
	}
}

// turn ends a window.
func (a *aligner) turn(arrival time.Duration) {
	if a.now.any {
		a.fit.add(samplesIn(a.now.at-a.first), a.now.transit)
		a.last = a.now
	}
	a.now = lowest{}
	a.until = arrival + driftWindow
}

// transit is what maps an arrival to a position: the least of the last 2 to 4 s of audio.
func (a *aligner) transit() int64 {
	if a.last.any && (!a.now.any || a.last.transit < a.now.transit) {
		return a.last.transit
	}
	return a.now.transit
}

// restart forgets what belongs to the epoch before.
func (a *aligner) restart() {
	if a.fit.n >= driftWindows {
		a.lastFit = a.fit
	}
	a.fit, a.now, a.last, a.jitterAny, a.jitter16 = line{}, lowest{}, lowest{}, false, 0
}

// jitter is RFC 3550 appendix A.8, scaled by 16.
//
//earshot:hot
func (a *aligner) jitter(arrival time.Duration, pos int64) {
	t := samplesIn(arrival) - pos
	d := t - a.jitterOf
	a.jitterOf = t
	if !a.jitterAny {
		a.jitterAny = true
		return
	}
	if d < 0 {
		d = -d
	}
	a.jitter16 += d - (a.jitter16+8)>>4
}

// place fixes the offset, once: when the first 500 ms are in, or the track ends.
func (a *aligner) place(s *TrackState, zero, now time.Duration, end bool) bool {
	if a.placed || !a.any || (!end && now < a.first+placeAfter) {
		return false
	}
	a.placed = true
	s.Placed, s.OffsetMethod = true, OffsetArrival
	s.Offset = max(0, a.least-samplesIn(zero))
	s.OffsetEstimate = s.Offset
	return true
}

// estimate writes down what the newest windows say of offset and drift.
func (a *aligner) estimate(s *TrackState, zero time.Duration) {
	s.Counts.JitterSamples = float64(a.jitter16) / 16
	f := &a.fit
	if f.n < driftWindows {
		f = &a.lastFit
	}
	if slope, at0, ok := f.solve(); a.placed && ok {
		s.DriftPPM = -slope * 1e6 // transit falls where the sender's clock is fast
		s.OffsetEstimate = int64(at0) - samplesIn(zero)
	}
}

// line is a least squares fit of transit over time, both in samples; y is counted from the first point's.
type line struct {
	n                int
	y0               int64
	x, y, xx, xySums float64
}

func (l *line) add(x, y int64) {
	if l.n == 0 {
		l.y0 = y
	}
	fx, fy := float64(x), float64(y-l.y0)
	l.n++
	l.x += fx
	l.y += fy
	l.xx += fx * fx
	l.xySums += fx * fy
}

// solve gives the slope and the value at x = 0.
func (l *line) solve() (slope, at0 float64, ok bool) {
	n := float64(l.n)
	d := n*l.xx - l.x*l.x
	if l.n < driftWindows || d <= 0 {
		return 0, 0, false
	}
	slope = (n*l.xySums - l.x*l.y) / d
	return slope, (l.y-slope*l.x)/n + float64(l.y0), true
}
