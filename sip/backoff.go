package sip

import "time"

// The rules of waiting, in units of one second (tests have shorter seconds). RFC 5626 section 4.5 allows 30 minutes away;
// its base is 30 s. Ours begin at 2 s: an outage costs the calls that start in it. As long as nobody answers at all nobody is
// hammered either, so in the first minutes of an outage we look every few seconds; a registrar that answers and is unwell
// gets a minute.
var ringSteps = [...]float64{0, 1, 2, 4, 5}

const (
	maxFreshRefused = 3    // RingCentral: so many refused digests with fresh nonces count as a 403
	healthyAfter    = 60.0 // units a flow must have been registered to start back-off anew
	backoffBase     = 2.0
	backoffCap      = 60.0
	outageCap       = 4.0
	outagePatience  = 300.0
	rejectBase      = 300.0
	rejectCap       = 3600.0
	stolenBase      = 60.0 // RingCentral's 603 and intercepted instance ids
	stolenCap       = 600.0
	retryAfterCap   = 1800.0
	retryAfterRing  = 60.0
)

// reject waits long: registrars ban those who hammer.
func (r *registrar) reject(ev regEvent, base, limit float64) regAction {
	wait := min(base*float64(uint64(1)<<min(r.rejects, 16)), limit)
	r.rejects++
	held := r.status == regRegistered || r.status == regDegraded
	r.status = regRejected
	r.wake = ev.now.Add(max(r.units(wait), r.after(ev)))
	r.flowUp = r.flowUp && held // a flow that was registered may carry calls
	return regAction{do: doWait, wake: r.wake, closeFlow: !r.flowUp}
}

// after is the Retry-After that binds us: RFC 3261 section 20.33.
func (r *registrar) after(ev regEvent) time.Duration {
	limit := retryAfterCap
	if r.ring {
		limit = retryAfterRing
	}
	return min(ev.answer.retryAfter, r.units(limit))
}

// fail waits short. dead: the flow can't be used any more.
func (r *registrar) fail(ev regEvent, dead bool) regAction {
	held := r.status == regRegistered || r.status == regDegraded
	if r.status == regRegistered && ev.now.Sub(r.since) >= r.units(healthyAfter) {
		r.fails = 0
	}
	wait := r.backoff(ev, held)
	if ev.spent > 0 {
		// Who waited for an answer has waited: in an outage that swallows packets we are back as soon as in one that refuses.
		wait = max(wait-ev.spent, r.units(0.5*ev.rnd))
	}
	if !ev.others {
		wait = max(wait, r.after(ev))
	}
	r.wake = ev.now.Add(wait)
	if held && !dead && r.flowUp && r.wake.Before(r.ends) {
		r.status = regDegraded // the binding holds: keep the flow, its calls need it
		return r.wait()
	}
	r.status, r.flowUp = regBackoff, false
	return regAction{do: doWait, wake: r.wake, closeFlow: true}
}

// backoff is the wait after one more failure.
func (r *registrar) backoff(ev regEvent, held bool) time.Duration {
	n := r.fails
	r.fails++
	if r.ring {
		step := ringSteps[min(n, len(ringSteps)-1)]
		if step == 0 {
			return r.units(0.5 * ev.rnd)
		}
		return r.units(step * (1 + 0.2*ev.rnd))
	}
	if n == 0 && held {
		return r.units(2 * ev.rnd) // a thousand devices must not come back in one second
	}
	limit := backoffCap
	if r.silent(ev) {
		limit = outageCap
	}
	w := min(limit, backoffBase*float64(uint64(1)<<min(n, 8)))
	return r.units(w * (0.5 + 0.5*ev.rnd))
}

// silent says whether this failure is one of a young outage in which nobody answers.
func (r *registrar) silent(ev regEvent) bool {
	if ev.kind == regAnswer {
		r.outage = time.Time{}
		return false
	}
	if r.outage.IsZero() {
		r.outage = ev.now
	}
	return ev.now.Sub(r.outage) < r.units(outagePatience)
}
