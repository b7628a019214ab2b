package endpoint

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/sip"
	"github.com/earshot/earshot/supervise"
)

// ear is one device at work, with the supervisor that RingCentral calls on it, if any.
type ear struct {
	// Set by New, then constant.
	e      *Endpoint
	log    *slog.Logger
	device sip.Config
	sup    *supervise.Supervisor // nil: no RingCentral

	// mu guards the fields below.
	mu      sync.Mutex
	account *sip.Account // nil until its credentials are known
	why     string       // why there is none
	runs    bool         // the account does
	hush    func()       // ends the supervisor alone; nil: there is none
	quiet   bool         // it was called
}

// infoEvery are the waits between tries to read the device's SIP account from RingCentral.
var infoEvery = [...]time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute}

func (r *ear) supervisor() *supervise.Supervisor { return r.sup }

func (r *ear) sip() *sip.Account {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.account
}

func (r *ear) openAccount(cfg sip.Config) error {
	cfg.Handler, cfg.Log = r, r.log
	if cfg.InstanceID == "" {
		cfg.InstanceID = NewInstanceID()
	}
	a, err := sip.New(cfg)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.account, r.why = a, ""
	r.mu.Unlock()
	return nil
}

func (r *ear) openSupervisor(s Supervisor) error {
	cfg := s.RingCentral
	cfg.Handler, cfg.Log = r, r.log
	cfg.Registered = func() bool {
		a := r.sip()
		return a != nil && a.State().Registered
	}
	sup, err := supervise.New(cfg)
	if err != nil {
		return err
	}
	r.sup = sup
	r.device.RingCentral = true
	// RingCentral offers a device on TLS nothing but RTP/SAVP, so our own offers to it are the same.
	r.device.Policy.OfferSRTP = r.device.Transport == "" || r.device.Transport == "tls"
	if s.Device.Account.Domain == "" {
		r.why = "waiting for the device's SIP account from RingCentral"
		return nil
	}
	return r.openAccount(r.device)
}

// run registers the device and keeps supervising until ctx ends.
func (r *ear) run(ctx context.Context) {
	if r.sip() == nil && !r.learnAccount(ctx) {
		return
	}
	var wg sync.WaitGroup
	if r.sup != nil {
		asks, hush := context.WithCancel(ctx)
		defer hush()
		r.setHush(hush)
		wg.Go(func() {
			if err := r.sup.Run(asks); err != nil && asks.Err() == nil {
				r.log.Error("supervision ended", "err", err)
			}
		})
	}
	if r.e.turn.await(ctx) {
		r.setRuns()
		if err := r.sip().Run(ctx); err != nil && ctx.Err() == nil {
			r.log.Error("device ended", "err", err)
		}
	}
	wg.Wait()
	r.giveUp()
}

// learnAccount reads the SIP account of the supervisor's device, as often as it takes. It tells whether there is one.
func (r *ear) learnAccount(ctx context.Context) bool {
	for i := 0; ; i++ {
		info, err := r.sup.SIPInfo(ctx)
		if err == nil {
			if err = r.openAccount(withInfo(r.device, info)); err == nil {
				return true
			}
		}
		if ctx.Err() != nil {
			return false
		}
		why, attrs := err.Error(), []any{"err", err}
		if h := hint(err); h != "" {
			why, attrs = why+": "+h, append(attrs, "hint", h)
		}
		r.mu.Lock()
		r.why = why
		r.mu.Unlock()
		r.log.Error("sip account not to be had", attrs...)
		select {
		case <-ctx.Done():
			return false
		case <-time.After(infoEvery[min(i, len(infoEvery)-1)]):
		}
	}
}

// hint gives what to do about an error, if it knows.
func hint(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}

