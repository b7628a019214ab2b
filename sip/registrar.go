package sip

import (
	"time"
)

// regStatus is a state of the registration.
type regStatus uint8

const (
	regIdle regStatus = iota
	regRegistering
	regRegistered
	regDegraded // a refresh was refused, the binding still holds
	regBackoff
	regRejected // the registrar does not want us: a person must act
	regUnregistering
	regUnregistered
	regReleased // another process registers; the flow stays, for its dialogs
)

var regStatusNames = [...]string{"idle", "registering", "registered", "degraded", "backoff", "rejected", "unregistering", "unregistered", "released"}

// String gives the name that stands in State.Status.
func (s regStatus) String() string { return regStatusNames[s] }

// regKind is what happened to the registrar.
type regKind uint8

const (
	regStart    regKind = iota
	regFlowUp           // a flow was dialled
	regNoFlow           // no proxy could be reached
	regFlowDown         // the flow died
	regAnswer           // final response to REGISTER
	regTimeout          // REGISTER was not answered in time
	regWake             // the waiting time of the last step is over
	regProbe            // somebody doubts that the flow lives
	regStayed           // no better proxy took us
	regStop
	regRelease // another process is about to register
	regResume  // and did not
)

// regEvent is one event, with its time and a random number: the machine has neither clock nor dice.
type regEvent struct {
	kind regKind
	now  time.Time
	rnd  float64 // 0 <= rnd < 1
	// others: there are proxies that did not fail of late (regNoFlow, regAnswer, regTimeout).
	others bool
	// judged: the flow proves its life by pongs; else REGISTER must do it.
	judged bool
	// away: there is a proxy that is preferred to this flow's. idle: no call is up.
	away, idle bool
	// spent is how long nobody answered (regNoFlow, regTimeout): that was waiting too.
	spent  time.Duration
	answer regResponse
}

// regResponse is what the machine wants to know of a final response to REGISTER.
type regResponse struct {
	code       int
	intercepts bool          // RingCentral's 403 "instance id is intercepted by another registration"
	granted    time.Duration // 200; 0: it lists our binding as one that is over
	foreign    bool          // 200 that did not list our own Contact
	contested  bool          // 200 that lists others beside it
	stale      bool          // 200 that lists Contacts of ours beside the present one
	redirect   bool          // 3xx to a place that we may go to
	moved      bool          // 200 that shows another outer address than our Contact has
	minExpires time.Duration // 423
	retryAfter time.Duration
	digest     digestVerdict // 401, 407
}

// regDo is what the shell must do next.
type regDo uint8

const (
	doWait regDo = iota // until action.wake, or the flow dies, or stop
	doDial
	doRegister
	doUnregister
	doSweep // remove the Contacts of ours that are no more
	doHome  // try the proxies that are preferred to this flow's
	doEnd
)

// regAction is the machine's answer to an event.
type regAction struct {
	do        regDo
	closeFlow bool
	wake      time.Time     // doWait
	expires   time.Duration // doRegister, doSweep, doHome: what to ask
}

const (
	askedExpires    = time.Hour
	maxMinExpires   = 24 * time.Hour
	maxChallenges   = 2
	smallestRefresh = 5 * time.Second
	refreshMargin   = 30 * time.Second
	// trustedBinding is how long a binding is believed in at most, whatever was granted. A registrar that lost it, behind a proxy
	// that lives and answers our pings, tells nobody: only the next REGISTER finds out, and until then no call comes.
	trustedBinding = 10 * time.Minute
	// contestedRefresh: where another device registers with the same credential the newest gets the calls. We are that again
	// after so long; more often, two programs would fight.
	contestedRefresh = time.Minute
)

