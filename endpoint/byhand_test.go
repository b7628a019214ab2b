package endpoint_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/endpoint"
	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
	"github.com/earshot/earshot/supervise"
)

// unlimited is a RingCentral that does not count requests.
func unlimited(t *testing.T, change func(*ringsim.Config)) *ringsim.Sim {
	t.Helper()
	cfg := ringsim.Config{Limits: ringsim.Unlimited}
	if change != nil {
		change(&cfg)
	}
	return ringsim.Start(t, cfg)
}

// begin starts a call.
func begin(t *testing.T, sim *ringsim.Sim, spec ringsim.CallSpec) *ringsim.Call {
	t.Helper()
	c, err := sim.StartCall(spec)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// waiting gives the state of a call that is not heard; empty: it is not among them.
func waiting(ep *endpoint.Endpoint, session string) string {
	for _, w := range ep.Status().Waiting {
		if w.ID == session {
			return w.State + " " + w.Cause
		}
	}
	return ""
}

// talks waits until a call has as many live dialogs and a second of audio.
func talks(t *testing.T, ep *endpoint.Endpoint, session string, tracks int) {
	t.Helper()
	oracle.Eventually(t, 30*time.Second, "audio of "+session, func() bool {
		for _, c := range ep.Status().Calls {
			if c.ID != session || len(c.Tracks) < tracks {
				continue
			}
			return !slices.ContainsFunc(c.Tracks, func(k endpoint.TrackStatus) bool { return k.Seconds < 1 })
		}
		return false
	})
}

// byHand does a wish and gives its steps as "number name ok".
func byHand(t *testing.T, ep *endpoint.Endpoint, w supervise.Wish) (steps []supervise.Step, call string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	call, err = ep.Supervise(ctx, w, func(st supervise.Step) { steps = append(steps, st) })
	return steps, call, err
}

func names(steps []supervise.Step) string {
	var out []string
	for _, st := range steps {
		name := st.Name
		if !st.OK {
			name += "!"
		}
		out = append(out, name)
	}
	return strings.Join(out, " ")
}

const (
	superviseSession = "/restapi/v1.0/account/{account}/telephony/sessions/{session}/supervise"
	superviseParty   = "/restapi/v1.0/account/{account}/telephony/sessions/{session}/parties/{party}/supervise"
)

func TestSuperviseByHandOverrulesPolicyAndAsksOnce(t *testing.T) {
	dir := t.TempDir()
	sim := unlimited(t, nil)
	ep, stop := listening(t, sim, "tls", "party", dir)
	// An internal call: policy leaves it alone.
	c := begin(t, sim, ringsim.CallSpec{Agent: "108", Peer: "110"})
	oracle.Eventually(t, 10*time.Second, "excused", func() bool { return strings.HasPrefix(waiting(ep, c.SessionID()), "excused") })
	steps, id, err := byHand(t, ep, supervise.Wish{Agent: "108"})
	if err != nil || id != c.SessionID() || names(steps) != "agent presence device request request invite invite check" {
		t.Fatalf("got %s, %s, %v", names(steps), id, err)
	}
	for _, st := range steps {
		if st.Name == "invite" && st.Dialog == "" {
			t.Errorf("%+v: want the dialog named", st)
		}
	}
	talks(t, ep, id, 2)
	if steps, _, err = byHand(t, ep, supervise.Wish{Agent: "108", Mode: "session"}); err != nil || names(steps) != "agent presence device request invite invite check" {
		t.Errorf("heard already: got %s, %v", names(steps), err)
	}
	if n := sim.Requested("POST", superviseParty); n != 2 {
		t.Errorf("%d supervise requests, want one a party", n)
	}
	c.Hangup()
	<-c.Done()
	stop()
	oracle.CompareCall(t, c, oracle.ByCall(t, dir)[id])
}

func TestSuperviseByHandHearsAnAgentWhoIsNotMonitored(t *testing.T) {
	dir := t.TempDir()
	sim := unlimited(t, func(c *ringsim.Config) { c.Agents = 5 })
	ep, stop := listening(t, sim, "tls", "party", dir)
	other := begin(t, sim, ringsim.CallSpec{Agent: "112", Outbound: true})
	steps, id, err := byHand(t, ep, supervise.Wish{Agent: "112", Mode: "session"})
	if err != nil || names(steps) != "agent presence device request invite check" {
		t.Fatalf("got %s, %v", names(steps), err)
	}
	talks(t, ep, id, 1)
	sim.Inject(ringsim.Fault{Kind: ringsim.FaultBye}) //nolint:errcheck // a fault that is known
	oracle.Eventually(t, 10*time.Second, "joined again after a BYE out of nowhere", func() bool { return sim.Requested("POST", superviseSession) == 2 })
	talks(t, ep, id, 2)
	other.Hangup()
	<-other.Done()
	next := begin(t, sim, ringsim.CallSpec{Agent: "112"})
	mine := begin(t, sim, ringsim.CallSpec{Agent: "108"})
	if err := mine.WaitSupervised(t.Context()); err != nil {
		t.Fatal(err)
	}
	if waiting(ep, next.SessionID()) != "" || sim.Requested("POST", superviseSession) != 2 {
		t.Error("the next call of an agent who is not monitored: want it left alone")
	}
	next.Hangup()
	mine.Hangup()
	<-mine.Done()
	stop()
}

func TestSuperviseByHandSaysWhatIsWrong(t *testing.T) {
	sim := unlimited(t, func(c *ringsim.Config) {
		c.Agents = 3
		c.Account = ringsim.DefaultAccount(3)
		members := c.Account.Groups[0].Members
		c.Account.Groups[0].Members = members[:len(members)-1] // nobody may monitor 110
	})
	ep, stop := listening(t, sim, "tls", "party", t.TempDir())
	defer stop()
	idle, _, err := byHand(t, ep, supervise.Wish{Agent: "109"})
	if !errors.Is(err, supervise.ErrIdle) || names(idle) != "agent presence!" {
		t.Errorf("no call: got %s, %v", names(idle), err)
	}
	if steps, _, err := byHand(t, ep, supervise.Wish{Agent: "999"}); err == nil || names(steps) != "agent!" {
		t.Errorf("no such extension: got %s, %v", names(steps), err)
	}
	if steps, _, err := byHand(t, ep, supervise.Wish{Agent: "101"}); err == nil || names(steps) != "agent!" {
		t.Errorf("the supervisor himself: got %s, %v", names(steps), err)
	}
	c := begin(t, sim, ringsim.CallSpec{Agent: "110"})
	steps, _, err := byHand(t, ep, supervise.Wish{Agent: "110"})
	last := steps[len(steps)-1]
	if err == nil || last.OK || !strings.Contains(last.Text, "403 TAS-112: Supervision is not permitted") || last.Code != "TAS-112" {
		t.Errorf("got %v; last step %+v, want RingCentral's code and words", err, last)
	}
	for _, want := range []string{"device 802636634016 of extension 101 is Online", "no call monitoring group", "the agent's party"} {
		if !strings.Contains(last.Hint, want) {
			t.Errorf("hint: got %q, want %q in it", last.Hint, want)
		}
	}
	c.Hangup()
}

func TestSupervisingAHeldCallIsDoneWhenItIsTakenUpAgain(t *testing.T) {
	sim := unlimited(t, nil)
	ep, stop := listening(t, sim, "udp", "party", t.TempDir())
	defer stop()
	c := begin(t, sim, ringsim.CallSpec{Agent: "108", Peer: "110"}) // an internal call
	oracle.Eventually(t, 10*time.Second, "excused", func() bool { return strings.HasPrefix(waiting(ep, c.SessionID()), "excused") })
	c.Hold()
	steps, _, err := byHand(t, ep, supervise.Wish{Agent: "108"})
	if err == nil || !strings.Contains(err.Error(), "the agent holds the call") || names(steps) != "agent presence device invite!" {
		t.Errorf("got %s, %v, want that it is held", names(steps), err)
	}
	c.Resume()
	if err := c.WaitSupervised(t.Context()); err != nil {
		t.Error(err)
	}
	c.Hangup()
	<-c.Done()
}

func TestSuperviseByHandSaysThatNoInviteCame(t *testing.T) {
	sim := unlimited(t, nil)
	if err := sim.Inject(ringsim.Fault{Kind: ringsim.FaultInviteNever}); err != nil {
		t.Fatal(err)
	}
	ep, stop := listeningAs(t, sim, t.TempDir(), func(c *endpoint.Config) {
		c.Supervisors[0].RingCentral.InviteWithin, c.Supervisors[0].RingCentral.Agents = 500*time.Millisecond, nil
	})
	defer stop()
	c := begin(t, sim, ringsim.CallSpec{Agent: "108"})
	steps, _, err := byHand(t, ep, supervise.Wish{Agent: "108", Mode: "session"})
	if err == nil || !strings.Contains(err.Error(), "no_invite: RingCentral granted the request, and no INVITE came") || names(steps) != "agent presence device request invite!" {
		t.Errorf("got %s, %v", names(steps), err)
	}
	if h := steps[len(steps)-1].Hint; !strings.Contains(h, "device 802636634016 of extension 101 is Online") || !strings.Contains(h, "lets extension 101 monitor agent 108") {
		t.Errorf("hint: %q, want what there is to see", h)
	}
	c.Hangup()
	<-c.Done()
}

func TestReleaseGivesThePlaceToAHumanAndTakesItBackWhenHeLeaves(t *testing.T) {
	dir := t.TempDir()
	sim := unlimited(t, nil)
	ep, stop := listening(t, sim, "tls", "party", dir)
	c := begin(t, sim, ringsim.CallSpec{Agent: "108"})
	if err := c.WaitSupervised(t.Context()); err != nil {
		t.Fatal(err)
	}
	id := c.SessionID()
	talks(t, ep, id, 2)
	if err := c.Occupy("109"); err == nil {
		t.Fatal("a human beside earshot: RingCentral allows one")
	}
	released, err := ep.Release(t.Context(), id, "")
	if err != nil || len(released) != 1 || !released[0].Heard || released[0].Agent != "108" {
		t.Fatalf("release: got %+v, %v", released, err)
	}
	oracle.Eventually(t, 5*time.Second, "sealed as it stands", func() bool {
		sealed, open := oracle.Folders(t, dir)
		return len(sealed) == 1 && len(open) == 0
	})
	if r := oracle.ByCall(t, dir)[id]; r.State != "recorded" || r.Cause != "released" || r.Samples <= 8000 {
		t.Errorf("recording: %s, cause %s, %d samples, want it to end as released", r.State, r.Cause, r.Samples)
	}
	oracle.Eventually(t, 5*time.Second, "released in the status", func() bool { return strings.HasPrefix(waiting(ep, id), "released") })
	asked := sim.Requested("POST", superviseParty)
	if err := c.Occupy("109"); err != nil {
		t.Fatal(err)
	}
	oracle.Eventually(t, 25*time.Second, "the human is seen", func() bool { return strings.Contains(waiting(ep, id), "a human listens") })
	if n := sim.Requested("POST", superviseParty); n != asked {
		t.Errorf("%d requests while the place is a human's", n-asked)
	}
	if err := c.Vacate(); err != nil {
		t.Fatal(err)
	}
	oracle.Eventually(t, 25*time.Second, "heard again", func() bool { return sim.Requested("POST", superviseParty) == asked+2 })
	talks(t, ep, id, 2)
	c.Hangup()
	<-c.Done()
	stop()
	parts := 0
	for _, r := range oracle.All(t, dir) {
		if r.Call.ID == id {
			parts++
		}
	}
	if parts != 2 {
		t.Errorf("%d parts, want 2", parts)
	}
}

func TestReleasedCallIsHeardAgainByHand(t *testing.T) {
	sim := unlimited(t, nil)
	ep, stop := listening(t, sim, "udp", "session", t.TempDir())
	defer stop()
	c := begin(t, sim, ringsim.CallSpec{Agent: "108"})
	if err := c.WaitSupervised(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := ep.Release(t.Context(), "", "108"); err != nil {
		t.Fatal(err)
	}
	if _, err := ep.Release(t.Context(), "", "109"); !errors.Is(err, endpoint.ErrNoCall) {
		t.Errorf("an agent without a call: got %v, want ErrNoCall", err)
	}
	if steps, _, err := byHand(t, ep, supervise.Wish{Agent: "108"}); err != nil || names(steps) != "agent presence device request invite check" {
		t.Errorf("got %s, %v", names(steps), err)
	}
	c.Hangup()
	<-c.Done()
}

func TestPlaceThatAHumanHoldsIsTakenWhenHeLeaves(t *testing.T) {
	dir := t.TempDir()
	sim := unlimited(t, nil)
	c := begin(t, sim, ringsim.CallSpec{Agent: "108"})
	id := c.SessionID()
	if err := c.Occupy("109"); err != nil {
		t.Fatal(err)
	}
	ep, stop := listening(t, sim, "tls", "party", dir)
	oracle.Eventually(t, 20*time.Second, "occupied", func() bool { return strings.Contains(waiting(ep, id), "occupied") })
	steps, _, err := byHand(t, ep, supervise.Wish{Agent: "108"})
	if err == nil || !strings.Contains(err.Error(), "occupied") || !strings.HasSuffix(names(steps), "invite!") {
		t.Errorf("supervise by hand: got %s, %v, want that another supervisor listens", names(steps), err)
	}
	if err := c.Vacate(); err != nil {
		t.Fatal(err)
	}
	left := time.Now()
	oracle.Eventually(t, 25*time.Second, "joined", func() bool { return len(ep.Status().Calls) == 1 })
	t.Logf("joined %v after the human left", time.Since(left))
	talks(t, ep, id, 2)
	c.Hangup()
	<-c.Done()
	stop()
	oracle.CompareCall(t, c, oracle.ByCall(t, dir)[id])
}

func TestStepsStandInTheDocumentsOrderHoweverTheInvitesCome(t *testing.T) {
	for name, change := range map[string]func(*ringsim.Config){
		"invite first":  func(c *ringsim.Config) { c.Switches.InviteFirst = true },
		"reversed":      func(c *ringsim.Config) { c.Switches.ReverseInvites = true },
		"two lines":     func(c *ringsim.Config) { c.Form = ringsim.FormTwoLines },
		"mixed streams": func(c *ringsim.Config) { c.Form = ringsim.FormMixed },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim := unlimited(t, change)
			ep, stop := listening(t, sim, "tls", "party", t.TempDir())
			defer stop()
			c := begin(t, sim, ringsim.CallSpec{Agent: "108", Peer: "110"})
			oracle.Eventually(t, 10*time.Second, "excused", func() bool { return strings.HasPrefix(waiting(ep, c.SessionID()), "excused") })
			steps, _, err := byHand(t, ep, supervise.Wish{Agent: "108"})
			if err != nil || steps[len(steps)-1].Name != "check" {
				t.Fatalf("got %s, %v", names(steps), err)
			}
			granted := map[string]bool{}
			dialogs := 0
			for _, st := range steps {
				switch {
				case st.Name == "request":
					granted[st.Party] = true
				case st.Name == "invite":
					dialogs++
					if !granted[st.Party] || st.Dialog == "" {
						t.Errorf("%+v: shown before its request, or without its dialog", st)
					}
				}
			}
			if len(granted) != 2 || dialogs != 2 {
				t.Errorf("got %s", names(steps))
			}
			c.Hangup()
			<-c.Done()
		})
	}
}

func TestFiftyWishesBesideALiveCallLeaveItAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sim := ringsim.Start(t, ringsim.Config{}) // with RingCentral's documented limits
	ep, stop := listening(t, sim, "tls", "party", dir)
	c := begin(t, sim, ringsim.CallSpec{Agent: "108"})
	if err := c.WaitSupervised(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		if steps, _, err := byHand(t, ep, supervise.Wish{Agent: "108"}); err != nil {
			t.Fatalf("wish %d: %s, %v", i, names(steps), err)
		}
	}
	f := ep.Figures()
	if f.Requests["429"] != 0 || sim.Requested("POST", superviseParty) != 2 {
		t.Errorf("requests by class %v, %d supervise requests: want no 429, one a party", f.Requests, sim.Requested("POST", superviseParty))
	}
	talks(t, ep, c.SessionID(), 2)
	c.Hangup()
	<-c.Done()
	stop()
	oracle.CompareCall(t, c, oracle.ByCall(t, dir)[c.SessionID()])
}
