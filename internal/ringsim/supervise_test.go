package ringsim_test

import (
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/ringsim"
)

const bobID = "62295327016"

const eventTime = 5 * time.Second

func today() object {
	return object{"mode": "Listen", "supervisorDeviceId": ringsim.DefaultDeviceID, "agentExtensionId": bobID, "autoAnswer": true, "mediaSDP": "sendRecv"}
}

func (o change) on(m object) object {
	for k, v := range o {
		if m[k] = v; v == nil {
			delete(m, k)
		}
	}
	return m
}

type change object

// twoSupervisors is a world in which 101 and 102 may both supervise 108, and nobody may supervise 110.
func twoSupervisors() ringsim.Account {
	a := ringsim.DefaultAccount(3)
	a.Devices[0].Status = "Online"
	a.Extensions = append(a.Extensions, ringsim.Extension{ID: "62226588016", Number: "102", Name: "Supervisor DEF", JWT: "a.second.jwt"})
	a.Devices = append(a.Devices,
		ringsim.Device{ID: "802636635016", Extension: "62226588016", Type: "OtherPhone", UserName: "12055550102", Password: "pw", Status: "Online"},
		ringsim.Device{ID: "802636636016", Extension: ringsim.DefaultSupervisorID, Type: "OtherPhone", UserName: "12055550103", Password: "pw", Status: "Online"})
	m := a.Groups[0].Members
	a.Groups[0].Members = append(m[:len(m)-1], ringsim.Member{Extension: "62226588016", Monitoring: true})
	return a
}

func TestSuperviseRefusesAsRingCentralDoes(t *testing.T) {
	c := start(t, ringsim.Config{Account: twoSupervisors()})
	live := c.call(ringsim.CallSpec{Agent: "108"})
	conference := c.call(ringsim.CallSpec{Agent: "108", ThirdParty: true})
	ringing := c.call(ringsim.CallSpec{Agent: "108", Ringing: true})
	announced := c.call(ringsim.CallSpec{Agent: "108", IVR: true})
	foreign := c.call(ringsim.CallSpec{Agent: "110"})
	sessionOf := func(k *ringsim.Call) string { return account + "/telephony/sessions/" + k.SessionID() }
	session := sessionOf(live) + "/supervise"
	party := func(k *ringsim.Call, id string) string { return sessionOf(k) + "/parties/" + id + "/supervise" }
	agent := party(live, live.AgentParty())
	for _, tc := range []struct {
		name, path  string
		change      change
		status      int
		code, name2 string
	}{
		{"unknown session", account + "/telephony/sessions/s-1/supervise", nil, 404, "CMN-102", "telephonySessionId"},
		{"unknown party", party(live, "p-1"), nil, 404, "CMN-102", "partyId"},
		{"no mode", session, change{"mode": nil}, 400, "CMN-101", "mode"},
		{"whisper", agent, change{"mode": "Whisper"}, 400, "CMN-101", "mode"},
		{"no device", session, change{"supervisorDeviceId": nil}, 400, "CMN-101", "supervisorDeviceId"},
		{"no agent", session, change{"agentExtensionId": nil}, 400, "CMN-101", "agentExtensionId"},
		{"misspelt agent", agent, change{"agentExtensionId": nil, "agentExtensionid": bobID}, 400, "CMN-101", "agentExtensionId"},
		{"agent's number at party level", agent, change{"agentExtensionId": nil, "agentExtensionNumber": "108"}, 400, "CMN-101", "agentExtensionId"},
		{"body of 2019 at party level", agent, change{"agentExtensionId": nil, "supervisorDeviceId": nil, "deviceId": ringsim.DefaultDeviceID, "extensionNumber": "108"}, 400, "CMN-101", "supervisorDeviceId"},
		{"autoAnswer no boolean", agent, change{"autoAnswer": "perhaps"}, 400, "CMN-101", "autoAnswer"},
		{"mediaSDP", agent, change{"mediaSDP": "recvOnly"}, 400, "CMN-101", "mediaSDP"},
		{"unknown device", session, change{"supervisorDeviceId": "1"}, 404, "TAS-120", ""},
		{"another user's device", session, change{"supervisorDeviceId": "802636635016"}, 404, "TAS-120", ""},
		{"device offline", session, change{"supervisorDeviceId": "52959004"}, 404, "TAS-120", ""},
		{"unknown agent", agent, change{"agentExtensionId": "1"}, 404, "CMN-102", "agentExtensionId"},
		{"agent not on the call", agent, change{"agentExtensionId": "62295328016"}, 404, "CMN-102", "agentExtensionId"},
		{"agent in no group with us", sessionOf(foreign) + "/supervise", change{"agentExtensionId": "62295329016"}, 403, "TAS-112", ""},
		{"agent not yet there", sessionOf(ringing) + "/supervise", nil, 409, "TAS-106", ""},
		{"ringing party", party(ringing, ringing.AgentParty()), nil, 409, "TAS-106", ""},
		{"party that left", party(announced, strings.TrimSuffix(announced.AgentParty(), "3")+"2"), nil, 409, "TAS-106", ""},
		{"three on the line, party level", party(conference, conference.AgentParty()), nil, 409, "TAS-114", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := c.post(tc.path, tc.change.on(today()))
			name, _ := r.body["parameterName"].(string)
			if r.status != tc.status || r.code() != tc.code || name != tc.name2 {
				t.Errorf("got %d %s, want %d %s %s", r.status, r.raw, tc.status, tc.code, tc.name2)
			}
		})
	}
	for name, r := range map[string]*reply{
		"no JSON":    c.do("POST", session, "application/json", "{"),
		"JSON array": c.do("POST", session, "application/json", "[]"),
	} {
		if r.status != 400 || r.code() != "CMN-103" {
			t.Errorf("%s: got %d %s, want 400 CMN-103", name, r.status, r.raw)
		}
	}
	if r := c.do("POST", session, "text/plain", "{}"); r.status != 400 || r.code() != "CMN-104" {
		t.Errorf("text/plain: got %d %s, want 400 CMN-104", r.status, r.raw)
	}
	if n := len(c.ok(sessionOf(live))["parties"].([]any)); n != 2 {
		t.Errorf("after refusals only: %d parties, want 2", n)
	}
}

