package sip

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
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
	a.clock.look(time.Now(), a.cfg.wall(), 0)
	last := regEvent{kind: regStart}
	var reason string
	for {
		last.now, last.rnd = time.Now(), a.random()
		if f := a.current(); f != nil {
			last.judged, last.away, last.idle = f.judged(), a.away(f), a.calls.count() == 0
		}
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
			last, reason = a.askRegistrar(ctx, a.current(), "", act.expires)
		case doSweep:
			last, reason = a.askRegistrar(ctx, a.current(), a.stale, act.expires)
		case doHome:
			var why string
			if last, why = a.goHome(ctx, act.expires); why != "" {
				reason = why
			}
		case doUnregister:
			last, reason = a.askRegistrar(context.WithoutCancel(ctx), a.current(), "", 0)
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
	a.mu.Lock()
	f := a.flow
	a.mu.Unlock()
	var down <-chan struct{}
	if f != nil {
		down = f.down
	}
	every := a.cfg.tune.lookEvery
	t := time.NewTimer(0)
	defer t.Stop()
	if a.jumped(0) { // since the last wait; what was done between may have taken its time
		return regEvent{kind: regProbe}, ""
	}
	for {
		t.Reset(min(time.Until(wake), every))
		select {
		case <-t.C:
			if a.jumped(every) {
				return regEvent{kind: regProbe}, ""
			}
			if !time.Now().Before(wake) {
				return regEvent{kind: regWake}, ""
			}
		case <-a.probes:
			return regEvent{kind: regProbe}, ""
		case <-down:
			a.counters.add(cntFlowsLost, 1)
			return regEvent{kind: regFlowDown, others: true, spent: a.waited(f)}, f.cause.Error()
		case o := <-a.orders:
			a.obeyed = o.done
			return regEvent{kind: o.kind}, ""
		case <-ctx.Done():
			return regEvent{kind: regStop}, ""
		}
	}
}

// waited is how long nobody answered before the flow was found dead.
func (a *Account) waited(f *flow) time.Duration {
	if errors.Is(f.cause, errFlowSilent) {
		return a.cfg.tune.pongLimit
	}
	return 0
}

// askRegistrar sends one REGISTER on f and reports its answer; expires 0 un-registers. contact is "" for our own.
func (a *Account) askRegistrar(ctx context.Context, f *flow, contact string, expires time.Duration) (regEvent, string) {
	if f == nil {
		return regEvent{kind: regFlowDown, others: true}, errNoFlow.Error()
	}
	limit := a.cfg.tune.registerLimit
	if expires == 0 {
		limit = a.cfg.tune.unregLimit
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	begun := time.Now()
	req, err := a.registerRequest(f, contact, expires)
	if err != nil {
		return a.registerFailed(f, begun, err)
	}
	a.counters.add(cntRegisters, 1)
	res, err := a.do(ctx, f, req, "")
	if err != nil {
		return a.registerFailed(f, begun, err)
	}
	ev := regEvent{kind: regAnswer, judged: f.judged(), answer: a.readAnswer(f, res, expires)}
	code := res.StatusCode
	if code != 401 && code != 407 {
		a.auth.begin()
	}
	if code >= 300 && !ev.answer.redirect && code != 401 && code != 407 && code != 423 {
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

func (a *Account) registerFailed(f *flow, begun time.Time, err error) (regEvent, string) {
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
	return regEvent{kind: regTimeout, spent: time.Since(begun), others: a.otherProxies()}, reason
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
func (a *Account) registerRequest(f *flow, contact string, expires time.Duration) (*gosip.Request, error) {
	req := gosip.NewRequest(gosip.REGISTER, a.domain)
	a.regSeq++
	aor := a.aor()
	from := &gosip.FromHeader{Address: aor}
	from.Params.Add("tag", a.regTag)
	id := gosip.CallIDHeader(a.regID)
	secs := strconv.Itoa(int(expires / time.Second))
	if contact == "" {
		contact = a.contact(f)
	}
	if expires == 0 {
		contact += ";expires=0"
	}
	req.AppendHeader(from)
	req.AppendHeader(&gosip.ToHeader{Address: aor})
	req.AppendHeader(&id)
	req.AppendHeader(&gosip.CSeqHeader{SeqNo: a.regSeq, MethodName: gosip.REGISTER})
	req.AppendHeader(gosip.NewHeader("Contact", contact))
	req.AppendHeader(gosip.NewHeader("Expires", secs))
	req.AppendHeader(gosip.NewHeader("Supported", "path, outbound"))
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

// publish makes a change of the registration visible: state, callback, one log line.
func (a *Account) publish(r *registrar, before regStatus, act regAction, reason string) {
	s := State{
		Status: r.status.String(), Code: r.code, Reason: reason, Registered: r.status == regRegistered || r.status == regDegraded,
		Others: a.others, Hint: cmp.Or(r.hint(), a.hint, a.advice),
	}
	if act.do == doWait && r.status != regReleased {
		s.NextTry = act.wake
	}
	a.mu.Lock()
	if a.flow != nil {
		s.Proxy, s.Local = a.flow.target.proxy, a.flow.local
	}
	s.Since = a.state.Since
	others := a.state.Others
	changed := a.state.Status != s.Status
	if changed {
		s.Since = time.Now()
	}
	told := changed || a.state.Code != s.Code || a.state.Reason != s.Reason || a.state.Proxy != s.Proxy || others != s.Others
	a.state = s
	a.mu.Unlock()
	if told && a.cfg.OnState != nil {
		s.Dialogs = a.calls.count()
		a.cfg.OnState(s)
	}
	a.logState(r, before, s)
	a.logOthers(others, s)
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
		a.log.Error("registration rejected", slog.Int("code", s.Code), attr.Reason(s.Reason), slog.String("hint", s.Hint), slog.Duration("next_try", wait))
	case r.status == regBackoff && a.hint != "" && !s.NextTry.IsZero():
		a.log.Error("registration impossible", attr.Err(fmt.Errorf("%s", s.Reason)), slog.String("hint", s.Hint), slog.Duration("next_try", wait))
	case (r.status == regBackoff || r.status == regDegraded) && !s.NextTry.IsZero():
		log := a.log
		if s.Hint != "" {
			log = log.With(slog.String("hint", s.Hint))
		}
		log.Warn("registration failed", slog.Int("code", s.Code), attr.Err(fmt.Errorf("%s", s.Reason)), slog.Duration("next_try", wait))
	}
}

// logOthers tells when another device begins or ends to share our credential.
func (a *Account) logOthers(before int, s State) {
	switch {
	case s.Others > 0 && before == 0:
		a.log.Warn("another device is registered with this credential", slog.Int("contacts", s.Others), slog.String("hint", hintOthers))
	case s.Others == 0 && before > 0:
		a.log.Info("other device gone")
	}
}
