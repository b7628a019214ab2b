package sip

import (
	"time"

	"github.com/earshot/earshot/sip/offer"
)

// A dialog without a session timer has nobody who asks whether the far side is still there. So when its media is silent for
// long, we ask, by a re-INVITE with the SDP that stands.

// heldFactor is how much longer a call may be silent that the far side holds; probeFactor bounds the doubling of the pause
// between probes that were answered: 5 and 10 min with the default of ProbeAfter.
const (
	heldFactor  = 10
	probeFactor = 20
)

// probe is what is known of the far side's life. Owned by the dialog's goroutine.
type probe struct {
	at    time.Time     // when to look at the silence again; zero: at once
	every time.Duration // the pause after the last answered probe; 0: none since media came
}

// probing says whether the watchdog is ours to hold: session timers have their own.
func (d *Dialog) probing() bool {
	return d.a.cfg.ProbeAfter > 0 && d.timer.seconds == 0 && d.established && d.ack == nil
}

// probeDue is when the watchdog looks again.
func (d *Dialog) probeDue() time.Time {
	if !d.probing() || !d.own.again.IsZero() {
		return time.Time{}
	}
	if d.probe.at.IsZero() {
		return d.refreshed
	}
	return d.probe.at
}

// patience is how long the media may be silent.
func (d *Dialog) patience() time.Duration {
	after := d.a.cfg.ProbeAfter
	for _, s := range d.x.Streams() {
		if !s.Hold && s.Theirs != offer.Inactive && s.Theirs != offer.RecvOnly {
			return after // something should come
		}
	}
	return heldFactor * after
}

// probeTick looks at the silence and asks the far side if it is long.
func (d *Dialog) probeTick(now time.Time) {
	silence, patience := d.leg.Silence(), d.patience()
	if silence < patience {
		d.probe = probe{at: now.Add(patience - silence)}
		return
	}
	d.probe.at = now.Add(patience) // should the re-INVITE not leave
	d.reinvite(whyProbe)
}

// probed notes that the far side lives: it is asked again after the same time, then after twice that.
func (d *Dialog) probed(now time.Time) {
	d.probe.every = min(max(2*d.probe.every, d.patience()), max(probeFactor*d.a.cfg.ProbeAfter, d.patience()))
	d.probe.at = now.Add(d.probe.every)
}

// heard notes a request of the far side: it lives.
func (d *Dialog) heard(now time.Time) {
	if d.probing() {
		d.probe.at = now.Add(max(d.probe.every, d.patience()))
	}
}

// lost says whether a re-INVITE of ours that got 481, 408 or no answer at all means the end: a probe's does, if media is
// still silent and the flow is not to blame.
func (d *Dialog) lost(why ownWhy, code int, err error) bool {
	unknown := code == 481 || code == 408 || err != nil && d.own.flow.alive()
	return unknown && why == whyProbe && d.probing() && d.leg.Silence() >= d.patience()
}
