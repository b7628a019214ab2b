package ringsim

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"
)

// FaultKind is what goes wrong.
type FaultKind string

// What can go wrong. Those of REST concern the requests that Fault.Method and Fault.Path choose; those of SIP and the feed
// that happen once happen at Fault.After.
const (
	FaultRateLimit   FaultKind = "rate-limit"   // 429 CMN-301; with Retry-After where Fault.RetryAfter is set
	FaultError       FaultKind = "error"        // 500 CMN-203
	FaultBadGateway  FaultKind = "bad-gateway"  // 502 with a page of HTML
	FaultUnavailable FaultKind = "unavailable"  // 503 CMN-201, with Retry-After where it is set
	FaultSlow        FaultKind = "slow"         // the work is done at once, the answer comes after Fault.Delay
	FaultReset       FaultKind = "reset"        // the connection is reset after the work was done
	FaultResetBefore FaultKind = "reset-before" // the connection is reset, nothing was done
	FaultTokenLost   FaultKind = "token-lost"   // 401 OAU-213: the login is gone
	// FaultWrongState refuses requests to supervise for the state of their party, though the session shows that it talks: the
	// telephony side lags.
	FaultWrongState FaultKind = "wrong-state"
	// FaultTokenExpired is 401 OAU-128, before the token's time.
	FaultTokenExpired FaultKind = "token-expired"
	// FaultScopeMissing is 403 CMN-401 and FaultPermissionMissing 403 CMN-408, for Fault.Permission.
	FaultScopeMissing      FaultKind = "scope-missing"
	FaultPermissionMissing FaultKind = "permission-missing"

	// FaultDeviceOffline shows a device as Offline, so that no request is taken for it, though it is registered.
	FaultDeviceOffline FaultKind = "device-offline"

	FaultInviteLate       FaultKind = "invite-late"       // by Fault.Delay
	FaultInviteNever      FaultKind = "invite-never"      // though REST said 200
	FaultInviteTwice      FaultKind = "invite-twice"      // the same INVITE again
	FaultInvitesReversed  FaultKind = "invites-reversed"  // as Switches.ReverseInvites, for the next two
	FaultBye              FaultKind = "bye"               // once: every dialog gets a BYE, its call goes on
	FaultFlowsCut         FaultKind = "flows-cut"         // once: the devices' connections end
	FaultProxyGone        FaultKind = "proxy-gone"        // once: nobody reaches the SIP proxy for Fault.For
	FaultRegistrationGone FaultKind = "registration-gone" // once: another program has registered the device

	FaultEventsLost        FaultKind = "events-lost"        // each event of the feed, to each subscription
	FaultFeedCut           FaultKind = "feed-cut"           // once: see [CutNow]
	FaultFeedSilent        FaultKind = "feed-silent"        // once: see [CutSilent]
	FaultFeedForget        FaultKind = "feed-forget"        // once: see [CutForget]
	FaultSubscriptionsGone FaultKind = "subscriptions-gone" // once: see [Sim.DropSubscriptions]
)

// Fault is one thing that goes wrong, some time.
type Fault struct {
	Kind FaultKind
	// After is when, counted from Inject.
	After time.Duration
	// For is how long; zero: until Count is used up, or until the end.
	For time.Duration
	// Count is how often at most; zero: any number.
	Count int
	// Method and Path choose REST requests: the method, and a part of the path. Empty ones choose all.
	Method, Path string
	// Permission is what an application or a user lacks.
	Permission string
	// RetryAfter is the header's value, zero: none.
	RetryAfter time.Duration
	// Delay of an answer or an INVITE.
	Delay time.Duration
	// Device is the id of the device that it concerns; empty: all.
	Device string
}

// fault is one that has begun; guarded by Sim.mu.
type fault struct {
	Fault
	ends time.Time // zero: open
	left int       // -1: any number
}

var restFaults = []FaultKind{
	FaultRateLimit, FaultError, FaultBadGateway, FaultUnavailable, FaultSlow, FaultReset, FaultResetBefore, FaultTokenLost,
	FaultTokenExpired, FaultScopeMissing, FaultPermissionMissing, FaultWrongState,
}

var lastingFaults = append(slices.Clone(restFaults), FaultInviteLate, FaultInviteNever, FaultInviteTwice, FaultInvitesReversed, FaultDeviceOffline, FaultEventsLost)

