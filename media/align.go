package media

import "time"

const (
	// placeAfter is how much of a track is looked at before its offset is fixed.
	placeAfter = 500 * time.Millisecond
	// driftWindow is the stretch whose quickest packet counts for the estimates: the lower envelope of transit.
	driftWindow = 2 * time.Second
	// driftWindows is how many of them tell a drift: 10 s. Before that the drift is taken to be that of the epoch before.
	driftWindows = 5
	// driftReports is how many sender reports tell the rate of a sender's clock.
	driftReports = 3
)

// aligner watches transit, arrival minus position in samples: its minimum places the track on the call's timeline, its
// slope is the drift, its changes are the jitter. Beside it, what sender reports say of the sender's clock.
type aligner struct {
	first     time.Duration // arrival of the first packet
	least     int64         // transit over the first placeAfter
	jitter16  int64         // RFC 3550 appendix A.8, in 1/16 samples
	jitterOf  int64         // transit of the packet before
	any       bool          // least is
	placed    bool
	jitterAny bool
	stale     bool          // the estimates may be better than those that were told
	until     time.Duration // end of the present window
	now       lowest        // of the present window
	// Of all epochs: the highest of jitter16, their sum, and of how many packets.
	jitterMax16, jitterSum16, jitterPackets int64

	last lowest // of the window before

	// Of the present epoch: the windows' quickest packets, and the sender reports.
	arrivals   envelope
	reports    *envelope // nil: there was none
	adds, next int       // additions to both; at how many they are looked at next
	present    knowledge
	past       []knowledge // of the epochs before, at most maxEpochs
}

// lowest is a window's quickest packet.
type lowest struct {
	transit int64
	at      time.Duration
	any     bool
}

func (a *aligner) begin(arrival time.Duration) {
	a.first, a.until = arrival, arrival+driftWindow
	a.arrivals.low = true
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
		a.arrivals.add(a.now.point())
		a.last = a.now
		a.added()
	}
	a.now = lowest{}
	a.until = arrival + driftWindow
}

func (l *lowest) point() point { return point{samplesIn(l.at), l.transit} }

// added asks for better estimates, the more seldom the longer the epoch is: a fit takes as long as some ten packets.
func (a *aligner) added() {
	if a.adds++; a.adds >= a.next {
		a.next = a.adds + max(1, a.adds/4)
		a.stale = true
	}
}

// transit is what maps an arrival to a position: the least of the last 2 to 4 s of audio.
func (a *aligner) transit() int64 {
	if a.last.any && (!a.now.any || a.last.transit < a.now.transit) {
		return a.last.transit
	}
	return a.now.transit
}

// restart ends an epoch.
func (a *aligner) restart() {
	if len(a.past) < maxEpochs {
		a.learn()
		a.past = append(a.past, a.present)
	}
	a.arrivals, a.reports = envelope{low: true}, nil
	a.adds, a.next, a.stale, a.present = 0, 0, true, knowledge{drift: a.present.drift}
	a.now, a.last, a.jitterAny, a.jitter16 = lowest{}, lowest{}, false, 0
}

// jitter is RFC 3550 appendix A.8, scaled by 16: of each packet that is received, copies and late ones too, in the order
// of arrival (section 6.4.1).
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
	a.jitterMax16 = max(a.jitterMax16, a.jitter16)
	a.jitterSum16 += a.jitter16
	a.jitterPackets++
}

// summarize writes down what the jitter of all epochs was.
func (a *aligner) summarize(q *Quality) {
	q.JitterMaxSamples = float64(a.jitterMax16) / 16
	q.JitterMeanSamples = float64(a.jitterSum16) / 16 / float64(max(1, a.jitterPackets))
}

// place fixes the offset, once: when the first 500 ms are in, or the track ends.
func (a *aligner) place(s *TrackState, zero, now time.Duration, end bool) bool {
	if a.placed || !a.any || (!end && now < a.first+placeAfter) {
		return false
	}
	a.placed, a.stale = true, true
	s.Placed, s.OffsetMethod = true, OffsetArrival
	s.Offset = max(0, a.least-samplesIn(zero))
	s.OffsetEstimate = s.Offset
	return true
}
