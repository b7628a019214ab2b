package endpoint_test

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/earshot/earshot/endpoint"
	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
	"github.com/earshot/earshot/internal/ringsim/trunk"
	"github.com/earshot/earshot/internal/secret"
	"github.com/earshot/earshot/internal/strict"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/sip"
	"github.com/earshot/earshot/supervise"
)

// worker is an endpoint that runs.
type worker struct {
	*endpoint.Endpoint
	t      *testing.T
	cancel context.CancelFunc
	done   chan error
}

// work starts an endpoint on a device that all workers of a test share.
func work(t *testing.T, sim *ringsim.Sim, dir string, standby bool) *worker {
	t.Helper()
	return workAs(t, sim, dir, standby, func(*endpoint.Config) {})
}

func workAs(t *testing.T, sim *ringsim.Sim, dir string, standby bool, change func(*endpoint.Config)) *worker {
	t.Helper()
	t.Cleanup(func() { strict.Tree(t, dir) })
	env := dotEnv(sim)
	name := "working"
	if standby {
		name = "standby"
	}
	cfg := endpoint.Config{
		Supervisors: []endpoint.Supervisor{{
			RingCentral: supervise.Config{
				Server: env["RINGCENTRAL_SERVER_URL"], ClientID: env["RINGCENTRAL_CLIENT_ID"],
				ClientSecret: secret.Text(env["RINGCENTRAL_CLIENT_SECRET"]), JWT: secret.Text(env["RINGCENTRAL_JWT"]),
				DeviceID: env["SIP_INFO_AUTHORIZATION_ID"], Agents: agents, Poll: 100 * time.Millisecond,
			},
			Device: endpoint.Device{Account: sip.Config{
				Transport: "tls", TLS: sip.TLS{CAFile: sim.CAFile()}, InstanceID: "urn:uuid:4b1c0000-0000-4000-8000-000000000002",
			}},
		}},
		Media:         media.Config{ListenIP: netip.MustParseAddr("127.0.0.1")},
		Record:        &recorder.Config{Dir: dir},
		RejoinTimeout: 5 * time.Second,
		Standby:       standby,
		Log:           slog.New(slog.NewTextHandler(t.Output(), nil)).With("process", name),
	}
	change(&cfg)
	ep, err := endpoint.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	w := &worker{Endpoint: ep, t: t, cancel: cancel, done: make(chan error, 1)}
	go func() { w.done <- ep.Run(ctx) }()
	if !standby {
		oracle.Eventually(t, 10*time.Second, "registered and logged in", ep.Ready)
	}
	return w
}

// ends waits for the end of Run.
func (w *worker) ends(what string) {
	w.t.Helper()
	select {
	case err := <-w.done:
		if err != nil {
			w.t.Errorf("Run: %v", err)
		}
	case <-time.After(15 * time.Second):
		w.t.Errorf("Run did not end within 15 s: %s", what)
	}
	w.cancel()
}

func (w *worker) stop() {
	w.cancel()
	w.ends("stopped")
}

const supervisePath = "/restapi/v1.0/account/{account}/telephony/sessions/{session}/parties/{party}/supervise"

// world is a RingCentral that refuses a second supervision of a party.
func world(t *testing.T) *ringsim.Sim {
	t.Helper()
	return ringsim.Start(t, ringsim.Config{
		Limits: ringsim.Unlimited, Switches: ringsim.Switches{RefuseTwice: true}, Trunk: func(c *trunk.Config) { c.Strict = true },
	})
}