// withInfo fills the account from RingCentral's sip-info.
func withInfo(cfg sip.Config, info supervise.SIPInfo) sip.Config {
	cfg.Domain, cfg.Username, cfg.Password, cfg.AuthorizationID = info.Domain, info.UserName, info.Password, info.AuthorizationID
	if len(cfg.OutboundProxies) > 0 {
		return cfg
	}
	for _, p := range info.Proxies {
		proxy := p.ProxyTLS
		if cfg.Transport != "" && cfg.Transport != "tls" {
			proxy = p.Proxy
		}
		if proxy != "" {
			cfg.OutboundProxies = append(cfg.OutboundProxies, proxy)
		}
	}
	return cfg
}

// Invited takes a new INVITE: it finds the call that it belongs to, or makes one. See sip.Handler.
func (r *ear) Invited(ctx context.Context, inv *sip.Invitation) (sip.Leg, error) {
	p := r.plan(ctx, inv)
	if len(p.joins) == 0 && r.e.closed(p.info.ID) {
		return nil, &sip.Refusal{Code: 480, Reason: "Temporarily Unavailable"}
	}
	c, err := r.e.open(r, p.info)
	if err != nil {
		r.log.Error("call refused", "call", p.info.ID, "leg", inv.CallID, "err", err)
		return nil, &sip.Refusal{Code: 480, Reason: "Temporarily Unavailable", RetryAfter: 5 * time.Second}
	}
	source, _ := netip.ParseAddrPort(inv.Source)
	l := newLeg(c, r, inv, p, source.Addr())
	c.add(l, p.info.Sessions)
	return l, nil
}

// Wanted remembers a call that is to be joined; the INVITE that follows makes it a Call.
func (r *ear) Wanted(c supervise.Call) {
	r.e.mu.Lock()
	defer r.e.mu.Unlock()
	w, known := r.e.wanted[c.Session]
	if known || len(r.e.wanted) < maxWanted {
		w.call, w.ear = c, r
		w.heard = w.heard || r.e.older.hears(c.Session)
		r.e.wanted[c.Session] = w
	}
}

// Failed keeps why a call was not joined, for the record of a call that is never heard.
func (r *ear) Failed(session string, c call.Cause, _ error) {
	r.e.mu.Lock()
	defer r.e.mu.Unlock()
	if w, ok := r.e.wanted[session]; ok {
		w.cause = c
		r.e.wanted[session] = w
	}
}

// Gone closes the account of a call that RingCentral shows no more: one that was never heard leaves a record too.
func (r *ear) Gone(session string) {
	r.e.mu.Lock()
	w, ok := r.e.wanted[session]
	delete(r.e.wanted, session)
	c := r.e.calls[session]
	r.e.mu.Unlock()
	if c != nil {
		c.wake()
	} else if ok && !w.heard && w.cause.Code != "" {
		r.e.miss(missedCall{w.call, w.cause})
	}
}

// Moved tells a live call that it goes on in another session; see supervise.MoveHandler.
func (r *ear) Moved(from, to string) {
	for _, c := range r.e.live() {
		if slices.Contains(c.description().Sessions, from) {
			c.goesOn(to)
		}
	}
}

// giveUp leaves a record of each call that is still wanted when the ear stops, and was never heard.
func (r *ear) giveUp() {
	r.e.mu.Lock()
	var left []missedCall
	for id, w := range r.e.wanted {
		if w.ear != r {
			continue
		}
		delete(r.e.wanted, id)
		if r.e.shift.over.Load() || r.e.shift.trial.Load() {
			continue // it is another process's
		}
		if w.cause.Code == "" {
			w.cause = call.Cause{Code: call.CodeShutdown, Text: "earshot stopped before the call could be heard"}
		}
		if !w.heard {
			left = append(left, missedCall{w.call, w.cause})
		}
	}
	r.e.mu.Unlock()
	for _, m := range left {
		r.e.miss(m)
	}
}

// NewInstanceID makes a +sip.instance value (RFC 5626 section 4.1). A device keeps one for ever.
func NewInstanceID() string {
	var b [16]byte
	rand.Read(b[:]) //nolint:errcheck // never fails (crypto/rand)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
