package endpoint_test

import (
	"fmt"
	"maps"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/earshot/earshot/endpoint"
	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
)

// plenty are request rates that no test reaches.
var plenty = ringsim.Limits{Light: 10000, Medium: 10000, Heavy: 10000, Auth: 10000} //nolint:gochecknoglobals // constant

// verbatim is RingCentral's own part of a cause: status, code and text, which are shown as they came.
var verbatim = regexp.MustCompile(`: \d{3} [A-Z]{3}-\d+: [^;]*`)

const partySupervise = "/restapi/v1.0/account/{account}/telephony/sessions/{session}/parties/{party}/supervise"

// refusals counts the requests for a party that were refused.
func refusals(sim *ringsim.Sim) (n int) {
	for _, r := range sim.Requests() {
		if r.Pattern == partySupervise && r.Status != 200 {
			n += r.Count
		}
	}
	return n
}

// advice waits until each of the agents' calls has a cause, and gives it without what RingCentral itself said. Each code that
// is shown is one of RingCentral's, as it came.
func advice(t *testing.T, ep *endpoint.Endpoint, who map[string]string) map[string]string {
	t.Helper()
	out := map[string]string{}
	oracle.Eventually(t, 15*time.Second, fmt.Sprintf("%d causes", len(who)), func() bool {
		clear(out)
		for _, w := range ep.Status().Waiting {
			if name := who[w.Agent]; name != "" && w.Cause != "" {
				out[name] = w.Cause
			}
		}
		return len(out) == len(who)
	})
	for name, cause := range out {
		if !verbatim.MatchString(cause) && !strings.HasPrefix(cause, "occupied: ") {
			t.Errorf("%s: %q does not show what RingCentral said", name, cause)
		}
		// What was seen of the first refusal names this world's ids; who is looked into first is a matter of order.
		cause, _, _ = strings.Cut(cause, "; looked: ")
		out[name] = verbatim.ReplaceAllString(cause, ": (RingCentral)")
	}
	return out
}

func ringing(t *testing.T, sim *ringsim.Sim, agent string) *ringsim.Call {
	t.Helper()
	c, err := sim.StartCall(ringsim.CallSpec{Agent: agent, Ringing: true})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func inject(t *testing.T, sim *ringsim.Sim, f ringsim.Fault) {
	t.Helper()
	if err := sim.Inject(f); err != nil {
		t.Fatal(err)
	}
}

// refusedFor plays what can't be heard: the agent is in no group, a human holds the place, the party's state is wrong for good.
func refusedFor(t *testing.T, cfg ringsim.Config) map[string]string {
	t.Helper()
	sim := ringsim.Start(t, cfg)
	ep, stop := listening(t, sim, "udp", "party", t.TempDir())
	defer stop()
	all := sim.Account().Groups[0].Members
	if err := sim.SetMembers(ringsim.DefaultGroupID, all[:len(all)-1]); err != nil { // without 110
		t.Fatal(err)
	}
	wrong, occupied, stranger := ringing(t, sim, "108"), ringing(t, sim, "109"), ringing(t, sim, "110")
	inject(t, sim, ringsim.Fault{Kind: ringsim.FaultWrongState, Path: wrong.SessionID()})
	for _, c := range []*ringsim.Call{wrong, occupied, stranger} {
		c.Answer()
	}
	if err := occupied.Occupy(""); err != nil {
		t.Fatal(err)
	}
	return advice(t, ep, map[string]string{"108": "wrong state", "109": "occupied", "110": "not in a group"})
}

// heardAtLast plays what can be heard in the end: the telephony side lags, and a third person makes the form of a party illegal.
func heardAtLast(t *testing.T, cfg ringsim.Config) map[string]string {
	t.Helper()
	sim := ringsim.Start(t, cfg)
	_, stop := listening(t, sim, "udp", "party", t.TempDir())
	defer stop()
	lags, three := ringing(t, sim, "108"), ringing(t, sim, "109")
	inject(t, sim, ringsim.Fault{Kind: ringsim.FaultWrongState, Path: lags.SessionID(), Count: 3})
	lags.Answer()
	if err := lags.WaitSupervised(t.Context()); err != nil {
		t.Errorf("the telephony side lagged: %v", err)
	}
	if n := refusals(sim); n != 3 {
		t.Errorf("%d requests were refused, want 3", n)
	}
	inject(t, sim, ringsim.Fault{Kind: ringsim.FaultWrongState, Path: three.SessionID() + "/parties/"})
	three.Answer()
	oracle.Eventually(t, 10*time.Second, "a refusal of a party", func() bool { return refusals(sim) > 3 })
	if _, err := three.AddParty(ringsim.PartySpec{Number: "+14155550199"}); err != nil {
		t.Fatal(err)
	}
	if err := three.WaitSupervised(t.Context()); err != nil {
		t.Errorf("a third person has come: %v", err)
	}
	out := map[string]string{}
	for name, c := range map[string]*ringsim.Call{"lag": lags, "three": three} {
		for _, d := range c.Dialogs() {
			out[name] += fmt.Sprintf("dialog for %d parties;", len(d.Monitored))
		}
	}
	return out
}

// offline plays a device that RingCentral takes for offline though it is registered.
func offline(t *testing.T, cfg ringsim.Config) map[string]string {
	t.Helper()
	sim := ringsim.Start(t, cfg)
	ep, stop := listening(t, sim, "udp", "party", t.TempDir())
	defer stop()
	c := ringing(t, sim, "108")
	inject(t, sim, ringsim.Fault{Kind: ringsim.FaultDeviceOffline})
	c.Answer()
	return advice(t, ep, map[string]string{"108": "device offline"})
}

func TestAdviceHangsOnNoCode(t *testing.T) {
	const seeds = 6 // besides 0, with the codes of ringsim's doc.go
	var mu sync.Mutex
	worlds := [seeds + 1]map[string]string{}
	all := newCrowd(t)
	for seed := range uint64(seeds + 1) {
		worlds[seed] = map[string]string{}
		cfg := ringsim.Config{Limits: plenty}
		cfg.Switches.RandomCodes, cfg.Switches.RandomStatus, cfg.Switches.InviteDelay = seed, seed > 0, -1
		for name, play := range map[string]func(*testing.T, ringsim.Config) map[string]string{
			"refused": refusedFor, "heard": heardAtLast, "offline": offline,
		} {
			all.run(fmt.Sprintf("%s/%d", name, seed), func(t *testing.T) {
				out := play(t, cfg)
				mu.Lock()
				defer mu.Unlock()
				maps.Copy(worlds[seed], out)
			})
		}
	}
	all.wg.Wait()
	for seed, w := range worlds {
		if diff := cmp.Diff(worlds[0], w); diff != "" || len(w) != 6 {
			t.Errorf("seed %d: %d cases, want 6; made-up codes, random ones:\n%s", seed, len(w), diff)
		}
	}
}
