package acceptance

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
	"github.com/earshot/earshot/internal/ringsim/trunk"
)

// jealous is a strict RingCentral that refuses a second supervision of a party.
func jealous(t *testing.T, agents int) *ringsim.Sim {
	t.Helper()
	return ringsim.Start(t, ringsim.Config{
		Agents: agents, Limits: ringsim.Unlimited, Switches: ringsim.Switches{RefuseTwice: true},
		Trunk: func(c *trunk.Config) { c.Strict = true },
	})
}

// takeOver starts a process that takes over from d, and waits until it has.
func (d daemon) takeOver(t *testing.T) daemon {
	t.Helper()
	next := d.runReady(t, "--takeover", quick)
	oracle.Eventually(t, 15*time.Second, "taken over", func() bool { return len(next.log.lines("msg=\"taken over\"")) == 1 })
	return next
}

// older is what `earshot status` says of the process before: its calls, or -1.
func (d daemon) older(t *testing.T) int {
	t.Helper()
	_, out, _ := d.command(t, "status", "--json")
	var s struct {
		Older *struct{ Calls []string }
	}
	if err := json.Unmarshal([]byte(out), &s); err != nil || s.Older == nil {
		return -1
	}
	return len(s.Older.Calls)
}

// partsOf are the recordings of a call, the first part first.
func partsOf(all []oracle.Recording, c *ringsim.Call) []oracle.Recording {
	var out []oracle.Recording
	for _, r := range all {
		if r.Call.ID == c.SessionID() {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b oracle.Recording) int { return a.Part - b.Part })
	return out
}

// wholeCall wants a call in one recording with every sample.
func wholeCall(t *testing.T, all []oracle.Recording, c *ringsim.Call) {
	t.Helper()
	p := partsOf(all, c)
	if len(p) != 1 || p[0].State != "recorded" {
		t.Errorf("call %s: %d parts, want one, recorded", c.SessionID(), len(p))
		return
	}
	oracle.Compare(t, "call "+c.SessionID(), c.Streams(), p[0], oracle.Limits{ApartSamples: apartSamples})
}

// heardAgain waits until a call has two streams more than n.
func heardAgain(t *testing.T, c *ringsim.Call, n int) {
	t.Helper()
	oracle.Eventually(t, 20*time.Second, "call "+c.SessionID()+" heard again", func() bool { return len(c.Streams()) == n+2 })
}

// noDouble wants no request refused because a party was supervised already.
func noDouble(t *testing.T, sim *ringsim.Sim) {
	t.Helper()
	for _, r := range sim.Requests() {
		if strings.HasSuffix(r.Pattern, "/supervise") && r.Status == 409 {
			t.Errorf("%d requests for parties that were supervised", r.Count)
		}
	}
}