func TestSuperviseAnswersWithTheSupervisorsParty(t *testing.T) {
	c := start(t, ringsim.Config{})
	call := c.call(ringsim.CallSpec{Agent: "108", Outbound: true})
	r := c.post(account+"/telephony/sessions/"+call.SessionID()+"/parties/"+call.CustomerParty()+"/supervise", today())
	if r.status != 200 {
		t.Fatalf("supervise: %d %s", r.status, r.raw)
	}
	from, to, status := r.body["from"].(object), r.body["to"].(object), r.body["status"].(object)
	if r.body["id"] != strings.TrimSuffix(call.CustomerParty(), "2")+"3" || r.body["direction"] != "Outbound" || r.body["extensionId"] != ringsim.DefaultSupervisorID ||
		from["deviceId"] != ringsim.DefaultDeviceID || from["phoneNumber"] != "101" || to["extensionId"] != bobID || to["phoneNumber"] != "108" ||
		status["code"] != "Answered" || status["reason"] != "Supervising" {
		t.Errorf("got %s", r.raw)
	}
	o := c.ok(account + "/telephony/sessions/" + call.SessionID())
	if n := len(o["parties"].([]any)); n != 3 {
		t.Errorf("session has %d parties, want 3", n)
	}
}

func TestBodiesThatAreTaken(t *testing.T) {
	old := object{"mode": "Listen", "extensionNumber": "108", "deviceId": ringsim.DefaultDeviceID}
	number := change{"agentExtensionId": nil, "agentExtensionNumber": "108"}.on(today())
	for _, tc := range []struct {
		name   string
		legacy ringsim.LegacyBody
		party  bool
		body   object
		status int
		field  string
	}{
		{"today's, session", "", false, today(), 200, ""},
		{"today's, party", "", true, today(), 200, ""},
		{"agent's number, session", "", false, number, 200, ""},
		{"2019, session", "", false, old, 200, ""},
		{"2019, session, not taken", ringsim.LegacyNever, false, old, 400, "supervisorDeviceId"},
		{"2019, session, old account", ringsim.LegacyOnly, false, old, 200, ""},
		{"2019, party, old account", ringsim.LegacyOnly, true, old, 200, ""},
		{"today's, session, old account", ringsim.LegacyOnly, false, today(), 400, "supervisorDeviceId"},
		{"today's, party, old account", ringsim.LegacyOnly, true, today(), 400, "supervisorDeviceId"},
		{"device as a number", "", true, change{"supervisorDeviceId": int64(802636634016)}.on(today()), 200, ""},
		{"unknown field", "", true, change{"new": "x"}.on(today()), 200, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := start(t, ringsim.Config{Switches: ringsim.Switches{LegacyBody: tc.legacy}})
			call := c.call(ringsim.CallSpec{Agent: "108"})
			path := account + "/telephony/sessions/" + call.SessionID()
			if tc.party {
				path += "/parties/" + call.AgentParty()
			}
			r := c.post(path+"/supervise", tc.body)
			name, _ := r.body["parameterName"].(string)
			if r.status != tc.status || name != tc.field {
				t.Errorf("got %d %s, want %d %s", r.status, r.raw, tc.status, tc.field)
			}
		})
	}
}