var suddenFaults = []FaultKind{
	FaultBye, FaultFlowsCut, FaultProxyGone, FaultRegistrationGone, FaultFeedCut, FaultFeedSilent, FaultFeedForget, FaultSubscriptionsGone,
}

func (f *Fault) check() error {
	switch {
	case !slices.Contains(lastingFaults, f.Kind) && !slices.Contains(suddenFaults, f.Kind):
		return fmt.Errorf("fault %q: unknown", f.Kind)
	case f.After < 0 || f.For < 0 || f.Count < 0 || f.RetryAfter < 0 || f.Delay < 0:
		return fmt.Errorf("fault %s: want no negative time or count", f.Kind)
	case (f.Method != "" || f.Path != "") && !slices.Contains(restFaults, f.Kind):
		return fmt.Errorf("fault %s: method and path are for REST only", f.Kind)
	case f.Delay == 0 && (f.Kind == FaultSlow || f.Kind == FaultInviteLate):
		return fmt.Errorf("fault %s: no delay", f.Kind)
	case (f.Permission == "") == (f.Kind == FaultScopeMissing || f.Kind == FaultPermissionMissing):
		return fmt.Errorf("fault %s: permission is for %s and %s, which need it", f.Kind, FaultScopeMissing, FaultPermissionMissing)
	case f.For == 0 && f.Kind == FaultProxyGone:
		return fmt.Errorf("fault %s: it has to say for how long", f.Kind)
	}
	return nil
}

// Inject makes something go wrong, now or after Fault.After.
func (s *Sim) Inject(f Fault) error {
	if err := f.check(); err != nil {
		return fmt.Errorf("ringsim: %w", err)
	}
	if f.After > 0 {
		return s.enqueue(&injection{f})
	}
	s.begin(f)
	return nil
}

// Heal ends all faults that last.
func (s *Sim) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.world.faults = nil
}

// injection is the task that lets a fault begin in time.
type injection struct{ fault Fault }

func (i *injection) run(ctx context.Context, s *Sim) {
	t := time.NewTimer(i.fault.After)
	defer t.Stop()
	select {
	case <-t.C:
		s.begin(i.fault)
	case <-ctx.Done():
	}
}

func (s *Sim) begin(f Fault) {
	s.log.Info("fault begun", slog.String("reason", string(f.Kind)))
	if slices.Contains(lastingFaults, f.Kind) {
		b := &fault{Fault: f, left: f.Count}
		if f.Count == 0 {
			b.left = -1
		}
		if f.For > 0 {
			b.ends = time.Now().Add(f.For)
		}
		s.mu.Lock()
		s.world.faults = append(s.world.faults, b)
		s.mu.Unlock()
		return
	}
	switch f.Kind {
	case FaultFeedCut:
		s.CutFeed(CutNow)
	case FaultFeedSilent:
		s.CutFeed(CutSilent)
	case FaultFeedForget:
		s.CutFeed(CutForget)
	case FaultSubscriptionsGone:
		s.DropSubscriptions()
	case FaultProxyGone:
		s.trunk.Shun(f.For)
	default:
		s.toDevices(f)
	}
}

// toDevices does to the devices what a fault says.
func (s *Sim) toDevices(f Fault) {
	const taken = time.Minute
	for _, d := range s.cfg.Account.Devices {
		if d.UserName == "" || f.Device != "" && f.Device != d.ID {
			continue
		}
		switch f.Kind {
		case FaultBye:
			s.trunk.Hangup(d.UserName)
		case FaultFlowsCut:
			s.trunk.CutFlows(d.UserName)
		case FaultRegistrationGone:
			life := f.For
			if life == 0 {
				life = taken
			}
			s.trunk.Take(d.UserName, life)
		}
	}
}

// takeFaultLocked uses a fault of that kind up by one.
func (s *Sim) takeFaultLocked(kind FaultKind, now time.Time) *fault {
	return s.matchFaultLocked(now, func(f *fault) bool { return f.Kind == kind })
}

func (s *Sim) matchFaultLocked(now time.Time, match func(*fault) bool) *fault {
	w := &s.world
	w.faults = slices.DeleteFunc(w.faults, func(f *fault) bool { return f.left == 0 || !f.ends.IsZero() && now.After(f.ends) })
	for _, f := range w.faults {
		if match(f) {
			if f.left > 0 {
				f.left--
			}
			return f
		}
	}
	return nil
}