// registrar is the registration as plain data: step is the only thing that changes it.
type registrar struct {
	// Set once.
	ring  bool          // RingCentral's rules
	unit  time.Duration // one second
	probe time.Duration // REGISTER as the judge of the flow

	status     regStatus
	code       int
	asked      time.Duration
	flowUp     bool
	fails      int // failures since the last healthy time
	rejects    int
	refused    int       // refused digests in a row
	auths      int       // challenges answered in this REGISTER
	raised     bool      // 423 was obeyed in this REGISTER
	swept      bool      // Contacts of ours that are no more were removed after this REGISTER
	sweeping   bool      // the REGISTER that is out removes them
	moved      bool      // the outer address was learned by this REGISTER, and one more was sent
	redirected bool      // a 3xx was followed since the last dial of our own
	outage     time.Time // since when nobody answers; zero: somebody did
	since      time.Time
	ends       time.Time // of the binding
	refresh    time.Time
	judge      time.Time // of a flow without pongs: by REGISTER
	home       time.Time // when to look for a better proxy; zero: there is none
	homeTries  int
	wake       time.Time
	released   bool // nothing is registered, nor un-registered
}

func newRegistrar(ring bool, t tuning) registrar {
	return registrar{ring: ring, unit: t.second, probe: t.probeEvery, asked: askedExpires}
}

func (r *registrar) units(n float64) time.Duration { return time.Duration(n * float64(r.unit)) }

// step takes an event and says what to do next.
func (r *registrar) step(ev regEvent) regAction {
	if r.status == regUnregistering || r.status == regUnregistered {
		return r.stepEnding(ev)
	}
	switch ev.kind {
	case regStart:
		return r.dial()
	case regFlowUp:
		r.flowUp = true
		if r.released {
			return r.park(ev)
		}
		return r.register()
	case regNoFlow:
		r.flowUp, r.code = false, 0
		return r.fail(ev, false)
	case regFlowDown:
		r.flowUp, r.code = false, 0
		if r.status == regRejected {
			return r.wait() // a lost flow does not make us wanted
		}
		return r.fail(ev, true)
	case regTimeout:
		// RFC 5626 section 4.4: nobody answers on this flow, so it is no flow.
		r.flowUp, r.code = false, 408
		return r.fail(ev, true)
	case regAnswer:
		return r.answered(ev)
	case regWake:
		return r.woken(ev)
	case regStayed:
		return r.sleep(ev)
	case regProbe:
		if r.flowUp && (r.status == regRegistered || r.status == regDegraded) {
			return r.register() // what has no answer on this flow ends it
		}
		return r.wait()
	case regStop:
		return r.stop(ev)
	case regRelease:
		return r.release(ev)
	case regResume:
		return r.resume(ev)
	}
	return r.wait()
}

func (r *registrar) dial() regAction {
	r.status, r.redirected = regRegistering, false
	return regAction{do: doDial}
}

// register begins a REGISTER, again or anew.
func (r *registrar) register() regAction {
	if r.status != regRegistered && r.status != regDegraded {
		r.status = regRegistering
	}
	r.auths, r.raised, r.moved, r.swept, r.sweeping = 0, false, false, false, false
	return regAction{do: doRegister, expires: r.asked}
}

func (r *registrar) wait() regAction { return regAction{do: doWait, wake: r.wake} }

func (r *registrar) woken(ev regEvent) regAction {
	if !r.flowUp {
		return r.dial()
	}
	if r.released {
		return r.park(ev)
	}
	if r.status != regRegistered {
		return r.register()
	}
	if r.homeward(ev) {
		return regAction{do: doHome, expires: r.asked}
	}
	if ev.now.Before(r.refresh) && (ev.judged || ev.now.Before(r.judge)) {
		return r.sleep(ev)
	}
	return r.register()
}

// sleep waits for whatever is due first.
func (r *registrar) sleep(ev regEvent) regAction {
	r.wake = r.refresh
	if !ev.judged && r.judge.Before(r.wake) {
		r.wake = r.judge
	}
	if !r.home.IsZero() && r.home.Before(r.wake) {
		r.wake = r.home
	}
	return r.wait()
}

