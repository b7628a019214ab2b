package endpoint_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
)

// faultTime bounds how long it takes until a call is heard again; the slowest is an INVITE that never comes: 10 s.
const faultTime = 30 * time.Second

// logText is a log that a test reads while it is written.
type logText struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logText) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.b.String(), text)
}

// heardSince says whether half a second of each party was sent to a dialog that lives, after some time.
func heardSince(c *ringsim.Call, since time.Time) bool {
	const enough = 25 // packets
	heard := map[string]bool{}
	for _, s := range c.Streams() {
		if closed(s.Dialog.Done()) {
			continue
		}
		n := 0
		for _, p := range s.Sent() {
			if p.Delivered && p.At.After(since) {
				n++
			}
		}
		heard[s.Party] = heard[s.Party] || n >= enough
	}
	return heard[c.AgentParty()] && heard[c.CustomerParty()]
}

// crowd runs subtests that mostly wait, more of them at once than there are cores.
type crowd struct {
	t    *testing.T
	room chan struct{}
	wg   sync.WaitGroup
}

func newCrowd(t *testing.T) *crowd {
	t.Helper()
	const most = 6
	return &crowd{t: t, room: make(chan struct{}, most)}
}

func (c *crowd) run(name string, f func(*testing.T)) {
	c.wg.Go(func() {
		c.room <- struct{}{}
		defer func() { <-c.room }()
		c.t.Run(name, f)
	})
}

// moment is when a fault begins.
type moment string

const (
	ringingFirst moment = "while it rings"
	inTheMiddle  moment = "in the middle of the call"
)

// others is what else can happen to a call, besides the simulator's faults.
type others func(t *testing.T, sim *ringsim.Sim, c *ringsim.Call)

// sixthLogin is five programs that log in beside us.
func sixthLogin(t *testing.T, sim *ringsim.Sim, _ *ringsim.Call) {
	t.Helper()
	env := dotEnv(sim)
	form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {env["RINGCENTRAL_JWT"]}}
	for range 5 {
		rq, err := http.NewRequestWithContext(t.Context(), http.MethodPost, sim.URL()+"/restapi/oauth/token", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		rq.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		rq.SetBasicAuth(env["RINGCENTRAL_CLIENT_ID"], env["RINGCENTRAL_CLIENT_SECRET"])
		rq.Close = true
		resp, err := http.DefaultClient.Do(rq)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("login: %s", resp.Status)
		}
	}
}