func ring(t *testing.T, sim *ringsim.Sim, agent string, form ringsim.Form) *ringsim.Call {
	t.Helper()
	c, err := sim.StartCall(ringsim.CallSpec{Agent: agent, Form: form})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.WaitSupervised(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

// said waits until the newest streams of a call have sent a second.
func said(t *testing.T, c *ringsim.Call) {
	t.Helper()
	for _, s := range c.Streams()[len(c.Streams())-2:] {
		oracle.Eventually(t, 10*time.Second, "a second of audio", func() bool {
			p := s.Sent()
			return len(p) > 0 && p[len(p)-1].At.Sub(p[0].At) > time.Second
		})
	}
}

// drop ends dialogs of a call that goes on.
func drop(t *testing.T, streams ...ringsim.Stream) {
	t.Helper()
	for _, s := range streams {
		if err := s.Dialog.Bye(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// rejoined waits for two streams more than n.
func rejoined(t *testing.T, c *ringsim.Call, n int) {
	t.Helper()
	oracle.Eventually(t, 10*time.Second, "call "+c.SessionID()+" heard again", func() bool { return len(c.Streams()) == n+2 })
}

// handOver has next take over from w, which has the calls given.
func (w *worker) handOver(next *worker, calls int) {
	w.t.Helper()
	like := w.Fitness()
	if !like.Well || like.Registered != 1 {
		w.t.Errorf("fitness %+v, want one device, well", like)
	}
	if err := next.Warm(w.t.Context(), like); err != nil {
		w.t.Fatal(err)
	}
	if err := w.GiveUp(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	if n := len(w.Held()); n != calls {
		w.t.Errorf("%d calls held, want %d: %+v", n, calls, w.Held())
	}
	if err := next.TakeOver(1, w.Held()); err != nil {
		w.t.Fatal(err)
	}
	if err := next.Registered(w.t.Context(), like); err != nil {
		w.t.Fatal(err)
	}
	w.HandedOver()
	next.Settle()
}

// tell forwards what w holds, as two processes do, until nothing is held or ok holds.
func (w *worker) tell(next *worker, what string, ok func() bool) {
	w.t.Helper()
	oracle.Eventually(w.t, 15*time.Second, what, func() bool {
		select {
		case <-w.HeldChanged():
			next.Older(1, w.Held())
		default:
		}
		return ok()
	})
}

func parts(t *testing.T, dir string, c *ringsim.Call) []oracle.Recording {
	t.Helper()
	out := slices.DeleteFunc(oracle.All(t, dir), func(r oracle.Recording) bool { return r.Call.ID != c.SessionID() })
	slices.SortFunc(out, func(a, b oracle.Recording) int { return a.Part - b.Part })
	return out
}

func TestTakeOverLosesNoSample(t *testing.T) {
	dir := t.TempDir()
	sim := world(t)
	first := work(t, sim, dir, false)
	stays, drops := ring(t, sim, "108", ringsim.FormTwoLines), ring(t, sim, "109", ringsim.FormTwoDialogs)
	said(t, drops)
	next := work(t, sim, dir, true)
	first.handOver(next, 2)
	fresh := ring(t, sim, "110", ringsim.FormTwoDialogs)
	said(t, fresh)
	if n := len(next.Status().Calls); n != 1 {
		t.Errorf("the next process hears %d calls, want the one that came", n)
	}
	if o := next.Status().Older; o == nil || len(o.Calls) != 2 {
		t.Errorf("older process: %+v, want 2 calls", o)
	}
	before := drops.Streams()
	drop(t, before...)
	first.tell(next, "heard again", func() bool { return len(drops.Streams()) == len(before)+2 })
	said(t, drops)
	for _, c := range []*ringsim.Call{stays, drops, fresh} {
		c.Hangup()
		<-c.Done()
	}
	first.ends("handed over, and its last call has ended")
	next.OlderGone()
	if o := next.Status().Older; o != nil {
		t.Errorf("older process: %+v after its end", o)
	}
	oracle.Eventually(t, 10*time.Second, "no call left", func() bool { return len(next.Status().Calls) == 0 })
	next.stop()

	for _, c := range []*ringsim.Call{stays, fresh} {
		p := parts(t, dir, c)
		if len(p) != 1 || p[0].State != "recorded" {
			t.Fatalf("call %s: %d parts, want one, recorded", c.SessionID(), len(p))
		}
		oracle.CompareCall(t, c, p[0])
	}
	p := parts(t, dir, drops)
	if len(p) != 2 || p[0].State != "recorded" || p[1].Part != 2 || p[1].State != "recorded" {
		t.Fatalf("the call that dropped: %d parts, want two, recorded", len(p))
	}
	oracle.Compare(t, "part 1", before, p[0], oracle.Limits{})
	oracle.Compare(t, "part 2", drops.Streams()[len(before):], p[1], oracle.Limits{})
	if n := sim.Requested("POST", supervisePath); n != 8 {
		t.Errorf("%d requests, want 8: two a call and two for the one that dropped", n)
	}
}

func TestAPlaceThatWasGivenUpStaysSoAfterATakeOver(t *testing.T) {
	dir := t.TempDir()
	sim := world(t)
	first := work(t, sim, dir, false)
	c := ring(t, sim, "108", ringsim.FormTwoDialogs)
	said(t, c)
	if _, err := first.Release(t.Context(), c.SessionID(), ""); err != nil {
		t.Fatal(err)
	}
	oracle.Eventually(t, 10*time.Second, "sealed", func() bool { return len(first.Status().Calls) == 0 })
	next := work(t, sim, dir, true)
	first.handOver(next, 1)
	first.ends("nothing is held")
	next.OlderGone()
	fresh := ring(t, sim, "109", ringsim.FormTwoDialogs) // what would be asked for, has been by then
	said(t, fresh)
	if w := next.Status().Waiting; len(w) != 1 || w[0].ID != c.SessionID() || w[0].State != "released" {
		t.Errorf("waiting: %+v, want the released call", w)
	}
	if _, err := next.Release(t.Context(), c.SessionID(), ""); err != nil {
		t.Errorf("released again: %v", err)
	}
	for _, c := range []*ringsim.Call{c, fresh} {
		c.Hangup()
		<-c.Done()
	}
	oracle.Eventually(t, 10*time.Second, "no call left", func() bool { return len(next.Status().Calls) == 0 })
	next.stop()
	if n := sim.Requested("POST", supervisePath); n != 4 {
		t.Errorf("%d requests, want 4: two a call", n)
	}
}

func TestWhatIsLeftOfACallAfterTheHandOverIsLeftToTheNextProcess(t *testing.T) {
	dir := t.TempDir()
	sim := world(t)
	first := work(t, sim, dir, false)
	c := ring(t, sim, "108", ringsim.FormTwoDialogs)
	said(t, c)
	next := work(t, sim, dir, true)
	first.handOver(next, 1)
	before := c.Streams()
	drop(t, before[0])
	first.tell(next, "heard again as a whole", func() bool { return len(c.Streams()) == len(before)+2 })
	said(t, c)
	first.ends("nothing is left")
	next.OlderGone()
	c.Hangup()
	<-c.Done()
	oracle.Eventually(t, 10*time.Second, "no call left", func() bool { return len(next.Status().Calls) == 0 })
	next.stop()
	p := parts(t, dir, c)
	if len(p) != 2 {
		t.Fatalf("%d parts, want 2", len(p))
	}
	oracle.Compare(t, "part 2", c.Streams()[len(before):], p[1], oracle.Limits{})
}

func TestTakeBackGoesOnAsBefore(t *testing.T) {
	dir := t.TempDir()
	sim := world(t)
	w := work(t, sim, dir, false)
	c := ring(t, sim, "108", ringsim.FormTwoDialogs)
	said(t, c)
	if err := w.GiveUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w.Ready() {
		t.Error("ready, and not registered")
	}
	if err := w.TakeBack(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.Claim(); err != nil {
		t.Fatal(err)
	}
	oracle.Eventually(t, 10*time.Second, "ready again", w.Ready)
	late := ring(t, sim, "109", ringsim.FormTwoLines)
	said(t, late)
	for _, c := range []*ringsim.Call{c, late} {
		c.Hangup()
		<-c.Done()
	}
	w.stop()
	rec := oracle.ByCall(t, dir)
	for _, c := range []*ringsim.Call{c, late} {
		oracle.CompareCall(t, c, rec[c.SessionID()])
	}
}

func TestDrainKeepsItsCallsAndEndsWithTheLast(t *testing.T) {
	dir := t.TempDir()
	sim := world(t)
	w := work(t, sim, dir, false)
	c := ring(t, sim, "108", ringsim.FormTwoDialogs)
	said(t, c)
	w.Drain()
	w.Drain()
	if st := w.Status(); st.Ready || !st.Draining {
		t.Errorf("ready %v, draining %v, want false, true", st.Ready, st.Draining)
	}
	late, err := sim.StartCall(ringsim.CallSpec{Agent: "109"})
	if err != nil {
		t.Fatal(err)
	}
	before := c.Streams()
	drop(t, before...)
	rejoined(t, c, len(before))
	said(t, c)
	if n := len(late.Streams()); n != 0 {
		t.Errorf("the call that came has %d streams, want none", n)
	}
	c.Hangup()
	<-c.Done()
	w.ends("its last call has ended")
	late.Hangup()
	<-late.Done()
	p := parts(t, dir, c)
	if len(p) != 1 {
		t.Fatalf("%d parts, want 1", len(p))
	}
	oracle.Compare(t, "drained", c.Streams(), p[0], oracle.Limits{})
	if p := parts(t, dir, late); len(p) != 1 || p[0].State != "no_media" || p[0].Cause != "shutdown" {
		t.Errorf("the call that came: %+v, want a record without audio", p)
	} else {
		for _, text := range []string{`"call_started"`, `"join_failed"`, `"call_ended"`} {
			wantEvent(t, p[0], text)
		}
	}
}

func TestAnAbandonedTakeOverLeavesNoRecord(t *testing.T) {
	dir := t.TempDir()
	sim := world(t)
	w := work(t, sim, dir, true)
	c, err := sim.StartCall(ringsim.CallSpec{Agent: "108"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Warm(t.Context(), endpoint.Fitness{Well: true}); err != nil {
		t.Fatal(err)
	}
	oracle.Eventually(t, 10*time.Second, "the call is wanted", func() bool { return len(w.Status().Waiting) == 1 })
	w.stop()
	c.Hangup()
	<-c.Done()
	if r := oracle.All(t, dir); len(r) != 0 {
		t.Errorf("%d recordings, want none", len(r))
	}
	if n := sim.Requested("POST", supervisePath); n != 0 {
		t.Errorf("%d requests on standby, want none", n)
	}
}

func TestWhatWorksInNeitherProcessKeepsNobodyFromTakingOver(t *testing.T) {
	sim := world(t)
	w := work(t, sim, t.TempDir(), true)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	// The other has no registration either: there is nothing to wait for but a login.
	for _, like := range []endpoint.Fitness{{}, {Registered: 5}, {Well: true}} {
		if err := w.Warm(ctx, like); err != nil {
			t.Errorf("%+v: %v", like, err)
		}
	}
	if err := w.Registered(ctx, endpoint.Fitness{}); err != nil {
		t.Error(err)
	}
	short, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	if err := w.Registered(short, endpoint.Fitness{Registered: 1}); err == nil {
		t.Error("as fit as one with a registered device, and has none")
	}
	w.stop()
}