func drop(t *testing.T, streams []ringsim.Stream) {
	t.Helper()
	for _, s := range streams {
		if err := s.Dialog.Bye(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestTakeoverInTheMiddleOfCallsLosesNoSample(t *testing.T) {
	t.Parallel()
	n := 6
	if testing.Short() {
		n = 3
	}
	sim := jealous(t, n+2)
	old := write(t, string(sim.YAML("tls"))).runReady(t, quick)
	calls := begin(t, sim, n, func(i int) ringsim.CallSpec {
		return ringsim.CallSpec{Law: law(i), Form: []ringsim.Form{ringsim.FormTwoDialogs, ringsim.FormTwoLines}[i%2]}
	})
	said(t, calls, time.Second)

	during, err := sim.StartCall(ringsim.CallSpec{Agent: agent(n), Ringing: true})
	if err != nil {
		t.Fatal(err)
	}
	next := old.run(t, "--takeover", quick)
	oracle.Eventually(t, 15*time.Second, "the hand-over begins", func() bool { return len(old.log.lines("registration released")) == 1 })
	during.Answer() // one of the two hears it
	next.awaitReady(t)
	oracle.Eventually(t, 15*time.Second, "taken over", func() bool { return len(next.log.lines("msg=\"taken over\"")) == 1 })
	said(t, []*ringsim.Call{during}, time.Second)
	after, err := sim.StartCall(ringsim.CallSpec{Agent: agent(n + 1)})
	if err != nil {
		t.Fatal(err)
	}
	said(t, []*ringsim.Call{after}, time.Second)
	if got := next.older(t); got < n {
		t.Errorf("status: the older process has %d calls, want %d", got, n)
	}
	if _, out, _ := next.command(t, "status"); !strings.Contains(out, "older process") {
		t.Errorf("status says nothing of the older process:\n%s", out)
	}

	// One drops: it goes on in the new process, as its second part.
	dropped := calls[0]
	before := dropped.Streams()
	drop(t, before)
	heardAgain(t, dropped, len(before))
	for _, s := range dropped.Streams()[len(before):] {
		heard(t, s, time.Second)
	}
	hangUp(t, append([]*ringsim.Call{during, after}, calls...))
	if code := old.wait(t, 15*time.Second); code != 0 {
		t.Errorf("the old process: exit code %d, want 0", code)
	}
	oracle.Eventually(t, 10*time.Second, "the older process is gone in status", func() bool { return next.older(t) == -1 })
	next.sealed(t, n+3, 10*time.Second)
	next.terminate(t)

	if got := old.log.lines("unregistered"); len(got) != 0 {
		t.Errorf("the old process un-registered: %v", got)
	}
	all := oracle.All(t, old.dir)
	for _, c := range append([]*ringsim.Call{during, after}, calls[1:]...) {
		wholeCall(t, all, c)
	}
	p := partsOf(all, dropped)
	if len(p) != 2 || p[0].Part != 1 || p[1].Part != 2 || p[0].State != "recorded" || p[1].State != "recorded" {
		t.Fatalf("the call that dropped: %d parts, want 1 and 2, recorded", len(p))
	}
	oracle.Compare(t, "part 1", before, p[0], oracle.Limits{ApartSamples: apartSamples})
	oracle.Compare(t, "part 2", dropped.Streams()[len(before):], p[1], oracle.Limits{ApartSamples: apartSamples})
	noDouble(t, sim)
}

// halfway starts a process that takes over from d and gets no further than to have been given all: its devices can't be
// registered, for they are at a proxy where nobody answers.
func (d daemon) halfway(t *testing.T, sim *ringsim.Sim) daemon {
	t.Helper()
	relay := newSIPRelay(t, sim.Proxy("tls"))
	if err := relay.listener.Close(); err != nil {
		t.Fatal(err)
	}
	next := d.run(t, "--takeover", quick, "--set=sip.outbound_proxy="+relay.addr())
	oracle.Eventually(t, 15*time.Second, "all given", func() bool { return len(d.log.lines("registration released")) == 1 })
	oracle.Eventually(t, 15*time.Second, "the new process has the socket", func() bool { return next.older(t) >= 0 })
	return next
}

func TestTheOldProcessGoesOnWhenTheNewOneIsKilledInTheMiddle(t *testing.T) {
	t.Parallel()
	sim := jealous(t, 3)
	old := write(t, string(sim.YAML("tls"))).runReady(t, quick)
	calls := begin(t, sim, 2, func(i int) ringsim.CallSpec { return ringsim.CallSpec{Law: law(i)} })
	said(t, calls, time.Second)
	next := old.halfway(t, sim)
	missed, err := sim.StartCall(ringsim.CallSpec{Agent: agent(2)}) // while nobody can ask for it
	if err != nil {
		t.Fatal(err)
	}
	next.kill()
	said(t, []*ringsim.Call{missed}, time.Second)
	oracle.Eventually(t, 10*time.Second, "the old process has its socket again", func() bool {
		code, _, _ := old.command(t, "status")
		return code == 0
	})
	old.awaitReady(t)
	if s := old.status(t); len(s.Calls) != 3 {
		t.Errorf("%d calls, want 3", len(s.Calls))
	}
	calls = append(calls, missed)
	hangUp(t, calls)
	old.sealed(t, 3, 10*time.Second)
	if got := old.log.lines("all taken back"); len(got) != 1 {
		t.Errorf("%d lines of having taken all back, want 1", len(got))
	}
	// It can be taken over from again, by one that gets all the way.
	again := old.takeOver(t)
	if code := old.wait(t, 10*time.Second); code != 0 {
		t.Errorf("exit code %d, want 0: it has no calls", code)
	}
	again.terminate(t)
	compareAll(t, old, calls)
	noDouble(t, sim)
}

func TestANewProcessThatCannotRegisterGivesAllBack(t *testing.T) {
	t.Parallel()
	sim := jealous(t, 1)
	old := write(t, string(sim.YAML("tls"))).runReady(t, quick)
	calls := begin(t, sim, 1, func(int) ringsim.CallSpec { return ringsim.CallSpec{} })
	said(t, calls, time.Second)
	for name, c := range map[string]struct{ flag, want string }{
		"a wrong JWT":     {"--set=ringcentral.jwt=wrong", "ringcentral"},
		"another folder":  {"--set=record.dir=" + folder(t), "record.dir"},
		"a console taken": {"--set=console.listen=" + newSIPRelay(t, sim.Proxy("tls")).addr(), "console.listen"},
	} {
		p := start(t, old.home, "-c", old.config, "--set=control.socket="+old.dir+"/earshot.sock", c.flag, "run", "--takeover", quick)
		if name == "a wrong JWT" {
			// Logins are tried for a minute: a signal ends that.
			oracle.Eventually(t, 15*time.Second, "refused logins", func() bool { return len(p.log.lines("login")) > 0 || !p.alive() })
			_ = p.cmd.Process.Signal(os.Interrupt)
		}
		code := p.wait(t, 60*time.Second)
		if errs := p.log.String(); code != 1 || !strings.Contains(errs, c.want) || !strings.Contains(errs, asBefore) {
			t.Errorf("%s: exit code %d, want 1 and a line with %s:\n%s", name, code, c.want, tail(errs, 5))
		}
	}
	oracle.Eventually(t, 10*time.Second, "the old process works as before", func() bool {
		code, out, _ := old.command(t, "status")
		return code == 0 && strings.Contains(out, "1 calls")
	})
	old.awaitReady(t)
	hangUp(t, calls)
	old.sealed(t, 1, 10*time.Second)
	old.terminate(t)
	compareAll(t, old, calls)
	noDouble(t, sim)
}

// asBefore is the hint of a take-over that failed.
const asBefore = "goes on as before"

func TestTheNewProcessGoesOnWhenTheOldOneIsKilled(t *testing.T) {
	t.Parallel()
	sim := ringCentral(t, 2) // which lets a party be supervised twice: it does not know that the old process is gone
	old := write(t, string(sim.YAML("tls"))).runReady(t, quick)
	calls := begin(t, sim, 2, func(i int) ringsim.CallSpec { return ringsim.CallSpec{Law: law(i)} })
	said(t, calls, time.Second)
	next := old.takeOver(t)
	said(t, calls, mayMiss+2*time.Second)
	before := map[*ringsim.Call][]ringsim.Stream{}
	for _, c := range calls {
		before[c] = c.Streams()
	}
	at := time.Now()
	old.kill()
	for _, c := range calls {
		heardAgain(t, c, len(before[c]))
		for _, s := range c.Streams()[len(before[c]):] {
			heard(t, s, time.Second)
		}
	}
	hangUp(t, calls)
	next.sealed(t, 4, 10*time.Second) // what the old one left is finished too
	next.terminate(t)
	all := oracle.All(t, old.dir)
	for _, c := range calls {
		checkParts(t, c.SessionID(), partsOf(all, c), before[c], c.Streams()[len(before[c]):], at)
	}
}

func TestTakeoverWhereNothingRunsJustStarts(t *testing.T) {
	t.Parallel()
	sim := jealous(t, 1)
	d := write(t, string(sim.YAML("tls"))).runReady(t, "--takeover", quick)
	calls := begin(t, sim, 1, func(int) ringsim.CallSpec { return ringsim.CallSpec{} })
	said(t, calls, time.Second)
	hangUp(t, calls)
	d.sealed(t, 1, 10*time.Second)
	d.terminate(t)
	compareAll(t, d, calls)
}

func TestTheNewProcessStartsWhenTheOldOneIsKilledBeforeItGave(t *testing.T) {
	t.Parallel()
	sim := ringCentral(t, 1)
	old := write(t, string(sim.YAML("tls"))).runReady(t, quick)
	calls := begin(t, sim, 1, func(int) ringsim.CallSpec { return ringsim.CallSpec{} })
	said(t, calls, mayMiss+2*time.Second)
	rest := newRESTProxy(t, sim.URL())
	rest.only = "/sip-info"
	rest.fail.Store(503)
	next := old.run(t, "--takeover", quick, "--set=ringcentral.server="+rest.server.URL)
	oracle.Eventually(t, 15*time.Second, "the new process lacks its SIP account", func() bool { return rest.asked.Load() > 0 })
	before := calls[0].Streams()
	at := time.Now()
	old.kill()
	rest.fail.Store(0)
	next.awaitReady(t)
	heardAgain(t, calls[0], len(before))
	for _, s := range calls[0].Streams()[len(before):] {
		heard(t, s, time.Second)
	}
	hangUp(t, calls)
	next.sealed(t, 2, 10*time.Second)
	next.terminate(t)
	checkParts(t, calls[0].SessionID(), partsOf(oracle.All(t, old.dir), calls[0]), before, calls[0].Streams()[len(before):], at)
}