func TestOnlyOneSupervisorAndDeviceAtATime(t *testing.T) {
	c := start(t, ringsim.Config{Account: twoSupervisors(), Switches: ringsim.Switches{InviteDelay: time.Hour}})
	call := c.call(ringsim.CallSpec{Agent: "108"})
	session := account + "/telephony/sessions/" + call.SessionID()
	agent, customer := session+"/parties/"+call.AgentParty()+"/supervise", session+"/parties/"+call.CustomerParty()+"/supervise"
	if r := c.post(agent, today()); r.status != 200 {
		t.Fatalf("first: %d %s", r.status, r.raw)
	}
	if r := c.post(customer, today()); r.status != 200 {
		t.Errorf("the other party, same device: %d %s, want 200", r.status, r.raw)
	}
	if r := c.post(customer, change{"supervisorDeviceId": "802636636016"}.on(today())); r.status != 409 || r.code() != "TAS-113" {
		t.Errorf("same supervisor, another device: %d %s, want 409 TAS-113", r.status, r.raw)
	}
	if r := c.post(agent, today()); r.status != 200 {
		t.Errorf("again, same device: %d %s, want 200 and one more party", r.status, r.raw)
	}
	f := loginForm()
	f.Set("assertion", "a.second.jwt")
	second := *c
	second.token = c.ask("/restapi/oauth/token", f).body["access_token"].(string)
	other := change{"supervisorDeviceId": "802636635016"}.on(today())
	if r := second.post(customer, other); r.status != 409 || r.code() != "TAS-113" {
		t.Errorf("another supervisor: %d %s, want 409 TAS-113", r.status, r.raw)
	}
	free := c.call(ringsim.CallSpec{Agent: "108"})
	if r := second.post(account+"/telephony/sessions/"+free.SessionID()+"/supervise", other); r.status != 200 {
		t.Errorf("another supervisor, another call: %d %s, want 200", r.status, r.raw)
	}
}

func TestRefuseTwiceSwitch(t *testing.T) {
	c := start(t, ringsim.Config{Switches: ringsim.Switches{RefuseTwice: true, InviteDelay: time.Hour}})
	call := c.call(ringsim.CallSpec{Agent: "108"})
	path := account + "/telephony/sessions/" + call.SessionID() + "/supervise"
	if r := c.post(path, today()); r.status != 200 {
		t.Fatalf("first: %d %s", r.status, r.raw)
	}
	if r := c.post(path, today()); r.status != 409 || r.code() != "TAS-113" {
		t.Errorf("second: %d %s, want 409 TAS-113", r.status, r.raw)
	}
}
