package sip

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/earshot/earshot/internal/attr"
)

// reach dials the addresses of all proxies in order until one answers.
func (a *Account) reach(ctx context.Context) (regEvent, string) {
	begun := time.Now()
	targets, err := a.targets(ctx)
	var bad error // of all that went wrong, what a person must mend
	for _, t := range a.proxies.order(targets, begun) {
		if ctx.Err() != nil {
			break
		}
		var f *flow
		if f, err = a.dial(ctx, t); err == nil {
			a.counters.add(cntFlows, 1)
			a.setFlow(f)
			a.hint, a.advice = "", ""
			a.wg.Go(func() { a.keepalive(f) })
			return regEvent{kind: regFlowUp}, ""
		}
		a.counters.add(cntFlowsFailed, 1)
		a.proxies.failed(t.addr, time.Now(), 0)
		a.log.Debug("flow not dialled", attr.Remote(t.addr), attr.Err(err))
		if bad == nil && hintFor(err) != "" {
			bad = err
		}
	}
	switch {
	case bad != nil:
		err = bad
	case err == nil:
		err = errors.New("no proxy to dial")
	}
	a.hint, a.advice = hintFor(err), adviceFor(err)
	return regEvent{kind: regNoFlow, spent: time.Since(begun)}, err.Error()
}

// targets resolves all proxies; what can't be resolved is left out as long as something can. Where a 3xx sent us stands
// before all others, once.
func (a *Account) targets(ctx context.Context) ([]target, error) {
	var all []target
	var first error
	add := func(proxy string, tier int) {
		ts, err := resolve(ctx, a.cfg.resolver, proxy, a.cfg.Transport)
		if err != nil && first == nil {
			first = err
		}
		for _, t := range ts {
			t.tier += tier
			all = append(all, t)
		}
	}
	if a.redirect != "" {
		add(a.redirect, redirectTier)
		a.redirect = ""
	}
	for i, p := range a.cfg.OutboundProxies {
		add(p, i*proxyTier)
	}
	if len(all) == 0 {
		return nil, first
	}
	m := make(map[netip.Addr]bool, len(all))
	for _, t := range all {
		m[t.addr.Addr()] = true
	}
	if f := a.current(); f != nil {
		m[f.target.addr.Addr()] = true // whatever its name means by now, or if that can't be found out
	}
	a.known = all
	a.proxyAddrs.Store(&m)
	return all, nil
}

// Tiers of targets: a place that a 3xx named, then the proxies in their order, each with room for the priorities of SRV.
const (
	redirectTier = -proxyTier
	proxyTier    = 1 << 16
)

// setFlow makes f the flow; nil ends the present one. Called by the registrar loop only.
func (a *Account) setFlow(f *flow) {
	a.mu.Lock()
	old := a.flow
	a.flow = f
	a.mu.Unlock()
	if old != nil && old != f {
		a.doubt(old)
		old.fail(errFlowClosed)
	}
}

// otherProxies says whether a proxy is left that did not fail of late; names are not resolved anew for that.
func (a *Account) otherProxies() bool {
	m := a.proxyAddrs.Load()
	if m == nil {
		return false
	}
	now := time.Now()
	rest := make(map[netip.Addr]bool)
	for ap, until := range a.proxies.resting {
		if now.Before(until) {
			rest[ap.Addr()] = true
		}
	}
	for addr := range *m {
		if !rest[addr] {
			return true
		}
	}
	return false
}
