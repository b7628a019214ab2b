package supervise

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"
)

// RateLimit is one of RingCentral's purses of requests, as the headers of its answers tell of it.
type RateLimit struct {
	Group     string // auth, light, medium or heavy
	Limit     int    // requests per Window; the documented number unless Told
	Window    time.Duration
	Used      int           // in the window, Others included
	Others    int           // of Used: requests of other programs of the same user and app
	Told      bool          // an answer's headers named Limit
	Unlimited bool          // the server names no limits
	Blocked   time.Duration // a penalty lasts that long; 0: none
}

// Limits tells what is known of the login's request rates.
func (a *Account) Limits() []RateLimit { return a.client.limits.read(time.Now()) }

func (l *limiter) read(now time.Time) []RateLimit {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]RateLimit, 0, groupCount)
	for g := range l.purses {
		p := &l.purses[g]
		r := RateLimit{Group: group(g).String(), Limit: p.limit, Window: p.window, Told: p.told, Unlimited: p.limit == maxLimit,
			Blocked: max(0, p.blocked.Sub(now))}
		for _, t := range p.sent {
			if now.Sub(t.at) < p.window {
				r.Used++
			}
		}
		if now.Sub(p.othersAt) < p.window {
			r.Others = p.others
			r.Used += p.others
		}
		out = append(out, r)
	}
	return out
}

// Scopes are the permissions of the app as the login's token names them, sorted. Old and new spellings exist, so nothing
// but a warning may hang on them.
func (a *Account) Scopes(ctx context.Context) ([]string, error) {
	if _, err := a.client.auth.bearer(ctx); err != nil {
		return nil, err
	}
	a.client.auth.mu.Lock()
	defer a.client.auth.mu.Unlock()
	return slices.Sorted(slices.Values(a.client.auth.scopes)), nil
}

// ownerID is the extension id of the login's user as its token names it; empty if it does not.
func (a *Account) ownerID() string {
	a.client.auth.mu.Lock()
	defer a.client.auth.mu.Unlock()
	return a.client.auth.owner
}

// DeviceByID reads one device of the account, whoever owns it.
func (a *Account) DeviceByID(ctx context.Context, id string) (Device, error) {
	d, _, err := ask(ctx, a, "device "+id, func(ctx context.Context) (Device, error) {
		var raw json.RawMessage
		if err := a.client.do(ctx, a.request(opDevice, id), &raw); err != nil {
			return Device{}, err
		}
		devices, err := parseDevices(raw)
		if err != nil || len(devices) == 0 {
			return Device{}, err
		}
		return devices[0], nil
	})
	return d, err
}

// SIPInfo reads the SIP account of a device, its password left out.
func (a *Account) SIPInfo(ctx context.Context, device string) (SIPInfo, error) {
	info, _, err := ask(ctx, a, "sip-info "+device, func(ctx context.Context) (SIPInfo, error) {
		var raw json.RawMessage
		if err := a.client.do(ctx, a.request(opSIPInfo, device), &raw); err != nil {
			return SIPInfo{}, err
		}
		info, err := parseSIPInfo(raw)
		info.Password = ""
		return info, err
	})
	return info, err
}

// noSession has the form of a session's id and is none.
const noSession = "s-earshot-doctor"

// MayControl asks for a call that does not exist: RingCentral looks at the app's scope first, so its answer tells whether
// sessions can be read and supervised. Nil: they can.
func (a *Account) MayControl(ctx context.Context) error {
	_, _, err := ask(ctx, a, "call control", func(ctx context.Context) (struct{}, error) {
		err := a.client.do(ctx, a.request(opSession, noSession), nil)
		if e, ok := errors.AsType[*APIError](err); ok && e.Status == http.StatusNotFound {
			err = nil
		}
		return struct{}{}, err
	})
	return err
}

// FeedToken asks for the token with which the event feed is opened, and does not use it. A daemon's feed is not asked for
// another: its state tells.
func (a *Account) FeedToken(ctx context.Context) error {
	r := a.request(opFeedToken)
	r.body = struct{}{}
	return a.client.do(ctx, r, nil)
}

// ClockAhead is how far RingCentral's clock is ahead of ours, by the newest answer, and what that may be wrong by.
func (a *Account) ClockAhead() (ahead, within time.Duration, known bool) {
	return a.client.clock.read()
}
