package endpoint

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/supervise"
)

// pool is RingCentral's side: supervisors who ask to be joined to calls, and the devices on which these are heard. It is
// the supervise.Handler of both.
type pool struct {
	// Set by newPool, then constant.
	e    *Endpoint
	log  *slog.Logger
	sup  *supervise.Supervisor
	ears []*ear // by place in the pool

	probed []atomic.Int64 // ns, since the endpoint's start, of the newest probe; by place

	// mu guards the fields below.
	mu    sync.Mutex
	hush  func() // ends the supervisors alone; nil: they do not run
	quiet bool   // that was done
}

// probeEvery is the least time between two probes of a device's flow: many calls may miss their INVITEs at once.
const probeEvery = 10 * time.Second

// newPool opens supervisors and devices; those whose account is not configured learn it from RingCentral when they run.
func newPool(e *Endpoint, s Supervisor) (*pool, error) {
	p := &pool{e: e, log: e.log}
	cfg := s.RingCentral
	cfg.Handler, cfg.Log, cfg.Barred = p, e.log, e.barred
	device := s.Device.Account
	device.RingCentral = true
	// RingCentral offers a device on TLS nothing but RTP/SAVP, so our own offers to it are the same.
	device.Policy.OfferSRTP = device.Transport == "" || device.Transport == "tls"
	if device.InstanceID == "" {
		device.InstanceID = NewInstanceID()
	}
	seat := func() func() bool {
		r := &ear{e: e, log: e.log, device: device, seat: len(p.ears), why: "waiting for the device's SIP account from RingCentral"}
		p.ears = append(p.ears, r)
		return r.registered
	}
	if len(cfg.Logins) == 0 {
		cfg.Registered = seat()
	}
	cfg.Logins = slices.Clone(cfg.Logins)
	for i := range cfg.Logins {
		l := &cfg.Logins[i]
		if l.Devices = slices.Clone(l.Devices); len(l.Devices) == 0 {
			l.Devices = []supervise.LoginDevice{{}}
		}
		for k := range l.Devices {
			l.Devices[k].Registered = seat()
		}
	}
	var err error
	if p.sup, err = supervise.New(cfg); err != nil {
		return nil, err
	}
	p.probed = make([]atomic.Int64, len(p.ears))
	for _, r := range p.ears {
		r.sup = p.sup
	}
	if device.Domain != "" {
		if len(p.ears) > 1 {
			return nil, errors.Join(errOneAccount, p.sup.Close())
		}
		if err := p.ears[0].openAccount(device); err != nil {
			return nil, errors.Join(err, p.sup.Close())
		}
	}
	return p, nil
}

// errOneAccount: a SIP account belongs to one device.
var errOneAccount = errors.New("endpoint: one SIP account for several devices: leave it away, RingCentral names each device's")

// run supervises until ctx ends.
func (p *pool) run(ctx context.Context) {
	ctx, hush := context.WithCancel(ctx)
	defer hush()
	p.mu.Lock()
	p.hush = hush
	p.mu.Unlock()
	if err := p.sup.Run(ctx); err != nil && ctx.Err() == nil {
		p.log.Error("supervision ended", "err", err)
	}
}

// Probe has a device's registration refreshed, which shows whether its flow lives; see supervise.ProbeHandler.
func (p *pool) Probe(device int) {
	now := time.Since(p.e.started).Nanoseconds() + 1
	last := p.probed[device].Load()
	if last > 0 && now-last < probeEvery.Nanoseconds() || !p.probed[device].CompareAndSwap(last, now) {
		return
	}
	if a := p.ears[device].sip(); a != nil {
		a.Probe()
	}
}

// Wanted remembers a call that is to be joined; the INVITE that follows makes it a Call.
func (p *pool) Wanted(c supervise.Call) {
	p.e.mu.Lock()
	defer p.e.mu.Unlock()
	w, known := p.e.wanted[c.Session]
	if known || len(p.e.wanted) < maxWanted {
		w.call, w.pool = c, p
		w.heard = w.heard || p.e.older.hears(c.Session)
		p.e.wanted[c.Session] = w
	}
}

// Failed keeps why a call was not joined, for the record of a call that is never heard.
func (p *pool) Failed(session string, c call.Cause, _ error) {
	p.e.mu.Lock()
	defer p.e.mu.Unlock()
	if w, ok := p.e.wanted[session]; ok {
		w.cause = c
		p.e.wanted[session] = w
	}
}

// Gone closes the account of a call that RingCentral shows no more: one that was never heard leaves a record too.
func (p *pool) Gone(session string) {
	p.e.mu.Lock()
	w, ok := p.e.wanted[session]
	delete(p.e.wanted, session)
	c := p.e.calls[session]
	p.e.mu.Unlock()
	if c != nil {
		c.wake()
	} else if ok && !w.heard && w.cause.Code != "" {
		p.e.miss(missedCall{call: w.call, cause: w.cause})
	}
}

// Moved tells a live call that it goes on in another session, and the call that this one is already, if it is heard apart,
// which one it goes on from; see supervise.MoveHandler.
func (p *pool) Moved(from, to string) {
	c, later := p.e.ofSession(from), p.e.ofSession(to)
	switch {
	case c == later:
	case later == nil:
		c.goesOn(to)
	case c == nil:
		later.comesFrom(from)
	default:
		later.comesFrom(c.id)
		c.post(call.Event{Type: call.EventCallMoved, Facts: map[string]any{"session": to, "call_id": later.id}})
	}
	if later != nil && p.sup.Masked(to) {
		later.mask(byHook) // heard under its own name until now
	}
}

// giveUp leaves a record of each call that is still wanted when the ear stops, and was never heard.
func (p *pool) giveUp() {
	p.e.mu.Lock()
	var left []missedCall
	for id, w := range p.e.wanted {
		if w.pool != p {
			continue
		}
		delete(p.e.wanted, id)
		if p.e.shift.over.Load() || p.e.shift.trial.Load() {
			continue // it is another process's
		}
		if w.cause.Code == "" {
			w.cause = call.Cause{Code: call.CodeShutdown, Text: "earshot stopped before the call could be heard"}
		}
		if !w.heard {
			left = append(left, missedCall{call: w.call, cause: w.cause})
		}
	}
	p.e.mu.Unlock()
	for _, m := range left {
		p.e.miss(m)
	}
}
