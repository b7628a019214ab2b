package ringsim_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/ringsim"
)

func (c *rest) inject(f ringsim.Fault) {
	c.t.Helper()
	if err := c.sim.Inject(f); err != nil {
		c.t.Fatal(err)
	}
}

const ownExtension = account + "/extension/~"

func TestRESTFaultsComeAndGo(t *testing.T) {
	c := start(t, ringsim.Config{})
	for _, tc := range []struct {
		fault  ringsim.Fault
		status int
		code   string
		retry  string
	}{
		{ringsim.Fault{Kind: ringsim.FaultRateLimit, RetryAfter: 3 * time.Second}, 429, "CMN-301", "3"},
		{ringsim.Fault{Kind: ringsim.FaultRateLimit}, 429, "CMN-301", ""},
		{ringsim.Fault{Kind: ringsim.FaultError}, 500, "CMN-203", ""},
		{ringsim.Fault{Kind: ringsim.FaultUnavailable, RetryAfter: time.Second}, 503, "CMN-201", "1"},
	} {
		tc.fault.Count, tc.fault.Path, tc.fault.Method = 2, "/extension/", "GET"
		c.inject(tc.fault)
		c.ok(account + "/call-monitoring-groups") // another path
		for range 2 {
			if r := c.get(ownExtension); r.status != tc.status || r.code() != tc.code || r.header.Get("Retry-After") != tc.retry {
				t.Errorf("%s: got %d %s, Retry-After %q", tc.fault.Kind, r.status, r.raw, r.header.Get("Retry-After"))
			}
		}
		c.ok(ownExtension)
	}
	c.inject(ringsim.Fault{Kind: ringsim.FaultError, For: 50 * time.Millisecond})
	if r := c.get(ownExtension); r.status != 500 {
		t.Errorf("for a while: %d, want 500", r.status)
	}
	eventually(t, eventTime, "the fault is over", func() bool { return c.get(ownExtension).status == 200 })
	c.inject(ringsim.Fault{Kind: ringsim.FaultError, After: 20 * time.Millisecond})
	eventually(t, eventTime, "the fault begins", func() bool { return c.get(ownExtension).status == 500 })
	c.sim.Heal()
	c.ok(ownExtension)
}

func (c *rest) raw(method, path string) (*http.Response, error) {
	c.t.Helper()
	rq, err := http.NewRequestWithContext(c.t.Context(), method, c.sim.URL()+path, strings.NewReader(`{"mode":"Listen","supervisorDeviceId":"`+ringsim.DefaultDeviceID+`","agentExtensionId":"`+bobID+`"}`))
	if err != nil {
		c.t.Fatal(err)
	}
	rq.Header.Set("Authorization", "Bearer "+c.token)
	rq.Header.Set("Content-Type", "application/json")
	return c.http.Do(rq)
}

func TestBadGatewayIsHTML(t *testing.T) {
	c := start(t, ringsim.Config{})
	c.inject(ringsim.Fault{Kind: ringsim.FaultBadGateway, Count: 1})
	resp, err := c.raw("GET", ownExtension)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 502 || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") || !strings.Contains(string(b), "<html>") {
		t.Errorf("got %d %q, %v", resp.StatusCode, b, err)
	}
}

func TestConnectionIsResetAfterOrBeforeTheWork(t *testing.T) {
	for kind, parties := range map[ringsim.FaultKind]int{ringsim.FaultReset: 3, ringsim.FaultResetBefore: 2} {
		c := start(t, ringsim.Config{Switches: ringsim.Switches{InviteDelay: time.Hour}})
		call := c.call(ringsim.CallSpec{})
		session := account + "/telephony/sessions/" + call.SessionID()
		c.inject(ringsim.Fault{Kind: kind, Count: 1, Path: "/supervise"})
		resp, err := c.raw("POST", session+"/supervise")
		if err == nil {
			_ = resp.Body.Close()
			t.Fatalf("%s: %d, want no answer", kind, resp.StatusCode)
		}
		if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", kind, err)
		}
		if n := len(c.ok(session)["parties"].([]any)); n != parties {
			t.Errorf("%s: %d parties, want %d", kind, n, parties)
		}
	}
}

func TestSlowAnswer(t *testing.T) {
	c := start(t, ringsim.Config{})
	c.inject(ringsim.Fault{Kind: ringsim.FaultSlow, Count: 1, Delay: 60 * time.Millisecond})
	begin := time.Now()
	c.ok(ownExtension)
	if d := time.Since(begin); d < 60*time.Millisecond {
		t.Errorf("answered after %s, want 60ms", d)
	}
}

func TestTokenIsLostInMidRun(t *testing.T) {
	c := start(t, ringsim.Config{})
	c.inject(ringsim.Fault{Kind: ringsim.FaultTokenLost, Count: 1})
	for range 2 {
		if r := c.get(ownExtension); r.status != 401 || r.code() != "OAU-213" {
			t.Errorf("got %d %s, want 401 OAU-213", r.status, r.raw)
		}
	}
	c.login()
	c.ok(ownExtension)
}

