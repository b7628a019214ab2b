package sip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"github.com/earshot/earshot/internal/attr"
)

// register is the shell around the registrar: it performs its actions, one at a time, until stop is closed and the
// account is un-registered. So there are never two REGISTERs in flight.
func (a *Account) register(stop <-chan struct{}) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	a.wg.Go(func() {
		select {
		case <-stop:
			cancel()
		case <-ctx.Done():
		}
	})
	r := newRegistrar(a.cfg.RingCentral, a.cfg.tune)
	last := regEvent{kind: regStart}
	var reason string
	for {
		last.now, last.rnd = time.Now(), a.random()
		f := a.current()
		last.judged = f != nil && f.judged()
		before := r.status
		act := r.step(last)
		if act.closeFlow {
			a.setFlow(nil)
		}
		a.publish(&r, before, act, reason)
		a.obey()
		switch act.do {
		case doEnd:
			return
		case doDial:
			last, reason = a.reach(ctx)
		case doRegister:
			last, reason = a.askRegistrar(ctx, act.expires)
		case doUnregister:
			last, reason = a.askRegistrar(context.WithoutCancel(ctx), 0)
		case doWait:
			if r.status == regRegistered || r.status == regReleased {
				a.healAll()
			}
			var why string
			if last, why = a.await(ctx, act.wake); why != "" {
				reason = why
			}
		}
		if last.kind == regFlowDown {
			a.setFlow(nil)
		}
		if ctx.Err() != nil && r.status != regUnregistering {
			last = regEvent{kind: regStop}
		}
	}
}

// await waits for the time, the flow's death or the end.
func (a *Account) await(ctx context.Context, wake time.Time) (regEvent, string) {
	t := time.NewTimer(time.Until(wake))
	defer t.Stop()
	a.mu.Lock()
	f := a.flow
	a.mu.Unlock()
	var down <-chan struct{}
	if f != nil {
		down = f.down
	}
	select {
	case <-t.C:
		return regEvent{kind: regWake}, ""
	case <-a.probes:
		return regEvent{kind: regProbe}, ""
	case <-down:
		a.counters.add(cntFlowsLost, 1)
		return regEvent{kind: regFlowDown, others: true}, f.cause.Error()
	case o := <-a.orders:
		a.obeyed = o.done
		return regEvent{kind: o.kind}, ""
	case <-ctx.Done():
		return regEvent{kind: regStop}, ""
	}
}

// reach dials the addresses of all proxies in order until one answers.
func (a *Account) reach(ctx context.Context) (regEvent, string) {
	targets, err := a.targets(ctx)
	for _, t := range a.proxies.order(targets, time.Now()) {
		if ctx.Err() != nil {
			break
		}
		var f *flow
		if f, err = a.dial(ctx, t); err == nil {
			a.counters.add(cntFlows, 1)
			a.setFlow(f)
			a.wg.Go(func() { a.keepalive(f) })
			return regEvent{kind: regFlowUp}, ""
		}
		a.counters.add(cntFlowsFailed, 1)
		a.proxies.failed(t.addr, time.Now(), 0)
		a.log.Debug("flow not dialled", attr.Remote(t.addr), attr.Err(err))
	}
	if err == nil {
		err = errors.New("no proxy to dial")
	}
	return regEvent{kind: regNoFlow}, err.Error()
}

// targets resolves all proxies; what can't be resolved is left out as long as something can.
func (a *Account) targets(ctx context.Context) ([]target, error) {
	var all []target
	var first error
	for _, p := range a.cfg.OutboundProxies {
		ts, err := resolve(ctx, a.cfg.resolver, p, a.cfg.Transport)
		if err != nil && first == nil {
			first = err
		}
		all = append(all, ts...)
	}
	if len(all) == 0 {
		return nil, first
	}
	m := make(map[netip.Addr]bool, len(all))
	for _, t := range all {
		m[t.addr.Addr()] = true
	}
	a.proxyAddrs.Store(&m)
	return all, nil
}

