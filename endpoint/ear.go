package endpoint

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
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
		wg.Go(func() {
			if err := r.sup.Run(ctx); err != nil && ctx.Err() == nil {
				r.log.Error("supervision ended", "err", err)
			}
		})
	}
	if err := r.sip().Run(ctx); err != nil && ctx.Err() == nil {
		r.log.Error("device ended", "err", err)
	}
	wg.Wait()
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
		r.mu.Lock()
		r.why = err.Error()
		r.mu.Unlock()
		attrs := []any{"err", err}
		if h := hint(err); h != "" {
			attrs = append(attrs, "hint", h)
		}
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
	c, err := r.e.open(r, p.info)
	if err != nil {
		r.log.Error("call refused", "call", p.info.ID, "leg", inv.CallID, "err", err)
		return nil, &sip.Refusal{Code: 480, Reason: "Temporarily Unavailable", RetryAfter: 5 * time.Second}
	}
	source, _ := netip.ParseAddrPort(inv.Source)
	l := newLeg(c, r, inv, p, source.Addr())
	c.add(l)
	return l, nil
}

// Wanted hears of a call that is to be joined; the INVITE that follows makes it a Call.
func (r *ear) Wanted(supervise.Call) {}

// Failed keeps why a call was not joined, for the record that Gone writes.
func (r *ear) Failed(session string, c call.Cause, _ error) {
	r.e.mu.Lock()
	defer r.e.mu.Unlock()
	if _, live := r.e.calls[session]; !live && len(r.e.failed) < maxFailed {
		r.e.failed[session] = c
	}
}

// Gone closes the call's account: one that was never heard leaves a record too.
func (r *ear) Gone(session string) {
	r.e.mu.Lock()
	cause, failed := r.e.failed[session]
	delete(r.e.failed, session)
	c := r.e.calls[session]
	r.e.mu.Unlock()
	switch {
	case c != nil:
		c.wake()
	case failed:
		select {
		case r.e.missed <- missedCall{session, cause}:
		default:
			r.log.Error("call missed", "call", session, "cause", cause.String())
		}
	}
}

// NewInstanceID makes a +sip.instance value (RFC 5626 section 4.1). A device keeps one for ever.
func NewInstanceID() string {
	var b [16]byte
	rand.Read(b[:]) //nolint:errcheck // never fails (crypto/rand)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