func TestEachFaultIsHealed(t *testing.T) {
	const supervise, short = "/supervise", 2 * time.Second
	worlds := newCrowd(t)
	defer worlds.wg.Wait()
	type fault = ringsim.Fault
	for _, tc := range []struct {
		fault ringsim.Fault
		when  moment
		log   string // what the user is told; empty: nothing has to be
		other others // instead of the fault, whose kind is its name
	}{
		{fault: fault{Kind: ringsim.FaultRateLimit, Path: supervise, Count: 1, RetryAfter: time.Second}, when: ringingFirst},
		{fault: fault{Kind: ringsim.FaultError, Path: supervise, Count: 2}, when: ringingFirst},
		{fault: fault{Kind: ringsim.FaultBadGateway, Path: supervise, Count: 2}, when: ringingFirst},
		{fault: fault{Kind: ringsim.FaultUnavailable, Path: supervise, Count: 2, RetryAfter: time.Second}, when: ringingFirst},
		{fault: fault{Kind: ringsim.FaultSlow, Path: supervise, Count: 2, Delay: 1500 * time.Millisecond}, when: ringingFirst},
		{fault: fault{Kind: ringsim.FaultReset, Path: supervise, Count: 2}, when: ringingFirst},
		{fault: fault{Kind: ringsim.FaultResetBefore, Path: supervise, Count: 2}, when: ringingFirst},
		{fault: fault{Kind: ringsim.FaultTokenLost, Path: supervise, Count: 1}, when: ringingFirst},
		{fault: fault{Kind: ringsim.FaultTokenExpired, Path: supervise, Count: 1}, when: ringingFirst},
		{fault: fault{Kind: "sixth login"}, other: sixthLogin, when: ringingFirst},
		{fault: fault{Kind: ringsim.FaultWrongState, Count: 3}, when: ringingFirst},
		{fault: fault{Kind: ringsim.FaultDeviceOffline, Count: 2}, when: ringingFirst},
		{fault: fault{Kind: ringsim.FaultInviteLate, Count: 2, Delay: short}, when: ringingFirst},
		{fault: fault{Kind: ringsim.FaultInviteNever, Count: 1}, when: ringingFirst, log: "cause=no_invite"},
		{fault: fault{Kind: ringsim.FaultInviteTwice, Count: 2}, when: ringingFirst},
		{fault: fault{Kind: ringsim.FaultInvitesReversed, Count: 1}, when: ringingFirst},
		{fault: fault{Kind: ringsim.FaultRegistrationGone, For: short}, when: ringingFirst, log: "cause=no_invite"},
		{fault: fault{Kind: ringsim.FaultProxyGone, For: short}, when: ringingFirst, log: "registration failed"},
		{fault: fault{Kind: ringsim.FaultFlowsCut}, when: ringingFirst, log: "registration failed"},
		{fault: fault{Kind: ringsim.FaultEventsLost, For: short}, when: ringingFirst},
		{fault: fault{Kind: ringsim.FaultFeedCut}, when: ringingFirst},
		{fault: fault{Kind: ringsim.FaultFeedForget}, when: ringingFirst},
		{fault: fault{Kind: ringsim.FaultFeedSilent}, when: ringingFirst},
		{fault: fault{Kind: ringsim.FaultSubscriptionsGone}, when: ringingFirst},

		{fault: fault{Kind: ringsim.FaultBye}, when: inTheMiddle, log: "dialog ended"},
		{fault: fault{Kind: ringsim.FaultFlowsCut}, when: inTheMiddle, log: "registration failed"},
		{fault: fault{Kind: ringsim.FaultProxyGone, For: short}, when: inTheMiddle, log: "registration failed"},
		{fault: fault{Kind: ringsim.FaultRegistrationGone, For: short}, when: inTheMiddle},
		{fault: fault{Kind: ringsim.FaultTokenLost, Count: 1}, when: inTheMiddle},
		{fault: fault{Kind: "sixth login"}, other: sixthLogin, when: inTheMiddle},
		{fault: fault{Kind: ringsim.FaultFeedForget}, when: inTheMiddle},
		{fault: fault{Kind: ringsim.FaultSubscriptionsGone}, when: inTheMiddle},
	} {
		worlds.run(fmt.Sprintf("%s %s", tc.fault.Kind, tc.when), func(t *testing.T) {
			log, dir := &logText{}, t.TempDir()
			cfg := ringsim.Config{Limits: plenty}
			cfg.Switches.InviteDelay = -1
			cfg.Switches.RefuseTwice = true // a second request for the same party is refused, and seen
			sim := ringsim.Start(t, cfg)
			// Without an event, or with one that nobody wants any more, only the look finds the call.
			ep, stop := listeningNotReady(t, sim, "tls", "party", dir, 5*time.Second, log)
			oracle.Eventually(t, faultTime, "registered, logged in and subscribed", func() bool { return ep.Ready() && sim.Subscribers() == 1 })
			c := ringing(t, sim, "108")
			if tc.when == inTheMiddle {
				c.Answer()
				oracle.Eventually(t, faultTime, "heard before the fault", func() bool { return heardSince(c, time.Time{}) })
			}
			if tc.other != nil {
				tc.other(t, sim, c)
			} else {
				inject(t, sim, tc.fault)
			}
			since := time.Now()
			c.Answer()
			oracle.Eventually(t, faultTime, "heard after the fault", func() bool { return heardSince(c, since) })
			t.Logf("heard after %v", time.Since(since))
			if tc.log != "" && !log.has(tc.log) {
				t.Errorf("the log does not say %q", tc.log)
			}
			c.HangupBy(ringsim.RoleCustomer)
			oracle.Eventually(t, faultTime, "the end of the call", func() bool { return closed(c.Done()) })
			stop()
			if n := sim.Requested("POST", partySupervise); n > most(tc.fault) {
				t.Errorf("%d requests to supervise, want at most %d", n, most(tc.fault))
			}
			for _, r := range sim.Requests() {
				if r.Pattern == partySupervise && r.Status == http.StatusConflict && tc.fault.Kind != ringsim.FaultWrongState {
					t.Errorf("%d requests for a party that was asked for already", r.Count)
				}
			}
			compareParts(t, c, dir)
			endsAreNamed(t, dir)
		})
	}
}