func (r *registrar) answered(ev regEvent) regAction {
	a := ev.answer
	r.code = a.code
	sweeping := r.sweeping
	r.sweeping = false
	switch {
	case a.code < 300 && a.granted > 0:
		return r.granted(ev)
	case a.code == 401 || a.code == 407:
		return r.challenged(ev, sweeping)
	case a.code == 423 && !r.raised && a.minExpires > r.asked && a.minExpires <= maxMinExpires:
		r.asked, r.raised = a.minExpires, true
		return regAction{do: doRegister, expires: r.asked}
	case (a.code == 301 || a.code == 302 || a.code == 305) && a.redirect && !r.redirected:
		return r.follow()
	case r.ring && (a.code == 603 || a.intercepts):
		return r.reject(ev, stolenBase, stolenCap)
	case a.code == 403, a.code == 404 && !r.ring, a.code >= 600:
		return r.reject(ev, rejectBase, rejectCap)
	}
	return r.fail(ev, false)
}

func (r *registrar) granted(ev regEvent) regAction {
	a := ev.answer
	if r.status != regRegistered && r.status != regDegraded {
		r.since = ev.now
	}
	r.status, r.rejects, r.refused, r.outage = regRegistered, 0, 0, time.Time{}
	r.ends = ev.now.Add(a.granted)
	r.refresh = ev.now.Add(refreshAfter(a, ev.rnd))
	r.judge = ev.now.Add(r.probe)
	r.plan(ev)
	if a.moved && !r.moved {
		// Our outer address became known: one more REGISTER puts it into the Contact.
		act := r.register()
		r.moved = true
		return act
	}
	if a.stale && !r.swept {
		// Without this, calls would fork to where nobody is until those bindings expire.
		r.swept = true
		r.auths = 0
		return r.sweep()
	}
	return r.sleep(ev)
}

// refreshAfter is when a binding is refreshed: at 85-90 % of its life, of which 10 min count at most, and 30 s before its end if
// it lives that long.
func refreshAfter(a regResponse, rnd float64) time.Duration {
	granted := min(a.granted, trustedBinding)
	at := time.Duration(float64(granted) * (0.85 + 0.05*rnd))
	if granted >= 2*refreshMargin {
		at = min(at, granted-refreshMargin)
	}
	switch {
	case a.foreign:
		// Our own Contact was not listed: look again soon whether we are still there.
		at = min(at, refreshMargin)
	case a.contested:
		at = min(at, contestedRefresh)
	}
	if at < smallestRefresh {
		at = min(smallestRefresh, max(granted/2, time.Second))
	}
	return at
}

// sweep removes the Contacts of ours that are no more.
func (r *registrar) sweep() regAction {
	r.sweeping = true
	return regAction{do: doSweep, expires: r.asked}
}

func (r *registrar) challenged(ev regEvent, sweeping bool) regAction {
	r.auths++
	v := ev.answer.digest
	if v == digestAnswered && r.auths <= maxChallenges {
		if sweeping {
			return r.sweep() // its nonce was for one request only, or is stale
		}
		return regAction{do: doRegister, expires: r.asked}
	}
	if r.ring {
		// A proxy that lost its mind refuses good passwords too: short steps, and only three in a row are a no.
		r.refused++
		if r.refused < maxFreshRefused {
			return r.fail(ev, false)
		}
		r.refused = 0
	}
	return r.reject(ev, rejectBase, rejectCap)
}

func (r *registrar) stop(ev regEvent) regAction {
	bound := r.flowUp && ev.now.Before(r.ends) && !r.released // the binding that holds is another's
	if !bound {
		r.status = regUnregistered
		return regAction{do: doEnd, closeFlow: true}
	}
	r.status, r.auths = regUnregistering, 0
	return regAction{do: doUnregister}
}

// stepEnding: nothing but a challenge keeps us from the end.
func (r *registrar) stepEnding(ev regEvent) regAction {
	if ev.kind == regAnswer && ev.answer.digest == digestAnswered && r.auths < maxChallenges {
		r.auths++
		return regAction{do: doUnregister}
	}
	r.status = regUnregistered
	return regAction{do: doEnd, closeFlow: true}
}
