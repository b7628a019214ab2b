package sip

import (
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"github.com/earshot/earshot/internal/attr"
)

// readAnswer takes from a final response what the registrar machine wants to know.
func (a *Account) readAnswer(f *flow, res *gosip.Response, asked time.Duration) regResponse {
	r := regResponse{
		code: res.StatusCode, minExpires: headerSeconds(res, "Min-Expires"), retryAfter: headerSeconds(res, "Retry-After"),
	}
	switch {
	case r.code == 401:
		r.digest = a.auth.challenge(values(res, "WWW-Authenticate"), false)
		a.learnRealm()
	case r.code == 407:
		r.digest = a.auth.challenge(values(res, "Proxy-Authenticate"), true)
		a.learnRealm()
	case r.code == 403:
		r.intercepts = strings.Contains(strings.ToLower(res.Reason), "intercepted")
	case r.code >= 300 && r.code < 400:
		a.redirect = a.redirection(res)
		r.redirect = a.redirect != ""
	case r.code < 300:
		a.auth.next(append(values(res, "Authentication-Info"), values(res, "Proxy-Authentication-Info")...))
		if asked > 0 {
			a.readBindings(f, res, asked, &r)
			r.moved = a.learn(f, res)
		}
	}
	return r
}

// readBindings takes what a 200 says of our binding and of others.
func (a *Account) readBindings(f *flow, res *gosip.Response, asked time.Duration, r *regResponse) {
	b := readBindings(res, a.identity(f), asked)
	r.granted, r.foreign, r.contested = b.granted, !b.own, b.own && b.foreign > 0
	if !b.own {
		a.counters.add(cntUnlisted, 1)
		a.log.Debug("own binding not listed", slog.Int("contacts", b.foreign))
	}
	a.others = 0
	if b.foreign > 0 {
		a.counters.add(cntForeignBindings, 1)
		if b.own || !a.cfg.RingCentral {
			// RingCentral was seen to list one other Contact, and not ours, in a good 200: that alone is no second device.
			a.others = b.foreign
		}
	}
	if !a.cfg.RingCentral { // which keeps one binding an instance, as RFC 5626 section 5.1 says
		a.stale = b.stale
		r.stale = b.stale != ""
	}
}

// maxBefore bounds the Contacts that are remembered.
const maxBefore = 16

// identity is by what our own Contacts are known. Where a registrar does not give the instance back, the ones of earlier flows
// would look like another device's.
func (a *Account) identity(f *flow) ownContacts {
	u := a.contactURI(f)
	if n := len(a.before); n == 0 || a.before[n-1] != contactKey(u) {
		a.before = append(a.before, contactKey(u))
		a.before = a.before[max(0, len(a.before)-maxBefore):]
	}
	return ownContacts{instance: a.cfg.InstanceID, present: contactKey(u), before: a.before}
}

// learn takes what the 200 says of the flow: whether pings are answered, how often they are wanted, and from which address
// we are seen (RFC 3581 section 4). A new one is put into the Contact on UDP, where a registrar sends calls to no other
// place; RingCentral and TCP come back on the flow whatever the Contact says.
func (a *Account) learn(f *flow, res *gosip.Response) (moved bool) {
	// Not Supported: outbound, which says nothing of the proxies between (RFC 5626 section 4.2.1).
	if slices.Contains(listed(res, "Require"), "outbound") {
		a.promise(f)
	}
	if d := headerSeconds(res, "Flow-Timer"); d > 0 && f.pingEvery.Load() > 0 {
		a.promise(f)
		if int64(d) < f.pingEvery.Swap(min(f.pingEvery.Load(), int64(d))) {
			select {
			case f.sooner <- struct{}{}:
			default: // it is told already
			}
		}
	}
	if f.reliable() || a.cfg.RingCentral || res.Via() == nil {
		return false
	}
	seen := seenAs(res.Via(), f.local)
	if at := f.public.Load(); at == nil && seen == f.local || at != nil && *at == seen {
		return false
	}
	f.public.Store(&seen)
	return true
}

// promise notes that the far side says it answers pings; a place that broke it before is believed when a pong has come.
func (a *Account) promise(f *flow) {
	if f.reliable() && !a.unkept[f.target.addr] {
		f.promised.Store(true)
	}
}

// maxUnkept bounds the places that are remembered for promises which they broke.
const maxUnkept = 64

// doubt remembers where pings were promised an answer and none ever came: else the flow would be made anew every few
// seconds, for life, and its dialogs healed as often.
func (a *Account) doubt(f *flow) {
	if f.alive() || !errors.Is(f.cause, errFlowSilent) || f.pongs.Load() > 0 {
		return
	}
	if a.unkept == nil || len(a.unkept) >= maxUnkept {
		a.unkept = make(map[netip.AddrPort]bool)
	}
	a.unkept[f.target.addr] = true
	a.log.Warn("pongs were promised and none ever came: REGISTER judges the flow", attr.Remote(f.target.addr))
}

// seenAs reads received and rport; what is not there is as we wrote it.
func seenAs(via *gosip.ViaHeader, local netip.AddrPort) netip.AddrPort {
	addr, port := local.Addr(), local.Port()
	if v, ok := param(via.Params, "received"); ok {
		if a, err := netip.ParseAddr(strings.Trim(v, "[]")); err == nil {
			addr = a.Unmap()
		}
	}
	if v, ok := param(via.Params, "rport"); ok {
		if n, err := strconv.ParseUint(v, 10, 16); err == nil && n > 0 {
			port = uint16(n)
		}
	}
	return netip.AddrPortFrom(addr, port)
}

func values(m headerer, name string) []string {
	var out []string
	for _, h := range m.GetHeaders(name) {
		out = append(out, h.Value())
	}
	return out
}
