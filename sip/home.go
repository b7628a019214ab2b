package sip

import (
	"context"
	"time"
)

// How often, in units of a second, a better proxy is looked for: from homeBase, doubling to homeCap.
const (
	homeBase = 60.0
	homeCap  = 600.0
	// leaveAfter is how long the flow that was left is still heard: an INVITE may be on its way on it.
	leaveAfter = 5.0
)

// plan sets when to look for a better proxy, after a 200.
func (r *registrar) plan(ev regEvent) {
	switch {
	case !ev.away:
		r.home, r.homeTries = time.Time{}, 0
	case r.home.IsZero():
		r.putOff(ev)
	}
}

func (r *registrar) putOff(ev regEvent) {
	r.home = ev.now.Add(r.units(min(homeBase*float64(uint64(1)<<min(r.homeTries, 8)), homeCap) * (1 + 0.2*ev.rnd)))
}

// homeward says whether it is time to try a better proxy. In calls it is not: their flow is left alone.
func (r *registrar) homeward(ev regEvent) bool {
	if r.home.IsZero() || ev.now.Before(r.home) {
		return false
	}
	if ev.idle {
		r.homeTries++
	}
	r.putOff(ev)
	return ev.idle
}

// away says whether a proxy is preferred to that of f.
func (a *Account) away(f *flow) bool {
	for _, t := range a.known {
		if t.tier < f.target.tier {
			return true
		}
	}
	return false
}

// goHome tries the proxies that are preferred to the present flow's. The present one stays until another has registered us.
func (a *Account) goHome(ctx context.Context, expires time.Duration) (regEvent, string) {
	old := a.current()
	if old == nil {
		return regEvent{kind: regFlowDown, others: true}, errNoFlow.Error()
	}
	targets, _ := a.targets(ctx) // an error: there is nothing to try
	now := time.Now()
	for _, t := range a.proxies.order(targets, now) {
		if t.tier >= old.target.tier || a.proxies.rests(t.addr) || ctx.Err() != nil {
			continue
		}
		f, err := a.dial(ctx, t)
		if err != nil {
			a.counters.add(cntFlowsFailed, 1)
			a.proxies.failed(t.addr, now, 0)
			continue
		}
		a.counters.add(cntFlows, 1)
		if ev, reason, ok := a.registerOn(ctx, f, expires); ok {
			a.moveTo(f, old)
			return ev, reason
		}
		a.auth.begin()
		f.fail(errFlowClosed)
		a.hear(old)
	}
	if !old.alive() {
		return regEvent{kind: regFlowDown, others: true}, old.cause.Error()
	}
	return regEvent{kind: regStayed}, ""
}

// registerOn registers on a flow that is not yet the account's.
func (a *Account) registerOn(ctx context.Context, f *flow, expires time.Duration) (ev regEvent, reason string, ok bool) {
	for range maxChallenges + 1 {
		ev, reason = a.askRegistrar(ctx, f, "", expires)
		if ev.kind != regAnswer || ev.answer.digest != digestAnswered {
			break
		}
	}
	return ev, reason, ev.kind == regAnswer && ev.answer.code < 300 && ev.answer.granted > 0
}

// moveTo makes f the flow; the old one is heard until nothing can be on its way on it.
func (a *Account) moveTo(f, old *flow) {
	a.mu.Lock()
	a.flow = f
	a.mu.Unlock()
	a.wg.Go(func() { a.keepalive(f) })
	a.wg.Go(func() { a.leave(old) })
}

func (a *Account) leave(old *flow) {
	unit := a.cfg.tune.second
	tick := time.NewTicker(unit)
	defer tick.Stop()
	for n := 0.0; n < leaveAfter || a.calls.count() > 0; n++ {
		select {
		case <-tick.C:
		case <-old.down:
			return
		case <-a.regDone:
			old.fail(errFlowClosed)
			return
		}
	}
	old.fail(errFlowClosed)
}

// hear gives the UDP socket back to f.
func (a *Account) hear(f *flow) {
	if !f.reliable() && a.socket != nil {
		a.socket.received.Store(f)
	}
}
