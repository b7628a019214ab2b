package ringsim_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/earshot/earshot/internal/ringsim"
)

const carolID = "62295328016"

// told gives the events so far, one line each: number, party, whose, direction, state, reason; and where the call goes on.
func (f *feed) told() []string {
	f.t.Helper()
	f.ask("GET", subscriptions, nil) // its answer is behind all events
	var out []string
	for _, m := range f.held {
		b := m.body["body"].(object)
		for _, x := range b["parties"].([]any) {
			p := x.(object)
			status := p["status"].(object)
			id := p["id"].(string)
			line := fmt.Sprintf("%v %s %v %v", b["sequence"], id[strings.LastIndex(id, "-"):], p["direction"], status["code"])
			if status["reason"] != nil {
				line += " " + status["reason"].(string)
			}
			if status["peerId"] != nil {
				line += " goes on"
			}
			if p["queueCall"] == true {
				line += " queue"
			}
			if p["missedCall"] == true {
				line += " missed"
			}
			if park := p["park"].(object); park["id"] != nil {
				line += fmt.Sprint(" ", park["id"])
			}
			out = append(out, line)
		}
	}
	f.held = nil
	return out
}

func (f *feed) tells(what string, want ...string) {
	f.t.Helper()
	if diff := cmp.Diff(want, f.told()); diff != "" {
		f.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestEventsComeInTheOrderThatWasSeen(t *testing.T) {
	c := start(t, quick())
	for _, tc := range []struct {
		name       string
		spec       ringsim.CallSpec
		start, end []string
	}{
		{
			"inbound through an announcement", ringsim.CallSpec{IVR: true},
			[]string{"2 -1 Outbound Setup", "3 -2 Inbound Setup", "4 -1 Outbound Answered", "5 -2 Inbound Disconnected", "6 -3 Inbound Setup", "7 -3 Inbound Proceeding", "8 -3 Inbound Answered"},
			[]string{"9 -3 Inbound Hold", "10 -3 Inbound Answered", "11 -3 Inbound Disconnected", "12 -1 Outbound Disconnected"},
		},
		{
			"outbound", ringsim.CallSpec{Outbound: true},
			[]string{"2 -1 Outbound Setup", "3 -2 Inbound Proceeding", "4 -1 Outbound Proceeding", "5 -2 Inbound Answered", "6 -1 Outbound Answered"},
			[]string{"7 -1 Outbound Hold", "8 -1 Outbound Answered", "9 -1 Outbound Disconnected", "10 -2 Inbound Disconnected"},
		},
		{
			"inbound", ringsim.CallSpec{},
			[]string{"2 -1 Outbound Setup", "3 -2 Inbound Setup", "4 -2 Inbound Proceeding", "5 -2 Inbound Answered", "6 -1 Outbound Answered"},
			[]string{"7 -2 Inbound Hold", "8 -2 Inbound Answered", "9 -2 Inbound Disconnected", "10 -1 Outbound Disconnected"},
		},
		{
			"queue", ringsim.CallSpec{Queue: "Support"},
			[]string{"2 -1 Outbound Setup", "3 -2 Inbound Setup", "4 -1 Outbound Answered", "5 -2 Inbound Disconnected", "6 -3 Inbound Setup queue", "7 -3 Inbound Proceeding queue", "8 -3 Inbound Answered queue"},
			[]string{"9 -3 Inbound Hold queue", "10 -3 Inbound Answered queue", "11 -3 Inbound Disconnected queue", "12 -1 Outbound Disconnected"},
		},
		{
			"internal", ringsim.CallSpec{Outbound: true, Peer: "109"},
			[]string{"2 -1 Outbound Setup", "3 -2 Inbound Setup", "4 -2 Inbound Proceeding", "5 -1 Outbound Proceeding", "6 -2 Inbound Answered", "7 -1 Outbound Answered"},
			[]string{"8 -1 Outbound Hold", "9 -1 Outbound Answered", "10 -1 Outbound Disconnected", "11 -2 Inbound Disconnected"},
		},
	} {
		f := c.subscribed(accountFilter)
		call := c.call(tc.spec)
		f.tells(tc.name, tc.start...)
		call.Hold()
		call.Hold() // no change, no event
		call.Resume()
		call.Hangup()
		f.tells(tc.name+", its end", tc.end...)
	}
}

func TestEventIsAsDocumented(t *testing.T) {
	c := start(t, quick())
	f := c.subscribed(bobFilter + "?statusCode=Answered")
	call := c.call(ringsim.CallSpec{Customer: ringsim.Customer{Number: "+14085550164", Name: "CUSTOMER A"}})
	e := f.event()
	b := e["body"].(object)
	p := b["parties"].([]any)[0].(object)
	if e["event"] != "/restapi/v1.0/account/"+ringsim.DefaultAccountID+"/extension/"+bobID+"/telephony/sessions" || e["ownerId"] != ringsim.DefaultSupervisorID ||
		b["telephonySessionId"] != call.SessionID() || p["id"] != call.AgentParty() || p["extensionId"] != bobID || p["accountId"] != ringsim.DefaultAccountID ||
		p["from"].(object)["phoneNumber"] != "+14085550164" || p["to"].(object)["name"] != "Bob Brown" || b["origin"].(object)["type"] != "Call" {
		t.Errorf("got %v", e)
	}
	for _, when := range []any{e["timestamp"], b["eventTime"]} {
		if _, err := time.Parse(time.RFC3339Nano, when.(string)); err != nil {
			t.Error(err)
		}
	}
	g := c.subscribed(accountFilter)
	call.Hangup()
	g.ask("GET", subscriptions, nil)
	for i, want := range []string{"/extension/" + bobID, ""} { // a party without an extension comes by the account's path
		if got := g.held[i].body["event"]; got != "/restapi/v1.0/account/"+ringsim.DefaultAccountID+want+"/telephony/sessions" {
			t.Errorf("event %d: path %v", i, got)
		}
	}
	if n := len(f.told()); n != 0 {
		t.Errorf("%d more events passed the filter statusCode=Answered", n)
	}
}

func TestPresenceEventShowsTheCall(t *testing.T) {
	c := start(t, quick())
	f := c.subscribed(strings.Replace(bobFilter, "telephony/sessions", "presence?detailedTelephonyState=true&sipData=true", 1))
	call := c.call(ringsim.CallSpec{Ringing: true})
	call.Answer()
	call.Hangup()
	f.ask("GET", subscriptions, nil)
	var got []string
	for _, m := range f.held {
		b := m.body["body"].(object)
		got = append(got, fmt.Sprint(b["telephonyStatus"], b["totalActiveCalls"]))
	}
	want := []string{"Ringing1", "Ringing1", "CallConnected1", "NoCall0"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSupervisorsPartyIsToldOnceItsDeviceAnswered(t *testing.T) {
	c, d := ready(t, quick())
	call := c.call(ringsim.CallSpec{})
	f := c.subscribed(accountFilter)
	c.supervise(call, call.AgentParty())
	e := f.event()["body"].(object)
	p := e["parties"].([]any)[0].(object)
	if s := p["status"].(object); s["code"] != "Answered" || s["reason"] != "Supervising" || p["direction"] != "Outbound" || p["extensionId"] != ringsim.DefaultSupervisorID {
		t.Errorf("joined: %v", p)
	}
	_ = d
	call.Hangup()
	f.tells("the end", "8 -2 Inbound Disconnected", "9 -1 Outbound Disconnected", "10 -3 Outbound Disconnected")
}

func TestBlindTransfer(t *testing.T) {
	c, d := ready(t, quick())
	call := c.call(ringsim.CallSpec{})
	c.supervise(call, call.AgentParty())
	c.supervise(call, call.CustomerParty())
	waitSupervised(t, call)
	dialogs := call.Dialogs()
	f := c.subscribed(accountFilter + "?direction=Inbound")
	if err := call.TransferBlind("109"); err != nil {
		t.Fatal(err)
	}
	f.tells("transfer", "9 -5 Inbound Setup", "10 -5 Inbound Proceeding", "11 -2 Inbound Disconnected BlindTransfer")
	for _, g := range dialogs {
		<-g.Done()
	}
	if _, byes := d.counts(); byes != 2 {
		t.Errorf("%d BYEs, want 2: the supervised agent has left", byes)
	}
	if call.Agent() != "109" || !strings.HasSuffix(call.AgentParty(), "-5") {
		t.Errorf("agent %s, party %s", call.Agent(), call.AgentParty())
	}
	path := account + "/telephony/sessions/" + call.SessionID() + "/parties/" + call.AgentParty() + "/supervise"
	carol := change{"agentExtensionId": carolID}
	if r := c.post(path, carol.on(today())); r.status != 409 {
		t.Errorf("supervise while it rings: %d %s, want 409", r.status, r.raw)
	}
	call.Answer()
	if r := c.post(path, carol.on(today())); r.status != 200 {
		t.Errorf("supervise the second agent: %d %s", r.status, r.raw)
	}
	if r := c.post(strings.Replace(path, "-5/", "-1/", 1), carol.on(today())); r.status != 200 {
		t.Errorf("supervise the customer again: %d %s", r.status, r.raw)
	}
	waitSupervised(t, call)
	if err := call.TransferBlind("+14155550100"); err != nil {
		t.Fatal(err)
	}
	call.Answer()
	if err := call.TransferBlind("108"); err == nil {
		t.Error("a party outside the account transferred the call")
	}
	o := c.ok(account + "/telephony/sessions/" + call.SessionID())
	last := o["parties"].([]any)[7].(object)
	if last["to"].(object)["phoneNumber"] != "+14155550100" || last["extensionId"] != nil || last["status"].(object)["code"] != "Answered" {
		t.Errorf("transfer to a number outside: %v", last)
	}
}

func TestTransferToAQueueRingsOneAgentAfterTheOther(t *testing.T) {
	c := start(t, quick())
	call := c.call(ringsim.CallSpec{})
	f := c.subscribed(accountFilter)
	if err := call.TransferQueue("Support", "109"); err != nil {
		t.Fatal(err)
	}
	if err := call.RingNext("110"); err != nil {
		t.Fatal(err)
	}
	call.Answer()
	f.tells("queue", "7 -3 Inbound Setup", "8 -3 Inbound Disconnected", "9 -4 Inbound Setup queue", "10 -4 Inbound Proceeding queue",
		"11 -2 Inbound Disconnected BlindTransfer", "12 -5 Inbound Setup queue", "13 -5 Inbound Proceeding queue",
		"14 -4 Inbound Disconnected NoAnswer queue missed", "15 -5 Inbound Answered queue")
	if call.Agent() != "110" {
		t.Errorf("agent %s, want 110", call.Agent())
	}
}

func TestAttendedTransferGoesOnInTheConsultation(t *testing.T) {
	c, d := ready(t, quick())
	call := c.call(ringsim.CallSpec{})
	c.supervise(call, "")
	waitSupervised(t, call)
	f := c.subscribed(accountFilter)
	consult, err := call.Consult(ringsim.CallSpec{Peer: "109", Ringing: true})
	if err != nil {
		t.Fatal(err)
	}
	f.tells("consultation", "8 -2 Inbound Hold", "2 -1 Outbound Setup", "3 -2 Inbound Setup", "4 -2 Inbound Proceeding", "5 -1 Outbound Proceeding")
	if err := call.TransferAttended(consult); err == nil {
		t.Error("transferred to somebody who has not answered")
	}
	consult.Answer()
	if p := records(c.ok(account + "/presence?detailedTelephonyState=true")); len(p[1]["activeCalls"].([]any)) != 2 {
		t.Errorf("the agent has %v, want two calls", p[1]["activeCalls"])
	}
	f.told()
	if err := call.TransferAttended(consult); err != nil {
		t.Fatal(err)
	}
	f.tells("transfer", "8 -3 Outbound Answered", "9 -1 Outbound Gone AttendedTransfer goes on", "9 -1 Outbound Disconnected AttendedTransfer",
		"10 -2 Inbound Disconnected AttendedTransfer", "11 -3 Outbound Disconnected")
	<-call.Done()
	if _, byes := d.counts(); byes != 1 {
		t.Errorf("%d BYEs, want 1", byes)
	}
	gone := c.ok(account + "/telephony/sessions/" + call.SessionID() + "/parties/" + call.CustomerParty())["status"].(object)["peerId"].(object)
	if gone["telephonySessionId"] != consult.SessionID() || gone["partyId"] != consult.CustomerParty() || consult.Agent() != "109" {
		t.Errorf("peerId %v, want the customer's party %s in %s", gone, consult.CustomerParty(), consult.SessionID())
	}
	path := account + "/telephony/sessions/" + consult.SessionID() + "/supervise"
	if r := c.post(path, change{"agentExtensionId": carolID}.on(today())); r.status != 200 {
		t.Errorf("supervise where it goes on: %d %s", r.status, r.raw)
	}
	waitSupervised(t, consult)
}

func TestParkAndPickUp(t *testing.T) {
	c, d := ready(t, quick())
	call := c.call(ringsim.CallSpec{})
	c.supervise(call, "")
	waitSupervised(t, call)
	f := c.subscribed(accountFilter)
	if _, err := call.PickUp("109"); err == nil {
		t.Error("picked up a call that is not parked")
	}
	if err := call.Park(); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "the BYE", func() bool { _, byes := d.counts(); return byes == 1 })
	f.event() // parked
	f.event() // the supervisor's party left
	next, err := call.PickUp("109")
	if err != nil {
		t.Fatal(err)
	}
	f.tells("pick-up", "2 -1 Outbound Setup", "3 -1 Outbound Answered", "4 -2 Inbound Answered", "10 -1 Outbound Gone Pickup goes on",
		"11 -2 Inbound Disconnected Pickup *801")
	<-call.Done()
	if next.Agent() != "109" || next.SessionID() == call.SessionID() {
		t.Errorf("picked up by %s in %s", next.Agent(), next.SessionID())
	}
	path := account + "/telephony/sessions/" + next.SessionID() + "/parties/" + next.CustomerParty() + "/supervise"
	if r := c.post(path, change{"agentExtensionId": carolID}.on(today())); r.status != 200 {
		t.Errorf("supervise the customer after the pick-up: %d %s", r.status, r.raw)
	}
}

func TestConference(t *testing.T) {
	c, d := ready(t, quick())
	call := c.call(ringsim.CallSpec{})
	c.supervise(call, call.AgentParty())
	eventually(t, 5*time.Second, "the INVITE", func() bool { return len(call.Dialogs()) == 1 })
	f := c.subscribed(accountFilter)
	third, err := call.AddParty(ringsim.PartySpec{Number: "+14155550100", Name: "THIRD"})
	if err != nil {
		t.Fatal(err)
	}
	f.tells("third", "8 -4 Inbound Setup", "9 -4 Inbound Proceeding", "10 -4 Inbound Answered")
	path := account + "/telephony/sessions/" + call.SessionID() + "/parties/" + call.CustomerParty() + "/supervise"
	if r := c.post(path, today()); r.status != 409 || r.code() != "TAS-114" {
		t.Errorf("party level with three people: %d %s, want 409 TAS-114", r.status, r.raw)
	}
	if _, byes := d.counts(); byes != 0 {
		t.Errorf("%d BYEs, want the running supervision to go on", byes)
	}
	c.supervise(call, "")
	if err := call.DropParty(third); err != nil {
		t.Fatal(err)
	}
	if r := c.post(path, today()); r.status != 200 {
		t.Errorf("party level with two people again: %d %s", r.status, r.raw)
	}
	if err := call.DropParty(call.CustomerParty()); err != nil {
		t.Fatal(err)
	}
	<-call.Done()
}

func TestAgentSwitchesDevice(t *testing.T) {
	c, d := ready(t, quick())
	call := c.call(ringsim.CallSpec{})
	c.supervise(call, "")
	waitSupervised(t, call)
	f := c.subscribed(bobFilter)
	if err := call.SwitchDevice(); err != nil {
		t.Fatal(err)
	}
	f.tells("switch", "8 -4 Inbound Answered", "9 -2 Inbound Disconnected CallSwitch")
	eventually(t, 5*time.Second, "the BYE", func() bool { _, byes := d.counts(); return byes == 1 })
	c.supervise(call, "")
	waitSupervised(t, call)
}

func TestWhoHangsUpIsGoneFirst(t *testing.T) {
	c := start(t, quick())
	f := c.subscribed(accountFilter + "?statusCode=Disconnected")
	c.call(ringsim.CallSpec{}).HangupBy(ringsim.RoleAgent)
	f.tells("agent", "7 -2 Inbound Disconnected", "8 -1 Outbound Disconnected")
	c.call(ringsim.CallSpec{}).HangupBy(ringsim.RoleCustomer)
	f.tells("customer", "7 -1 Outbound Disconnected", "8 -2 Inbound Disconnected")
	c.call(ringsim.CallSpec{Ringing: true}).HangupBy(ringsim.RoleCustomer)
	f.tells("ringing", "5 -1 Outbound Disconnected", "6 -2 Inbound Disconnected Cancelled missed")
}

func TestSwitchesOfALeavingAgent(t *testing.T) {
	cfg := quick()
	cfg.Switches.KeepDialogs = true
	c, d := ready(t, cfg)
	call := c.call(ringsim.CallSpec{})
	c.supervise(call, "")
	waitSupervised(t, call)
	if err := call.TransferBlind("109"); err != nil {
		t.Fatal(err)
	}
	call.Answer()
	if cause := call.Dialogs()[0].Cause(); cause != "" {
		t.Errorf("the dialog ended: %s", cause)
	}
	call.Hangup()
	<-call.Done()
	if _, byes := d.counts(); byes != 1 {
		t.Errorf("%d BYEs, want 1 at the call's end", byes)
	}
	cfg = quick()
	cfg.Switches.LoseByes = true
	c, d = ready(t, cfg)
	call = c.call(ringsim.CallSpec{})
	c.supervise(call, "")
	waitSupervised(t, call)
	call.Hangup()
	<-call.Done()
	if _, byes := d.counts(); byes != 0 {
		t.Errorf("%d BYEs, want none: they are lost", byes)
	}
}
