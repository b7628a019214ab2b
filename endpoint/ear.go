package endpoint

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/earshot/earshot/sip"
	"github.com/earshot/earshot/supervise"
)

// ear is one device at work, with the pool of supervisors that RingCentral calls on it, if any.
type ear struct {
	// Set by New, then constant.
	e      *Endpoint
	log    *slog.Logger
	device sip.Config
	sup    *supervise.Supervisor // nil: no RingCentral
	seat   int                   // the device's place in the pool

	// mu guards the fields below.
	mu      sync.Mutex
	account *sip.Account // nil until its credentials are known
	why     string       // why there is none
	runs    bool         // the account does

	// told is the failure of the registration whose SIP is on disk. Owned by Endpoint.Run.
	told time.Time
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

// run registers the device until ctx ends.
func (r *ear) run(ctx context.Context) {
	if r.sip() == nil && !r.learnAccount(ctx) {
		return
	}
	if !r.e.turn.await(ctx) {
		return
	}
	r.setRuns()
	if err := r.sip().Run(ctx); err != nil && ctx.Err() == nil {
		r.log.Error("device ended", "err", err)
	}
}

// registered says whether the device is.
func (r *ear) registered() bool {
	a := r.sip()
	return a != nil && a.State().Registered
}

// learnAccount reads the SIP account of the supervisor's device, as often as it takes. It tells whether there is one.
func (r *ear) learnAccount(ctx context.Context) bool {
	for i := 0; ; i++ {
		info, err := r.sup.SIPInfo(ctx, r.seat)
		if err == nil {
			cfg := withInfo(r.device, info)
			if r.sup.Pool() > 1 {
				cfg.InstanceID = deviceInstance(cfg.InstanceID, info.AuthorizationID)
			}
			if err = r.openAccount(cfg); err == nil {
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
		case <-time.After(infoWait(err, i, time.Now())):
		}
	}
}

// infoWait is how long to wait after a failed try: until the request budget, or the server, allows another where the error
// knows that, so that no call is missed for a wait that was drawn too long.
func infoWait(err error, tries int, now time.Time) time.Duration {
	var e interface{ Again() time.Time }
	if errors.As(err, &e) {
		return min(max(e.Again().Sub(now), infoEvery[0]), infoEvery[len(infoEvery)-1])
	}
	return infoEvery[min(tries, len(infoEvery)-1)]
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
	if p.refused {
		return nil, r.refuse(inv, p)
	}
	if r.unwanted(inv, p) {
		return nil, &sip.Refusal{Code: 480, Reason: "Temporarily Unavailable"}
	}
	r.takesOver(inv, &p)
	if len(p.joins) == 0 && r.e.closed(p.info.ID) {
		return nil, &sip.Refusal{Code: 480, Reason: "Temporarily Unavailable"}
	}
	// What is named by its Call-ID alone is a leg of nothing else: who knows the Call-ID of a call, and sends it with tags of his
	// own, would be heard in its recording.
	alone := len(p.joins) == 0 && inv.Replaces == "" && p.info.ID == inv.CallID
	if err := r.bar(inv, p, alone); err != nil {
		return nil, err
	}
	c, err := r.e.open(r, p.info, alone)
	if err != nil {
		r.log.Error("call refused", "call", p.info.ID, "leg", inv.CallID, "err", err)
		return nil, &sip.Refusal{Code: 480, Reason: "Temporarily Unavailable", RetryAfter: 5 * time.Second}
	}
	if p.info.Masked != "" {
		c.mask(p.info.Masked)
	}
	source, _ := netip.ParseAddrPort(inv.Source)
	l := newLeg(c, r, inv, p, source.Addr())
	l.part = c.seat(p)
	c.add(l, p.info.Sessions)
	if r.givenUp(p.joins) { // in this moment: the release may not have seen the leg
		c.remove(l, releasedByHand)
		return nil, r.refuse(inv, p)
	}
	return l, nil
}

// deviceInstance makes a device's +sip.instance of the one that all have in common, so that it is the same for ever.
func deviceInstance(base, device string) string {
	sum := sha256.Sum256([]byte(base + "\x00" + device))
	return instance([16]byte(sum[:16]))
}

// NewInstanceID makes a +sip.instance value (RFC 5626 section 4.1). A device keeps one for ever.
func NewInstanceID() string {
	var b [16]byte
	rand.Read(b[:]) //nolint:errcheck // never fails (crypto/rand)
	return instance(b)
}

func instance(b [16]byte) string {
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
