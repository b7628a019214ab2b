package endpoint_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/endpoint"
	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
	"github.com/earshot/earshot/internal/ringsim/trunk"
)

// says tells whether the log, a check that fails or the cause of a call that is not heard has all the texts.
func says(ep *endpoint.Endpoint, log *logText, texts ...string) bool {
	st := ep.Status()
	shown := fmt.Sprint(st.Checks, st.Waiting)
	return !slices.ContainsFunc(texts, func(t string) bool { return !log.has(t) || !strings.Contains(shown, t) })
}

// healthy tells whether no check fails.
func healthy(ep *endpoint.Endpoint) bool {
	return !slices.ContainsFunc(ep.Status().Checks, func(c endpoint.Check) bool { return !c.OK })
}

const (
	developer = "request it from RingCentral's developer support"
	portal    = "give the supervisor the named permission"
	tick      = "tick the named scope"
)

// TestRightsThatAreTakenAwayAreNamedAndTheCallIsHeardOnceTheyAreBack: the call that suffered is heard itself, for the rest.
func TestRightsThatAreTakenAwayAreNamedAndTheCallIsHeardOnceTheyAreBack(t *testing.T) {
	for name, tc := range map[string]struct {
		fault ringsim.Fault
		want  []string // in the log, and in the status while it lasts
	}{
		"scope, at sessions": {
			ringsim.Fault{Kind: ringsim.FaultScopeMissing, Permission: "CallControl", Path: "/telephony/sessions/"}, []string{"CMN-401", "CallControl", developer},
		},
		"permission, at sessions": {
			ringsim.Fault{Kind: ringsim.FaultPermissionMissing, Permission: "MonitorCalls", Path: "/telephony/sessions/"},
			[]string{"CMN-408", "MonitorCalls", portal},
		},
		"scope, at presence": {
			ringsim.Fault{Kind: ringsim.FaultScopeMissing, Permission: "ReadPresence", Path: "/account/~/presence"},
			[]string{"CMN-401", "ReadPresence", tick},
		},
		"permission, at presence": {
			ringsim.Fault{Kind: ringsim.FaultPermissionMissing, Permission: "ReadPresenceStatus", Path: "/account/~/presence"},
			[]string{"CMN-408", "ReadPresenceStatus", portal},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log, dir := &logText{}, t.TempDir()
			cfg := ringsim.Config{Limits: plenty}
			cfg.Switches.InviteDelay = -1
			sim := ringsim.Start(t, cfg)
			ep, stop := listeningNotReady(t, sim, "udp", "party", dir, time.Second, log)
			oracle.Eventually(t, faultTime, "registered, logged in and subscribed", func() bool { return ep.Ready() && sim.Subscribers() == 1 })
			inject(t, sim, tc.fault)
			c := ringing(t, sim, "108")
			c.Answer()
			oracle.Eventually(t, faultTime, strings.Join(tc.want, ", "), func() bool { return says(ep, log, tc.want...) })
			sim.Heal()
			since := time.Now()
			oracle.Eventually(t, faultTime, "heard with the right", func() bool { return heardSince(c, since) })
			oracle.Eventually(t, faultTime, "no check that fails", func() bool { return healthy(ep) && len(ep.Status().Waiting) == 0 })
			c.Hangup()
			oracle.Eventually(t, faultTime, "the end of the call", func() bool { return closed(c.Done()) })
			stop()
			compareParts(t, c, dir)
		})
	}
}

// TestACallThatIsRefusedForARightIsMissedWithItsNameAndTheNextOneIsHeard: what was refused for a right is not asked for again.
func TestACallThatIsRefusedForARightIsMissedWithItsNameAndTheNextOneIsHeard(t *testing.T) {
	for kind, hint := range map[ringsim.FaultKind]string{ringsim.FaultScopeMissing: developer, ringsim.FaultPermissionMissing: portal} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			log, dir := &logText{}, t.TempDir()
			cfg := ringsim.Config{Limits: plenty}
			cfg.Switches.InviteDelay = -1
			sim := ringsim.Start(t, cfg)
			ep, stop := listening(t, sim, "udp", "party", dir, log)
			inject(t, sim, ringsim.Fault{Kind: kind, Permission: "CallControl", Path: "/supervise"})
			missed := ringing(t, sim, "108")
			missed.Answer()
			oracle.Eventually(t, faultTime, "why it is not heard", func() bool { return says(ep, log, "refused", "CallControl", hint) })
			missed.Hangup()
			oracle.Eventually(t, faultTime, "missed", func() bool { return len(ep.Status().Waiting) == 0 && log.has("call missed") })
			if n := sim.Requested("POST", partySupervise); n != 2 {
				t.Errorf("%d requests that were refused, want one for each party", n)
			}
			sim.Heal()
			next := ringing(t, sim, "108")
			next.Answer()
			oracle.Eventually(t, faultTime, "the next one heard", func() bool { return heardSince(next, time.Time{}) })
			next.Hangup()
			oracle.Eventually(t, faultTime, "the end of the call", func() bool { return closed(next.Done()) })
			stop()
			all := oracle.ByCall(t, dir)
			if r, ok := all[missed.SessionID()]; !ok || r.State != "no_media" || r.Cause != "refused" || !strings.Contains(r.CauseText, "CallControl") || !strings.Contains(r.CauseText, hint) {
				t.Errorf("record of the missed call: %v, %s, cause %s %q, want no_media, refused, with scope and hint", ok, r.State, r.Cause, r.CauseText)
			}
			oracle.CompareCall(t, next, all[next.SessionID()])
		})
	}
}

// TestAStreamThatLeaksIsRecordedAsItWasSent: nothing of the other party is taken out, or added.
func TestAStreamThatLeaksIsRecordedAsItWasSent(t *testing.T) {
	t.Parallel()
	const decibels = 20
	dir := t.TempDir()
	cfg := ringsim.Config{Limits: plenty, Leak: decibels}
	cfg.Switches.InviteDelay = -1
	sim := ringsim.Start(t, cfg)
	_, stop := listening(t, sim, "udp", "party", dir)
	for _, form := range []ringsim.Form{ringsim.FormTwoDialogs, ringsim.FormTwoLines} {
		c, err := sim.StartCall(ringsim.CallSpec{Agent: "108", Form: form, CustomerAudio: ringsim.Music{}, AgentAudio: trunk.Silence{}})
		if err != nil {
			t.Fatal(err)
		}
		oracle.Eventually(t, faultTime, "heard", func() bool { return heardSince(c, time.Now().Add(-time.Second)) && len(c.Streams()) == 2 })
		c.Hangup()
		oracle.Eventually(t, faultTime, "the end of the call", func() bool { return closed(c.Done()) })
		oracle.Eventually(t, faultTime, "its recording", func() bool {
			sealed, unsealed := oracle.Folders(t, dir)
			return len(unsealed) == 0 && slices.ContainsFunc(sealed, func(f string) bool { return strings.HasSuffix(f, c.SessionID()) })
		})
		r := oracle.ByCall(t, dir)[c.SessionID()]
		oracle.CompareCall(t, c, r)
		level := map[string]float64{}
		for _, k := range r.Tracks {
			level[k.Role] = rms(r.PCM[k.Channel])
		}
		if got := 20 * math.Log10(level["customer"]/level["agent"]); math.Abs(got-decibels) > 3 {
			t.Errorf("%s: the customer's leak into the agent's channel is %.1f dB below, want %d", form, got, decibels)
		}
	}
	stop()
}

// rms is the level of some samples.
func rms(pcm []int16) float64 {
	sum := 0.0
	for _, v := range pcm {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum / float64(len(pcm)))
}