// restFault finds what goes wrong with a request, nil: nothing.
func (s *Sim) restFault(r *http.Request) *fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.matchFaultLocked(time.Now(), func(f *fault) bool {
		return slices.Contains(restFaults, f.Kind) && (f.Method == "" || strings.EqualFold(f.Method, r.Method)) && strings.Contains(r.URL.Path, f.Path) &&
			(f.Kind != FaultWrongState || strings.HasSuffix(r.URL.Path, "/supervise"))
	})
}

// instead answers a request whose work is not done; false: it is.
func (f *fault) instead(s *Sim, rq *request, rt route) bool {
	if f == nil {
		return false
	}
	status := 0
	var fail *apiError
	switch f.Kind {
	case FaultRateLimit:
		fail = refuse(http.StatusTooManyRequests, "CMN-301", "Request rate exceeded")
	case FaultError:
		fail = refuse(http.StatusInternalServerError, "CMN-203", "Internal server error")
	case FaultUnavailable:
		fail = refuse(http.StatusServiceUnavailable, "CMN-201", "Service temporary unavailable")
	case FaultBadGateway:
		status = http.StatusBadGateway
		rq.w.Header().Set("Content-Type", "text/html")
		rq.w.WriteHeader(status)
		_, _ = rq.w.Write([]byte("<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>\r\n"))
	case FaultResetBefore:
		reset(rq)
	case FaultScopeMissing:
		fail = noScope(f.Permission)
	case FaultPermissionMissing:
		fail = noPermission(f.Permission)
	case FaultWrongState:
		if fail = s.admit(rq, rt); fail == nil {
			fail = s.refuseTAS(http.StatusConflict, "TAS-106", "Incorrect party state")
		}
	case FaultTokenExpired:
		if !rt.open && s.authenticate(rq) == nil {
			s.mu.Lock()
			rq.login.current().accessEnds = rq.now
			s.mu.Unlock()
		}
		return false // authentication says the rest
	case FaultTokenLost:
		if !rt.open && s.authenticate(rq) == nil {
			s.mu.Lock()
			s.world.logins.live = slices.DeleteFunc(s.world.logins.live, func(l *login) bool { return l == rq.login })
			s.mu.Unlock()
		}
		return false // authentication says the rest
	default:
		return false
	}
	if fail != nil {
		status = fail.status
		fail.retryAfter = f.RetryAfter
		write(rq.w, status, fail.retryAfter, fail.body())
	}
	s.count(rt, status)
	return true
}

// after does what is wrong with an answer whose work is done; true: nothing is to be answered.
func (f *fault) after(s *Sim, rq *request, rt route) bool {
	if f == nil {
		return false
	}
	switch f.Kind {
	case FaultReset:
		s.count(rt, 0)
		reset(rq)
		return true
	case FaultSlow:
		t := time.NewTimer(f.Delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-rq.Context().Done():
		case <-s.stopped:
		}
	}
	return false
}

// reset ends the connection without an answer.
func reset(rq *request) {
	h, ok := rq.w.(http.Hijacker)
	if !ok {
		return
	}
	conn, _, err := h.Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(interface{ SetLinger(sec int) error }); ok {
		_ = tcp.SetLinger(0) // RST instead of FIN
	}
	_ = conn.Close()
}

// inviteFault holds an INVITE back, forbids it, or says how many more copies go out.
func (s *Sim) inviteFault(ctx context.Context, l *leg) (copies int, send bool) {
	now := time.Now()
	s.mu.Lock()
	user := l.supervisions[0].device
	take := func(kind FaultKind) *fault {
		return s.matchFaultLocked(now, func(f *fault) bool { return f.Kind == kind && (f.Device == "" || f.Device == user.ID) })
	}
	never, late, twice := take(FaultInviteNever), (*fault)(nil), (*fault)(nil)
	if never == nil {
		late, twice = take(FaultInviteLate), take(FaultInviteTwice)
	}
	s.mu.Unlock()
	if never != nil {
		s.log.Info("invite not sent", slog.String("call", l.session.id), slog.String("reason", string(FaultInviteNever)))
		return 0, false
	}
	if late != nil {
		t := time.NewTimer(late.Delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}
	if twice != nil {
		copies = 1
	}
	return copies, ctx.Err() == nil
}
