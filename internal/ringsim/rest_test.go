package ringsim_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/earshot/earshot/internal/ringsim"
)

const account = "/restapi/v1.0/account/~"

func TestDirectoryOfTheDefaultWorld(t *testing.T) {
	c := start(t, ringsim.Config{})
	own := c.ok(account + "/extension/~")
	if own["extensionNumber"] != "101" || own["id"] != 62226587016.0 {
		t.Errorf("own extension: %v", own)
	}
	bob := records(c.ok(account + "/extension?extensionNumber=108&type=User&status=Enabled"))
	if len(bob) != 1 || bob[0]["id"] != 62295327016.0 || bob[0]["name"] != "Bob Brown" {
		t.Errorf("extension 108: %v", bob)
	}
	groups := records(c.ok(account + "/call-monitoring-groups"))
	if len(groups) != 1 || groups[0]["id"] != ringsim.DefaultGroupID || groups[0]["name"] != "Demo Supervisor" {
		t.Fatalf("groups: %v", groups)
	}
	var got []string
	for _, m := range records(c.ok(account + "/call-monitoring-groups/8121017/members")) {
		got = append(got, fmt.Sprint(m["id"], m["extensionNumber"], m["permissions"]))
	}
	want := []string{"62226587016101[Monitoring]", "62295327016108[Monitored]", "62295328016109[Monitoring Monitored]", "62295329016110[Monitored]"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}

func TestPagesTileTheList(t *testing.T) {
	c := start(t, ringsim.Config{Account: ringsim.DefaultAccount(250)})
	var seen []any
	next := account + "/extension?perPage=100"
	for pages := 0; next != ""; pages++ {
		if pages > 3 {
			t.Fatal("more than 3 pages of 100 for 251 extensions")
		}
		o := c.ok(next)
		for _, r := range records(o) {
			seen = append(seen, r["id"])
		}
		p := o["paging"].(object)
		if p["totalPages"] != 3.0 || p["totalElements"] != 251.0 || p["page"] != float64(pages+1) {
			t.Errorf("paging: %v", p)
		}
		next = ""
		if n, ok := o["navigation"].(object)["nextPage"].(object); ok {
			next = n["uri"].(string)
		}
	}
	if len(seen) != 251 {
		t.Errorf("got %d extensions, want 251", len(seen))
	}
	empty := c.ok(account + "/extension?page=9")
	if _, has := empty["paging"].(object)["pageStart"]; has || len(records(empty)) != 0 {
		t.Errorf("a page past the end: %v, want no records and no pageStart", empty)
	}
	for _, q := range []string{"page=0", "page=x", "perPage=0", "perPage=-1"} {
		if r := c.get(account + "/extension?" + q); r.status != 400 || r.code() != "CMN-101" || r.body["parameterName"] != strings.Split(q, "=")[0] {
			t.Errorf("%s: %d %s, want 400 CMN-101", q, r.status, r.raw)
		}
	}
}

func TestDeviceAndItsSIPInfo(t *testing.T) {
	c := startLimited(t, ringsim.Config{}, ringsim.Unlimited)
	c.login()
	devices := records(c.ok(account + "/extension/~/device"))
	if len(devices) != 2 {
		t.Fatalf("devices: %v", devices)
	}
	got := fmt.Sprint(devices[0]["id"], devices[0]["type"], devices[0]["status"], " ", devices[1]["id"], devices[1]["type"], devices[1]["status"])
	if want := "802636634016OtherPhoneOffline 52959004SoftPhoneOffline"; got != want {
		t.Errorf("devices: got %s, want %s", got, want)
	}
	info := c.ok(account + "/device/802636634016/sip-info")
	p := info["outboundProxies"].([]any)[0].(object)
	if info["domain"] != "sip.ringcentral.com" || info["userName"] != "12055550101" || info["authorizationId"] != "802636634016" ||
		p["proxy"] != c.sim.Proxy("udp") || p["proxy"] != c.sim.Proxy("tcp") || p["proxyTLS"] != c.sim.Proxy("tls") {
		t.Errorf("sip-info: %v", info)
	}
	if r := c.get(account + "/device/52959004/sip-info"); r.status != 404 || r.code() != "CMN-102" || r.body["parameterName"] != "deviceId" {
		t.Errorf("sip-info of an app: %d %s, want 404 CMN-102", r.status, r.raw)
	}
}

func TestPresenceShowsTheCallAsDocumented(t *testing.T) {
	c := start(t, ringsim.Config{})
	call := c.call(ringsim.CallSpec{Agent: "108", Customer: ringsim.Customer{Number: "+14085550164", Name: "CUSTOMER A"}, IVR: true})
	if !regexp.MustCompile(`^s-[0-9a-f]{13}z[0-9a-f]{11}z[0-9a-f]{11}$`).MatchString(call.SessionID()) {
		t.Errorf("session id %s", call.SessionID())
	}
	if want := "p-" + strings.TrimPrefix(call.SessionID(), "s-") + "-3"; call.AgentParty() != want {
		t.Errorf("agent's party behind an announcement: got %s, want %s", call.AgentParty(), want)
	}
	all := records(c.ok(account + "/presence?detailedTelephonyState=true&sipData=true&page=1&perPage=1000"))
	if len(all) != 4 {
		t.Fatalf("presence: %d records, want 4", len(all))
	}
	bob := all[1]
	if x := bob["extension"].(object); x["id"] != 62295327016.0 || x["extensionNumber"] != "108" {
		t.Errorf("extension: %v", x)
	}
	ac := bob["activeCalls"].([]any)[0].(object)
	for k, want := range map[string]any{
		"direction": "Inbound", "from": "+14085550164", "fromName": "CUSTOMER A", "to": "+12055550173", "toName": "Bob Brown",
		"telephonyStatus": "CallConnected", "partyId": call.AgentParty(), "telephonySessionId": call.SessionID(), "queueCall": false,
	} {
		if ac[k] != want {
			t.Errorf("activeCalls: %s: got %v, want %v", k, ac[k], want)
		}
	}
	if sip := ac["sipData"].(object); sip["callId"] != ac["id"] || sip["remoteUri"] != "-" {
		t.Errorf("sipData: %v", sip)
	}
	if _, err := time.Parse("2006-01-02T15:04:05.000-0700", ac["startTime"].(string)); err != nil || !strings.HasSuffix(ac["startTime"].(string), "+0000") {
		t.Errorf("startTime %v: %v", ac["startTime"], err)
	}
	for i, r := range all {
		if _, has := r["activeCalls"]; has != (i == 1) {
			t.Errorf("record %d: activeCalls %v, want only in record 1", i, has)
		}
	}
	if _, has := records(c.ok(account + "/presence"))[1]["activeCalls"]; has {
		t.Error("activeCalls without detailedTelephonyState=true")
	}
	if r := c.get(account + "/presence?sipData=maybe"); r.code() != "CMN-101" {
		t.Errorf("sipData=maybe: %d %s", r.status, r.raw)
	}
	one := c.ok(account + "/extension/62295327016/presence?detailedTelephonyState=true")
	if _, has := one["activeCalls"].([]any)[0].(object)["sipData"]; has {
		t.Error("sipData although it was not asked for")
	}
	call.Hold()
	if s := c.ok(account + "/extension/62295327016/presence?detailedTelephonyState=true")["telephonyStatus"]; s != "OnHold" {
		t.Errorf("held: %v, want OnHold", s)
	}
	call.Resume()
	call.Hangup()
	if s := c.ok(account + "/extension/62295327016/presence?detailedTelephonyState=true"); s["telephonyStatus"] != "NoCall" || s["activeCalls"] != nil {
		t.Errorf("after the end: %v", s)
	}
}

func TestSessionAndPartiesAsDocumented(t *testing.T) {
	c := start(t, ringsim.Config{Switches: ringsim.Switches{EndedLinger: 200 * time.Millisecond}})
	for _, out := range []bool{false, true} {
		call := c.call(ringsim.CallSpec{Agent: "109", Outbound: out})
		se := c.ok(account + "/telephony/sessions/" + call.SessionID())
		if _, has := se["sessionId"]; has || se["id"] != call.SessionID() {
			t.Errorf("session: %v", se)
		}
		agent := c.ok(account + "/telephony/sessions/" + call.SessionID() + "/parties/" + call.AgentParty())
		customer := c.ok(account + "/telephony/sessions/" + call.SessionID() + "/parties/" + call.CustomerParty())
		wantAgent, wantCustomer := "Inbound", "Outbound"
		if out {
			wantAgent, wantCustomer = wantCustomer, wantAgent
			if agent["from"].(object)["deviceId"] == nil {
				t.Errorf("outbound: from has no deviceId: %v", agent)
			}
		}
		if agent["direction"] != wantAgent || customer["direction"] != wantCustomer || agent["extensionId"] != "62295328016" || agent["status"].(object)["code"] != "Answered" {
			t.Errorf("outbound %v: agent %v, customer %v", out, agent, customer)
		}
		for _, k := range []string{"owner", "extensionId", "accountId"} {
			if customer[k] != nil {
				t.Errorf("customer has %s: %v", k, customer[k])
			}
		}
		call.Hangup()
		if o := c.ok(account + "/telephony/sessions/" + call.SessionID() + "/parties/" + call.AgentParty()); o["status"].(object)["code"] != "Disconnected" {
			t.Errorf("ended: %v", o)
		}
		eventually(t, 5*time.Second, "404 for the ended session", func() bool {
			r := c.get(account + "/telephony/sessions/" + call.SessionID())
			return r.status == 404 && r.code() == "CMN-102" && r.body["parameterName"] == "telephonySessionId"
		})
	}
}

func TestActiveCallsAreLateAndLinger(t *testing.T) {
	c := start(t, ringsim.Config{Switches: ringsim.Switches{ActiveCallsLag: 100 * time.Millisecond}})
	call := c.call(ringsim.CallSpec{Agent: "108"})
	path := account + "/extension/62295327016/active-calls"
	if got := records(c.ok(path)); len(got) != 0 {
		t.Errorf("at once: %v, want nothing yet", got)
	}
	eventually(t, 5*time.Second, "the call in active-calls", func() bool { return len(records(c.ok(path))) == 1 })
	if r := records(c.ok(account + "/active-calls"))[0]; r["result"] != "In Progress" || r["telephonySessionId"] != call.SessionID() {
		t.Errorf("record: %v", r)
	}
	call.Hangup()
	if r := records(c.ok(path)); len(r) != 1 || r[0]["result"] != "Accepted" {
		t.Errorf("after the end: %v, want it to linger", r)
	}
}

func TestUnknownAndForbiddenRequestsAreViolations(t *testing.T) {
	c := start(t, ringsim.Config{AllowViolations: true})
	call := c.call(ringsim.CallSpec{})
	se := account + "/telephony/sessions/" + call.SessionID()
	for _, tc := range []struct {
		method, path string
		status       int
		code         string
		violation    bool
	}{
		{"GET", account + "/presence/detailedTelephonyState=true&sipData=true", 404, "CMN-120", true},
		{"GET", account + "/nonsense", 404, "CMN-120", true},
		{"PUT", account + "/extension/~", 404, "CMN-120", true},
		{"DELETE", se, 403, "TAS-100", true},
		{"PATCH", se, 403, "TAS-100", true},
		{"DELETE", se + "/parties/" + call.AgentParty(), 403, "TAS-100", true},
		{"PATCH", se + "/parties/" + call.AgentParty(), 403, "TAS-100", true},
		{"GET", "/restapi/v1.0/account/1/extension", 404, "AGW-404", false},
		{"GET", account + "/extension/1", 404, "CMN-102", false},
		{"GET", account + "/call-monitoring-groups/1/members", 404, "CMN-102", false},
		{"GET", account + "/call-monitoring-groups?memberExtensionId=1", 404, "CMN-102", false},
		{"GET", account + "/device/1", 404, "CMN-102", false},
		{"GET", se + "/parties/p-1", 404, "CMN-102", false},
	} {
		before := len(c.sim.Violations())
		r := c.do(tc.method, tc.path, "", "")
		if r.status != tc.status || r.code() != tc.code {
			t.Errorf("%s %s: got %d %s, want %d %s", tc.method, tc.path, r.status, r.raw, tc.status, tc.code)
		}
		if got := len(c.sim.Violations()) > before; got != tc.violation {
			t.Errorf("%s %s: violation %v, want %v", tc.method, tc.path, got, tc.violation)
		}
	}
	if s := c.ok(se); s["parties"].([]any)[0].(object)["status"].(object)["code"] != "Answered" {
		t.Errorf("a refused DELETE touched the call: %v", s)
	}
	if n := c.sim.Requested("DELETE", "/restapi/v1.0/account/{account}/telephony/sessions/{session}"); n != 1 {
		t.Errorf("counted %d DELETEs of a session, want 1", n)
	}
	var unknown int
	for _, r := range c.sim.Requests() {
		if r.Pattern == "(unknown)" && r.Status == 404 {
			unknown = r.Count
		}
	}
	if unknown != 3 {
		t.Errorf("counted %d unknown requests, want 3", unknown)
	}
}

func TestAViolationFailsTheTestThatUsesTheSimulator(t *testing.T) {
	f := &fakeTB{}
	s := ringsim.Start(f, ringsim.Config{Limits: ringsim.Unlimited, Out: t.TempDir()})
	c := &rest{t: t, sim: s, http: start(t, ringsim.Config{}).http}
	c.get("/nothing")
	f.cleanup()
	if !strings.Contains(f.fatal, "unknown request: GET /nothing") {
		t.Errorf("Fatalf got %q, want the violation", f.fatal)
	}
}

// fakeTB records how a test would have ended.
type fakeTB struct {
	cleanup func()
	fatal   string
}

func (f *fakeTB) Helper()                        {}
func (f *fakeTB) Cleanup(fn func())              { f.cleanup = fn }
func (f *fakeTB) Fatalf(format string, a ...any) { f.fatal = fmt.Sprintf(format, a...) }