// most is how many requests to supervise both parties a fault may cost: those that it spoils, and two for each time the call is
// heard. One whose answer was lost, or whose INVITE is late, is not repeated.
func most(f ringsim.Fault) int {
	switch f.Kind {
	case ringsim.FaultReset, ringsim.FaultSlow, ringsim.FaultInviteLate, ringsim.FaultInviteTwice, ringsim.FaultInvitesReversed,
		ringsim.FaultEventsLost:
		return 2
	case ringsim.FaultBye, ringsim.FaultRegistrationGone, ringsim.FaultTokenLost, ringsim.FaultTokenExpired, "sixth login":
		return 4
	case ringsim.FaultDeviceOffline, ringsim.FaultWrongState:
		return 4 + f.Count // both parties wait for what one of them ran into
	default:
		return 2 + f.Count
	}
}

func closed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// endsAreNamed fails the test unless each dialog's end stands in the recording with its cause: what lies between two dialogs
// is a gap with that cause.
func endsAreNamed(t *testing.T, dir string) {
	t.Helper()
	for _, r := range oracle.All(t, dir) {
		b, err := os.ReadFile(filepath.Join(r.Dir, "events.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		answered, ended := map[string]bool{}, map[string]string{}
		for line := range bytes.Lines(b) {
			var e struct{ Type, Leg, Cause string }
			if err := json.Unmarshal(line, &e); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			switch e.Type {
			case "leg_answered":
				answered[e.Leg] = true
			case "leg_ended":
				ended[e.Leg] = e.Cause
			}
		}
		for leg := range answered {
			if ended[leg] == "" {
				t.Errorf("%s: dialog %s has no end with a cause", r.Dir, leg)
			}
		}
		if len(answered) == 0 {
			t.Errorf("%s: no dialog was answered", r.Dir)
		}
	}
}

// compareParts finds each stream of a call in the recordings, in its place.
func compareParts(t *testing.T, c *ringsim.Call, dir string) {
	t.Helper()
	streams := slices.DeleteFunc(c.Streams(), func(s ringsim.Stream) bool { return len(s.Sent()) == 0 })
	found := 0
	for _, r := range oracle.All(t, dir) {
		var of []ringsim.Stream
		for _, s := range streams {
			ssrc := s.Sent()[0].SSRC
			if slices.ContainsFunc(r.Tracks, func(k oracle.Track) bool { return len(k.Epochs) > 0 && k.Epochs[0].SSRC == ssrc }) {
				of = append(of, s)
			}
		}
		found += len(of)
		oracle.Compare(t, r.Dir, of, r, oracle.Limits{ApartSamples: 400})
	}
	if found != len(streams) {
		t.Errorf("%d streams are in the recordings, %d were sent", found, len(streams))
	}
}

func TestAHumansPlaceIsWaitedFor(t *testing.T) {
	t.Parallel()
	log, dir := &logText{}, t.TempDir()
	cfg := ringsim.Config{Limits: plenty}
	cfg.Switches.InviteDelay = -1
	sim := ringsim.Start(t, cfg)
	ep, stop := listening(t, sim, "udp", "party", dir, log)
	c := ringing(t, sim, "108")
	c.Answer()
	if err := c.Occupy(""); err != nil {
		t.Fatal(err)
	}
	oracle.Eventually(t, faultTime, "the cause occupied", func() bool {
		w := ep.Status().Waiting
		return len(w) == 1 && strings.HasPrefix(w[0].Cause, "occupied: ") && log.has("cause=occupied")
	})
	asked := sim.Requested("POST", partySupervise)
	if err := c.Vacate(); err != nil {
		t.Fatal(err)
	}
	since := time.Now()
	oracle.Eventually(t, faultTime, "heard after the human", func() bool { return heardSince(c, since) })
	if n := sim.Requested("POST", partySupervise) - asked; n != 2 {
		t.Errorf("%d requests for two parties that have become free", n)
	}
	c.Hangup()
	stop()
	compareParts(t, c, dir)
}

func TestMissingRightsAreNamedWithWhatToDo(t *testing.T) {
	for name, tc := range map[string]struct {
		take func(*ringsim.Config)
		want []string // in the log or the status
	}{
		"scope CallControl": {
			func(c *ringsim.Config) { c.NoScopes = []string{"CallControl"} },
			[]string{"CMN-401", "request it from RingCentral's developer support"},
		},
		"scope ReadPresence": {
			func(c *ringsim.Config) { c.NoScopes = []string{"ReadPresence"} },
			[]string{"CMN-401", "ReadPresence", "tick the named scope"},
		},
		"permission ReadPresenceStatus": {
			func(c *ringsim.Config) { c.NoPermissions = []string{"ReadPresenceStatus"} },
			[]string{"CMN-408", "ReadPresenceStatus", "give the supervisor the named permission"},
		},
		"permission ReadCompanyDevices": {
			func(c *ringsim.Config) { c.NoPermissions = []string{"ReadCompanyDevices"} },
			[]string{"CMN-408", "ReadCompanyDevices", "give the supervisor the named permission"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := &logText{}
			cfg := ringsim.Config{Limits: plenty}
			tc.take(&cfg)
			sim := ringsim.Start(t, cfg)
			ep, stop := listeningNotReady(t, sim, "udp", "party", t.TempDir(), time.Second, log)
			defer stop()
			ringing(t, sim, "108").Answer()
			for _, text := range tc.want {
				oracle.Eventually(t, faultTime, text, func() bool {
					return log.has(text) || strings.Contains(fmt.Sprint(ep.Status().Checks, ep.Status().Waiting), text)
				})
			}
		})
	}
}

func TestShortTokensAreRenewedBeforeTheyExpire(t *testing.T) {
	t.Parallel()
	cfg := ringsim.Config{Limits: plenty}
	cfg.Switches.InviteDelay, cfg.Switches.AccessTTL = -1, 3*time.Second
	sim := ringsim.Start(t, cfg)
	ep, stop := listeningNotReady(t, sim, "udp", "party", t.TempDir(), 200*time.Millisecond)
	oracle.Eventually(t, faultTime, "registered and logged in", ep.Ready)
	logins := func() int { return sim.Requested("POST", "/restapi/oauth/token") }
	oracle.Eventually(t, faultTime, "three logins", func() bool { return logins() >= 3 })
	c := ringing(t, sim, "108")
	c.Answer()
	oracle.Eventually(t, faultTime, "heard", func() bool { return heardSince(c, time.Time{}) })
	c.Hangup()
	stop()
	for _, r := range sim.Requests() {
		if r.Status == http.StatusUnauthorized {
			t.Errorf("%s %s: %d requests with an expired token", r.Method, r.Pattern, r.Count)
		}
	}
}
