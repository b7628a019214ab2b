package media

import (
	"math"
	"slices"
)

// ntpFine is how many parts of a sample NTP times are counted in.
const ntpFine = 256

// knowledge is what is known of an epoch's place in time.
type knowledge struct {
	// arrival is the line of transit over arrival, in samples; heard tells that there is one.
	arrival line
	heard   bool
	// span is how long it is in samples, drift its slope, or that of the epoch before where it is too short for one.
	span  int64
	drift float64
	// sender is the line of the sender's clock less the position, over the position, in parts of a sample; cname is whose
	// clock that is, 0: no sender report came.
	sender line
	cname  uint64
}

// learn brings what is known of the present epoch up to date.
func (a *aligner) learn() {
	a.stale = false
	k, e := &a.present, &a.arrivals
	if a.now.any { // the window that is not over counts for this look only
		more := *e
		more.add(a.now.point())
		e = &more
	}
	if e.n > 0 {
		k.heard, k.span = true, e.span()
		if a.adds >= driftWindows && e.n >= driftWindows {
			k.arrival = e.fit(lowShare, maxSlope)
			a.arrivals.slope, k.drift = k.arrival.slope, k.arrival.slope
		} else {
			k.arrival = e.along(k.drift, 0)
		}
	}
	switch r := a.reports; {
	case r == nil:
	case r.n >= driftReports:
		k.sender = r.fit(middleShare, maxSlope*ntpFine)
	default:
		k.sender = r.along(0, middleShare)
	}
}

// hear takes a sender report of the present epoch: its NTP time, and the position of its timestamp.
func (a *aligner) hear(ntp uint64, pos int64, cname uint64) {
	if a.reports == nil || a.present.cname != cname { // the first, or of another clock
		a.reports, a.present.cname = new(envelope), cname
	} else if pos <= a.reports.newest() {
		return
	}
	a.reports.add(point{pos, fineOf(ntp) - pos*ntpFine})
	a.added()
}

// fineOf is an NTP time in parts of a sample.
func fineOf(ntp uint64) int64 {
	const rate = SampleRate * ntpFine
	return int64(ntp>>32)*rate + int64(ntp&0xffffffff*rate>>32)
}

// at is where a position lies by its arrival, on the engine's clock in samples, and how much of that time a sample takes.
func (k *knowledge) at(pos float64) (at, rate float64) {
	l := &k.arrival
	rate = 1 / (1 - l.slope)
	return float64(l.x0) + (pos+float64(l.y0-l.x0)+l.at)*rate, rate
}

// atBy is the same by the sender's clock: where the leader, whose clock is the same, was at that time.
func (k *knowledge) atBy(leader *knowledge, pos float64) (at, rate float64) {
	mine, theirs := &k.sender, &leader.sender
	fine := ntpFine*(pos-float64(theirs.x0)) + float64(mine.y0-theirs.y0) + mine.at - theirs.at + mine.slope*(pos-float64(mine.x0))
	at, rate = leader.at(float64(theirs.x0) + fine/(ntpFine+theirs.slope))
	return at, rate * (ntpFine + mine.slope) / (ntpFine + theirs.slope)
}

// agrees tells whether the sender's clock puts the epoch near where it arrived: further away, the reports are broken or forged.
func (k *knowledge) agrees(leader *knowledge, pos float64) bool {
	for _, p := range [...]float64{pos, pos + float64(k.span)} {
		own, _ := k.at(p)
		by, _ := k.atBy(leader, p)
		if d := own - by; !(d >= -clockReach && d <= clockReach) { // nor if it is no number
			return false
		}
	}
	return true
}

// reckon brings the estimates of all tracks up to date, if any of them knows more than it did.
func (l *liveTimeline) reckon() {
	if !slices.ContainsFunc(l.tracks, func(k *liveTrack) bool { return k.placer.align.stale && k.state.Placed }) {
		return
	}
	for _, k := range l.tracks {
		if a := &k.placer.align; a.stale {
			a.learn()
		}
	}
	for _, k := range l.tracks {
		if k.state.Placed {
			l.tellEstimates(k)
		}
	}
}

// known is what is known of a track's i-th epoch.
func (a *aligner) known(i int) *knowledge {
	if i < len(a.past) {
		return &a.past[i]
	}
	return &a.present
}

// leader is the longest epoch of all whose sender has that clock: by its arrivals the others of that clock are placed.
func (l *liveTimeline) leader(cname uint64) (best *knowledge) {
	for _, k := range l.tracks {
		for i := range min(len(k.state.Epochs), len(k.placer.align.past)+1) {
			if o := k.placer.align.known(i); o.heard && o.cname == cname && (best == nil || o.span > best.span) {
				best = o
			}
		}
	}
	return best
}

// tellEstimates writes a track's estimates into its state. Others may have the list of epochs, so it is made anew.
func (l *liveTimeline) tellEstimates(k *liveTrack) {
	a, s := &k.placer.align, k.state
	zero := float64(samplesIn(l.zero))
	epochs := slices.Clone(s.Epochs)
	for i := range min(len(epochs), len(a.past)+1) {
		e, o := &epochs[i], a.known(i)
		if !o.heard {
			continue
		}
		at, rate := o.at(float64(e.Pos))
		if o.cname != 0 {
			if lead := l.leader(o.cname); lead != nil && lead != o && o.agrees(lead, float64(e.Pos)) {
				at, rate = o.atBy(lead, float64(e.Pos))
			}
		}
		e.Estimated = true
		e.OffsetEstimate = int64(math.Round(at-zero)) - e.Pos
		e.DriftPPM = (1/rate - 1) * 1e6
		s.DriftPPM = e.DriftPPM
	}
	if len(epochs) > 0 && epochs[0].Estimated {
		s.OffsetEstimate = epochs[0].OffsetEstimate
	}
	s.Epochs = epochs
}