// setFlow makes f the flow; nil ends the present one.
func (a *Account) setFlow(f *flow) {
	a.mu.Lock()
	old := a.flow
	a.flow = f
	a.mu.Unlock()
	if old != nil && old != f {
		old.fail(errFlowClosed)
	}
}

// askRegistrar sends one REGISTER and reports its answer; expires 0 un-registers.
func (a *Account) askRegistrar(ctx context.Context, expires time.Duration) (regEvent, string) {
	f := a.current()
	if f == nil {
		return regEvent{kind: regFlowDown, others: true}, errNoFlow.Error()
	}
	limit := a.cfg.tune.registerLimit
	if expires == 0 {
		limit = a.cfg.tune.unregLimit
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := a.registerRequest(f, expires)
	if err != nil {
		return a.registerFailed(f, err)
	}
	a.counters.add(cntRegisters, 1)
	res, err := a.do(ctx, f, req, "")
	if err != nil {
		return a.registerFailed(f, err)
	}
	ev := regEvent{kind: regAnswer, judged: f.judged(), answer: a.readAnswer(f, res, expires)}
	code := res.StatusCode
	if code != 401 && code != 407 {
		a.auth.begin()
	}
	if code >= 400 && code != 401 && code != 407 && code != 423 {
		a.counters.add(cntRegisterRefused, 1)
		if code == 408 || code == 480 || code >= 500 && code < 600 {
			a.proxies.failed(f.target.addr, time.Now(), ev.answer.retryAfter)
		}
	}
	if code < 300 {
		a.proxies.last = f.target.addr
	}
	ev.others = a.otherProxies()
	if code < 300 && expires > 0 && ev.answer.granted == 0 {
		a.counters.add(cntRegisterRefused, 1)
		return ev, "the 200 says that our binding is over"
	}
	return ev, clean(res.Reason, maxText)
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

func (a *Account) registerFailed(f *flow, err error) (regEvent, string) {
	a.auth.begin()
	a.proxies.failed(f.target.addr, time.Now(), 0)
	if !f.alive() {
		a.counters.add(cntFlowsLost, 1)
		return regEvent{kind: regFlowDown, others: a.otherProxies()}, f.cause.Error()
	}
	a.counters.add(cntRegisterTimeouts, 1)
	reason := err.Error()
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, gosip.ErrTransactionTimeout) {
		reason = "no answer to REGISTER"
	}
	return regEvent{kind: regTimeout, others: a.otherProxies()}, reason
}

// aor is our address of record.
func (a *Account) aor() gosip.Uri {
	u := a.domain
	u.User = a.cfg.Username
	return u
}

// contactURI is where requests for us are sent, on this flow: the same in REGISTER and in every dialog, for RingCentral
// sends the ACK to the one of REGISTER.
func (a *Account) contactURI(f *flow) gosip.Uri {
	at := f.local
	if p := f.public.Load(); p != nil {
		at = *p
	}
	u := gosip.Uri{Scheme: "sip", User: a.cfg.Username, Host: at.Addr().WithZone("").String(), Port: int(at.Port())}
	u.UriParams.Add("transport", f.net)
	u.UriParams.Add("ob", "")
	return u
}

func (a *Account) contact(f *flow) string {
	u := a.contactURI(f)
	return "<" + u.String() + `>;reg-id=1;+sip.instance="<` + a.cfg.InstanceID + `>"`
}

// registerRequest builds a REGISTER: one Call-ID and From tag for all, CSeq rising, no parameters in the Request-URI, for
// strict registrars compare it with the digest's uri.
func (a *Account) registerRequest(f *flow, expires time.Duration) (*gosip.Request, error) {
	req := gosip.NewRequest(gosip.REGISTER, a.domain)
	a.regSeq++
	aor := a.aor()
	from := &gosip.FromHeader{Address: aor}
	from.Params.Add("tag", a.regTag)
	id := gosip.CallIDHeader(a.regID)
	secs := strconv.Itoa(int(expires / time.Second))
	contact := a.contact(f)
	if expires == 0 {
		contact += ";expires=0"
	}
	req.AppendHeader(from)
	req.AppendHeader(&gosip.ToHeader{Address: aor})
	req.AppendHeader(&id)
	req.AppendHeader(&gosip.CSeqHeader{SeqNo: a.regSeq, MethodName: gosip.REGISTER})
	req.AppendHeader(gosip.NewHeader("Contact", contact))
	req.AppendHeader(gosip.NewHeader("Expires", secs))
	req.AppendHeader(gosip.NewHeader("Supported", "path, outbound, gruu"))
	req.AppendHeader(gosip.NewHeader("Allow", allow))
	name, value, err := a.auth.authorization("REGISTER", a.domain.Addr())
	if err != nil {
		return nil, err
	}
	if name != "" {
		req.AppendHeader(gosip.NewHeader(name, value))
	}
	return req, nil
}

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
	case r.code < 300 && asked > 0:
		b := readBindings(res, a.cfg.InstanceID, a.contactURI(f), asked)
		r.granted, r.foreign = b.granted, !b.own
		if b.foreign > 0 {
			a.counters.add(cntForeignBindings, 1)
			a.log.Warn("another program is registered too", slog.Int("contacts", b.foreign), slog.Bool("own_listed", b.own))
		}
		r.moved = a.learn(f, res)
	}
	return r
}

