package ringsim_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/earshot/earshot/internal/ringsim"
	"github.com/earshot/earshot/internal/ringsim/trunk"
)

// ready is a simulator with a registered device on plain RTP and a client that is logged in.
func ready(t *testing.T, cfg ringsim.Config) (*rest, *device) {
	t.Helper()
	cfg.TLS = ringsim.Off
	c := startLimited(t, cfg, ringsim.Unlimited)
	d := registered(t, c.sim)
	c.login()
	return c, d
}

func (c *rest) supervise(call *ringsim.Call, party string) object {
	c.t.Helper()
	path := account + "/telephony/sessions/" + call.SessionID()
	if party != "" {
		path += "/parties/" + party
	}
	r := c.post(path+"/supervise", today())
	if r.status != 200 {
		c.t.Fatalf("supervise %s: %d %s", party, r.status, r.raw)
	}
	return r.body
}

func TestDeviceIsOnlineWhileItIsRegistered(t *testing.T) {
	c, d := ready(t, ringsim.Config{})
	status := func() any { return c.ok(account + "/device/" + ringsim.DefaultDeviceID)["status"] }
	if s := status(); s != "Online" {
		t.Errorf("registered: %v, want Online", s)
	}
	_ = d.conn.Close()
	d.wg.Wait()
	if s := status(); s != "Online" {
		t.Errorf("connection lost: %v, want Online until the registration ends", s)
	}
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", c.sim.Proxy("tcp"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	d.conn = conn
	d.register(bufio.NewReader(conn), 0)
	if s := status(); s != "Offline" {
		t.Errorf("unregistered: %v, want Offline", s)
	}
}