func TestInviteFaults(t *testing.T) {
	c, d := ready(t, quick())
	call := c.call(ringsim.CallSpec{})
	c.inject(ringsim.Fault{Kind: ringsim.FaultInviteNever, Count: 1})
	p := c.supervise(call, call.AgentParty())["id"].(string)
	eventually(t, eventTime, "the party of no INVITE to leave", func() bool {
		o := c.ok(account + "/telephony/sessions/" + call.SessionID() + "/parties/" + p)
		return o["status"].(object)["code"] == "Disconnected"
	})
	if n, _ := d.counts(); n != 0 {
		t.Errorf("%d INVITEs, want none", n)
	}
	c.inject(ringsim.Fault{Kind: ringsim.FaultInviteLate, Count: 1, Delay: 80 * time.Millisecond})
	begin := time.Now()
	c.supervise(call, call.AgentParty())
	eventually(t, eventTime, "the late INVITE", func() bool { n, _ := d.counts(); return n == 1 })
	if late := time.Since(begin); late < 80*time.Millisecond {
		t.Errorf("INVITE after %s, want 80ms", late)
	}
	c.inject(ringsim.Fault{Kind: ringsim.FaultInviteTwice, Count: 1})
	c.supervise(call, call.CustomerParty())
	eventually(t, eventTime, "the INVITE and its copy", func() bool { n, _ := d.counts(); return n == 3 })
	waitSupervised(t, call)
	c.inject(ringsim.Fault{Kind: ringsim.FaultBye})
	eventually(t, eventTime, "BYE on both dialogs", func() bool { _, byes := d.counts(); return byes == 2 })
	o := c.ok(account + "/telephony/sessions/" + call.SessionID())
	if s := o["parties"].([]any)[0].(object)["status"].(object)["code"]; s != "Answered" {
		t.Errorf("the customer is %v, want the call to go on", s)
	}
}

func TestInvitesReversedOnce(t *testing.T) {
	c, d := ready(t, quick())
	call := c.call(ringsim.CallSpec{})
	c.inject(ringsim.Fault{Kind: ringsim.FaultInvitesReversed, Count: 1})
	c.supervise(call, call.AgentParty())
	c.supervise(call, call.CustomerParty())
	waitSupervised(t, call)
	d.mu.Lock()
	defer d.mu.Unlock()
	if got := d.invites[0].header.Get("p-rc-api-monitoring-ids"); !strings.Contains(got, call.CustomerParty()) {
		t.Errorf("first INVITE is for %s, want the customer's, which was asked for last", got)
	}
}

func TestAnotherProgramTakesTheRegistration(t *testing.T) {
	c, d := ready(t, quick())
	call := c.call(ringsim.CallSpec{})
	c.inject(ringsim.Fault{Kind: ringsim.FaultRegistrationGone, Device: ringsim.DefaultDeviceID, For: 150 * time.Millisecond})
	c.supervise(call, call.AgentParty())
	if s := c.ok(account + "/device/" + ringsim.DefaultDeviceID)["status"]; s != "Online" {
		t.Errorf("device is %v, want Online: somebody is registered", s)
	}
	eventually(t, eventTime, "the INVITE comes here again", func() bool {
		c.supervise(call, call.CustomerParty())
		return len(call.Dialogs()) > 0
	})
	if m, _ := d.inviteFor(call.Dialogs()[0].CallID()); m == nil || strings.Contains(m.header.Get("p-rc-api-monitoring-ids"), call.AgentParty()) {
		t.Error("the first INVITE came here, want it lost")
	}
}

func TestProxyIsGoneForAWhile(t *testing.T) {
	c, d := ready(t, quick())
	c.inject(ringsim.Fault{Kind: ringsim.FaultProxyGone, For: 100 * time.Millisecond})
	d.wg.Wait() // its connection ended
	call := c.call(ringsim.CallSpec{})
	c.supervise(call, "")
	if n, _ := d.counts(); n != 0 {
		t.Errorf("%d INVITEs, want none", n)
	}
}

func TestFeedFaults(t *testing.T) {
	c := start(t, quick())
	for _, kind := range []ringsim.FaultKind{ringsim.FaultFeedCut, ringsim.FaultFeedSilent, ringsim.FaultFeedForget, ringsim.FaultSubscriptionsGone} {
		c.subscribed(accountFilter)
		c.inject(ringsim.Fault{Kind: kind, After: time.Millisecond})
		eventually(t, eventTime, string(kind), func() bool { return c.sim.Subscribers() == 0 })
	}
}

func TestWrongFaultsAreRefused(t *testing.T) {
	c := start(t, ringsim.Config{})
	for _, f := range []ringsim.Fault{
		{}, {Kind: "nonsense"}, {Kind: ringsim.FaultSlow}, {Kind: ringsim.FaultInviteLate}, {Kind: ringsim.FaultProxyGone},
		{Kind: ringsim.FaultBye, Path: "/x"}, {Kind: ringsim.FaultError, Count: -1},
	} {
		if c.sim.Inject(f) == nil {
			t.Errorf("%+v was taken", f)
		}
	}
}

func TestAsManyEventsAreLostAsTheFaultSays(t *testing.T) {
	c := start(t, quick())
	f := c.subscribed(accountFilter)
	c.inject(ringsim.Fault{Kind: ringsim.FaultEventsLost, Count: 3})
	for n := range 5 {
		c.sim.Publish(bobID, "Answered", "Inbound", n+1)
	}
	if got := f.sequences(2); got[0] != "4" || got[1] != "5" {
		t.Errorf("events %v, want 4 and 5: three are lost", got)
	}
}