// learn takes what the 200 says of the flow: whether pings are answered, how often they are wanted, and from which address
// we are seen (RFC 3581 section 4). A new one is put into the Contact on UDP, where a registrar sends calls to no other
// place; RingCentral and TCP come back on the flow whatever the Contact says.
func (a *Account) learn(f *flow, res *gosip.Response) (moved bool) {
	for _, s := range append(listed(res, "Supported", "k"), listed(res, "Require")...) {
		if s == "outbound" {
			f.promised.Store(f.reliable())
		}
	}
	if d := headerSeconds(res, "Flow-Timer"); d > 0 && f.pingEvery.Load() > 0 {
		f.promised.Store(f.reliable())
		f.pingEvery.Store(min(f.pingEvery.Load(), int64(d)))
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

// publish makes a change of the registration visible: state, callback, one log line.
func (a *Account) publish(r *registrar, before regStatus, act regAction, reason string) {
	s := State{Status: r.status.String(), Code: r.code, Reason: reason, Registered: r.status == regRegistered || r.status == regDegraded}
	if act.do == doWait && r.status != regReleased {
		s.NextTry = act.wake
	}
	a.mu.Lock()
	if a.flow != nil {
		s.Proxy, s.Local = a.flow.target.proxy, a.flow.local
	}
	s.Since = a.state.Since
	changed := a.state.Status != s.Status
	if changed {
		s.Since = time.Now()
	}
	told := changed || a.state.Code != s.Code || a.state.Reason != s.Reason || a.state.Proxy != s.Proxy
	a.state = s
	a.mu.Unlock()
	if told && a.cfg.OnState != nil {
		s.Dialogs = a.calls.count()
		a.cfg.OnState(s)
	}
	a.logState(r, before, s)
}

func (a *Account) logState(r *registrar, before regStatus, s State) {
	wait := time.Until(s.NextTry).Round(time.Millisecond)
	switch {
	case r.status == regRegistered && before != regRegistered:
		a.log.Info("registered", slog.String("proxy", s.Proxy), slog.String("local", s.Local.String()), slog.Duration("expires", time.Until(r.ends).Round(time.Second)))
	case r.status == regReleased && before != regReleased:
		a.log.Info("registration released", slog.String("local", s.Local.String()))
	case r.status == regUnregistered && before != regUnregistered && !r.released:
		a.log.Info("unregistered")
	case r.status == regRejected && !s.NextTry.IsZero():
		a.log.Error("registration rejected: check user name, authorization id and password of the device, and that no other program uses it",
			slog.Int("code", s.Code), attr.Reason(s.Reason), slog.Duration("next_try", wait))
	case (r.status == regBackoff || r.status == regDegraded) && !s.NextTry.IsZero():
		a.log.Warn("registration failed", slog.Int("code", s.Code), attr.Err(fmt.Errorf("%s", s.Reason)), slog.Duration("next_try", wait))
	}
}