func TestEachFormGivesTheStreamsItPromises(t *testing.T) {
	for _, tc := range []struct {
		name    string
		form    ringsim.Form
		law     trunk.Law
		session bool
		invites int
		want    []string // role of each stream, with its title or monitored party
	}{
		{"two dialogs", ringsim.FormTwoDialogs, trunk.PCMU, false, 2, []string{"customer by header", "agent by header"}},
		{"two dialogs, PCMA", ringsim.FormTwoDialogs, trunk.PCMA, false, 2, []string{"customer by header", "agent by header"}},
		{"two dialogs, session level", ringsim.FormTwoDialogs, trunk.PCMU, true, 1, []string{"mix"}},
		{"two lines", ringsim.FormTwoLines, trunk.PCMU, false, 1, []string{"customer by title", "agent by title"}},
		{"two lines, session level", ringsim.FormTwoLines, trunk.PCMA, true, 1, []string{"customer by title", "agent by title"}},
		{"mixed, session level", ringsim.FormMixed, trunk.PCMA, true, 1, []string{"mix"}},
		{"mixed, party level", ringsim.FormMixed, trunk.PCMU, false, 2, []string{"mix by header", "mix by header"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, d := ready(t, ringsim.Config{})
			call := c.call(ringsim.CallSpec{Agent: "108", Form: tc.form, Law: tc.law})
			if tc.session {
				c.supervise(call, "")
			} else {
				c.supervise(call, call.CustomerParty())
				c.supervise(call, call.AgentParty())
			}
			waitSupervised(t, call)
			var got []string
			for _, dlg := range call.Dialogs() {
				m, lines := d.inviteFor(dlg.CallID())
				checkInvite(t, call, dlg, m)
				for i, st := range streamsOf(call, dlg) {
					eventually(t, 5*time.Second, "20 packets", func() bool { return lines[i].packets() >= 20 })
					got = append(got, string(st.Role)+identifiedBy(call, st, m, lines[i]))
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("streams (-want +got):\n%s", diff)
			}
			if n, _ := d.counts(); n != tc.invites {
				t.Errorf("%d INVITEs, want %d", n, tc.invites)
			}
			call.Hangup()
			<-call.Done()
			for _, dlg := range call.Dialogs() {
				_, lines := d.inviteFor(dlg.CallID())
				for i, st := range streamsOf(call, dlg) {
					eventually(t, 5*time.Second, "the last packet", func() bool { return lines[i].packets() >= delivered(st) })
					lines[i].heard(t, st)
				}
			}
			if _, byes := d.counts(); byes != tc.invites {
				t.Errorf("%d BYEs, want %d", byes, tc.invites)
			}
		})
	}
}

// identifiedBy says how a device learns whose voice a stream is.
func identifiedBy(call *ringsim.Call, st ringsim.Stream, m *message, l *mediaLine) string {
	switch {
	case l.title == call.SessionID()+" party-id="+st.Party:
		return " by title"
	case m.header.Get("p-rc-api-monitoring-ids") == "party-id="+st.Party+";session-id="+call.SessionID():
		return " by header"
	default:
		return ""
	}
}

func delivered(st ringsim.Stream) int {
	n := 0
	for _, p := range st.Sent() {
		if p.Delivered {
			n++
		}
	}
	return n
}

func streamsOf(call *ringsim.Call, d ringsim.Dialog) []ringsim.Stream {
	var out []ringsim.Stream
	for _, st := range call.Streams() {
		if st.Dialog == d.Dialog {
			out = append(out, st)
		}
	}
	return out
}

// checkInvite holds an INVITE against the headers that RingCentral was seen to send.
func checkInvite(t *testing.T, call *ringsim.Call, d ringsim.Dialog, m *message) {
	t.Helper()
	if got, want := m.header.Get("p-rc-api-ids"), "party-id="+d.Own[0]+";session-id="+call.SessionID(); got != want {
		t.Errorf("p-rc-api-ids: got %q, want %q", got, want)
	}
	for name, want := range map[string]string{"Alert-Info": "Auto Answer", "Session-Expires": "14400;refresher=uac"} {
		if got := m.header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if got := m.header.Get("Call-Info"); !strings.HasSuffix(got, ";purpose=info;Answer-After=0") {
		t.Errorf("Call-Info: %q", got)
	}
	if !strings.HasPrefix(m.start, "INVITE sip:12055550101@") || !strings.Contains(m.start, ";ob SIP/2.0") {
		t.Errorf("request line %q, want the registered Contact", m.start)
	}
}

func TestSupervisingPartyShowsInPresenceOnceItsInviteIsAnswered(t *testing.T) {
	c, _ := ready(t, ringsim.Config{Switches: ringsim.Switches{InviteDelay: 200 * time.Millisecond}})
	call := c.call(ringsim.CallSpec{Agent: "109"})
	path := account + "/extension/" + ringsim.DefaultSupervisorID + "/presence?detailedTelephonyState=true&sipData=true"
	body := change{"agentExtensionId": "62295328016"}.on(today())
	r := c.post(account+"/telephony/sessions/"+call.SessionID()+"/supervise", body)
	if r.status != 200 {
		t.Fatalf("supervise: %d %s", r.status, r.raw)
	}
	if p := c.ok(path); p["activeCalls"] != nil {
		t.Errorf("before the INVITE: %v", p)
	}
	waitSupervised(t, call)
	ac := c.ok(path)["activeCalls"].([]any)[0].(object)
	want := object{"direction": "Outbound", "from": "101", "to": "109", "partyId": r.body["id"], "telephonyStatus": "CallConnected", "telephonySessionId": call.SessionID()}
	for k, v := range want {
		if ac[k] != v {
			t.Errorf("%s: got %v, want %v", k, ac[k], v)
		}
	}
	if id := call.Dialogs()[0].CallID(); ac["id"] != id {
		t.Errorf("id: got %v, want the Call-ID %s", ac["id"], id)
	}
	call.Hangup()
	<-call.Done()
	if p := c.ok(path); p["activeCalls"] != nil {
		t.Errorf("after the end: %v", p)
	}
}

func TestInviteMayComeBeforeTheRESTAnswer(t *testing.T) {
	c, d := ready(t, ringsim.Config{Switches: ringsim.Switches{InviteFirst: true, SessionFirst: true}})
	call := c.call(ringsim.CallSpec{Agent: "108"})
	party := c.supervise(call, call.AgentParty())
	if n, _ := d.counts(); n != 1 {
		t.Fatalf("%d INVITEs at the time of the answer, want 1", n)
	}
	m, _ := d.inviteFor(call.Dialogs()[0].CallID())
	if got, want := m.header.Get("p-rc-api-ids"), fmt.Sprintf("session-id=%s; party-id=%v", call.SessionID(), party["id"]); got != want {
		t.Errorf("p-rc-api-ids: got %q, want %q", got, want)
	}
}

func TestReversedInvites(t *testing.T) {
	c, d := ready(t, ringsim.Config{Switches: ringsim.Switches{ReverseInvites: true}})
	call := c.call(ringsim.CallSpec{Agent: "108"})
	c.supervise(call, call.AgentParty())
	c.supervise(call, call.CustomerParty())
	waitSupervised(t, call)
	d.mu.Lock()
	defer d.mu.Unlock()
	if got := d.invites[0].header.Get("p-rc-api-monitoring-ids"); !strings.Contains(got, call.CustomerParty()) {
		t.Errorf("first INVITE is for %s, want the customer's, which was asked for last", got)
	}
}

func TestBusyDeviceGetsNoInviteThoughRESTSays200(t *testing.T) {
	c, d := ready(t, ringsim.Config{Switches: ringsim.Switches{DialogsPerDevice: 1, InviteDelay: -1}})
	call := c.call(ringsim.CallSpec{Agent: "108"})
	c.supervise(call, call.AgentParty())
	eventually(t, 5*time.Second, "the first INVITE", func() bool { return len(call.Dialogs()) == 1 })
	party := c.supervise(call, call.CustomerParty())
	eventually(t, 5*time.Second, "the second party to leave", func() bool {
		p := c.ok(account + "/telephony/sessions/" + call.SessionID() + "/parties/" + party["id"].(string))
		return p["status"].(object)["code"] == "Disconnected"
	})
	if n, _ := d.counts(); n != 1 {
		t.Errorf("%d INVITEs, want 1", n)
	}
}

func TestAClientThatLostItsDialogMayAskAgain(t *testing.T) {
	for _, form := range []ringsim.Form{ringsim.FormTwoDialogs, ringsim.FormTwoLines} {
		c, d := ready(t, ringsim.Config{Form: form, Switches: ringsim.Switches{InviteDelay: -1}})
		call := c.call(ringsim.CallSpec{Agent: "108"})
		c.supervise(call, call.AgentParty())
		c.supervise(call, call.AgentParty())
		c.supervise(call, call.CustomerParty())
		waitSupervised(t, call)
		c.supervise(call, call.AgentParty())
		c.supervise(call, call.CustomerParty())
		want := map[ringsim.Form]int{ringsim.FormTwoDialogs: 5, ringsim.FormTwoLines: 2}[form]
		eventually(t, 5*time.Second, "an INVITE for each round", func() bool {
			n, _ := d.counts()
			return n == want && len(call.Dialogs()) == want
		})
	}
}

func TestForeignLineIDsAreInNoSession(t *testing.T) {
	c, d := ready(t, ringsim.Config{Form: ringsim.FormTwoLines, Switches: ringsim.Switches{ForeignLineIDs: true}})
	call := c.call(ringsim.CallSpec{Agent: "108"})
	c.supervise(call, "")
	waitSupervised(t, call)
	_, lines := d.inviteFor(call.Dialogs()[0].CallID())
	for _, l := range lines {
		session, party, _ := strings.Cut(l.title, " party-id=")
		if session != call.SessionID() {
			t.Errorf("title %q, want the session first", l.title)
		}
		if r := c.get(account + "/telephony/sessions/" + session + "/parties/" + party); r.status != 404 {
			t.Errorf("party %s: %d, want 404", party, r.status)
		}
	}
}

func TestRingingCallCanBeSupervisedOnceAnswered(t *testing.T) {
	c, _ := ready(t, ringsim.Config{})
	call := c.call(ringsim.CallSpec{Agent: "108", Ringing: true})
	p := c.ok(account + "/extension/" + bobID + "/presence?detailedTelephonyState=true&sipData=true")
	ac := p["activeCalls"].([]any)[0].(object)
	if p["telephonyStatus"] != "Ringing" || ac["sipData"].(object)["toTag"] != "blf" || ac["id"] == ac["sipData"].(object)["callId"] {
		t.Errorf("ringing: %v", p)
	}
	call.Answer()
	c.supervise(call, "")
	waitSupervised(t, call)
}

func TestCallEndsByItself(t *testing.T) {
	c, d := ready(t, ringsim.Config{Switches: ringsim.Switches{InviteDelay: -1}})
	call := c.call(ringsim.CallSpec{Agent: "108", For: 300 * time.Millisecond})
	c.supervise(call, "")
	<-call.Done()
	if _, byes := d.counts(); byes != 1 {
		t.Errorf("%d BYEs, want 1", byes)
	}
	if err := c.call(ringsim.CallSpec{For: time.Millisecond}).WaitSupervised(t.Context()); !errors.Is(err, ringsim.ErrCallEnded) {
		t.Errorf("WaitSupervised of a call that nobody hears: %v, want ErrCallEnded", err)
	}
}

func TestDemoCallsAreOneOfEachForm(t *testing.T) {
	c, _ := ready(t, ringsim.Config{})
	calls, err := c.sim.DemoCalls(3, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, call := range calls {
		agent := change{"agentExtensionId": []string{"62295327016", "62295328016", "62295329016"}[i]}
		path := account + "/telephony/sessions/" + call.SessionID()
		for _, p := range []string{call.CustomerParty(), call.AgentParty()} {
			r := c.post(path+"/parties/"+p+"/supervise", agent.on(today()))
			got = append(got, fmt.Sprint(call.Form(), " ", r.status))
		}
		if i == 2 {
			got = append(got, fmt.Sprint("session ", c.post(path+"/supervise", agent.on(today())).status))
		}
		waitSupervised(t, call)
		call.Hangup()
		<-call.Done()
	}
	want := []string{"two_dialogs 200", "two_dialogs 200", "two_lines 200", "two_lines 200", "mixed 409", "mixed 409", "session 200"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
