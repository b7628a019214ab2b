package supervise

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"
)

// The JSON of RingCentral's Supervision API page of 2019, as printed there.
const (
	seedPresence = `{
   "uri":"https://platform.ringcentral.com/restapi/v1.0/account/809646016/extension/62226587016/pr esence",
   "extension":{"uri":"https://platform.ringcentral.com/restapi/v1.0/account/809646016/extension/62226587016","id":62226587016,"extensionNumber":"108"},
   "presenceStatus":"Busy","telephonyStatus":"CallConnected","userStatus":"Available","dndStatus":"TakeAllCalls","meetingStatus":"Disconnected",
   "allowSeeMyPresence":true,"ringOnMonitoredCall":false,"pickUpCallsOnHold":false,
   "activeCalls":[{"id":"8bd930cab325416aa054238237eb8832","direction":"Inbound","fromName":"CUSTOMER A","from":"+14085550164",
         "toName":"Bob Brown","to":"+12055550173","telephonyStatus":"CallConnected",
         "sipData":{"toTag":"qf-7.p","fromTag":"10.13.22.25-5070-742e2a888ab14be","remoteUri":"do-not-use-me-I-am-useless","localUri":"do-not-use-me-I-am-useless"},
         "sessionId":"183851523016","startTime":"2019-03-26T22:16:29.629+0000","partyId":"cs168629785304410134536-2","telephonySessionId":"XXXXXXXXXX"}]}`
	seedDevice = `{"uri":"https://platform.ringcentral.com/restapi/v1.0/account/809646016/device/60727004","id":"60727004","type":"SoftPhone","sku":"DV-1",
   "name":"Softphone - Digital Line","serial":"LMRC8531","computerName":"LMRC8531","status":"Online",
   "extension":{"uri":"https://platform.ringcentral.com/restapi/v1.0/account/809646016/extension/809646016","id":809646016,"extensionNumber":"101"}}`
	seedAnswer = `{"direction":"Outbound","from":{"deviceId":"60727004","extensionId":"809646016","name":"Supervisor ABC","phoneNumber":"101"},
    "id":"party-4","muted":false,"owner":{"accountId":"809646016","extensionId":"809646016"},"standAlone":false,
    "status":{"code":"Answered","reason":"Supervising"},"to":{"extensionId":"62226587016","name":"Bob Brown","phoneNumber":"108"}}`
	seedConfirmed = `{"activeCalls":[{"id":"aa97ce30b90441158a421ca0e9c0a233","direction":"Outbound","fromName":"Supervisor ABC","from":"101","toName":"Agent",
         "to":"108","telephonyStatus":"CallConnected","sipData":{"toTag":"I2rP","remoteUri":"do-not-use-me-I-am-useless"},"sessionId":"590506730017",
         "startTime":"2019-03-27T19:14:22.564+0000","partyId":"party-4","telephonySessionId":"XXXXXXXXXX"}]}`
)

func TestSupervisionPageSamplesParse(t *testing.T) {
	records, err := parseList[presenceRecord]([]byte(seedPresence))
	if err != nil {
		t.Fatal(err)
	}
	snap := makeSnapshot(records, configured([]string{"108"}), nil, time.Time{})
	if len(snap.calls) != 1 {
		t.Fatalf("presence: got %d calls, want 1", len(snap.calls))
	}
	c := snap.calls[0]
	if c.agent.ID != "62226587016" || c.agent.Extension != "108" || c.session != "XXXXXXXXXX" || c.party != "cs168629785304410134536-2" ||
		c.customer.Number != "+14085550164" || !c.started.Equal(time.Date(2019, 3, 26, 22, 16, 29, 629e6, time.UTC)) {
		t.Errorf("presence: got %+v", c)
	}
	devices, err := parseDevices([]byte(seedDevice))
	if err != nil || len(devices) != 1 || devices[0] != (Device{"60727004", "Softphone - Digital Line", "SoftPhone", "Online", "101", "809646016"}) {
		t.Errorf("device: got %+v, %v", devices, err)
	}
	if own := parseSupervised([]byte(seedAnswer)); own != "party-4" {
		t.Errorf("answer: got %q, want party-4", own)
	}
	if own := parseSupervised([]byte(`{"party":` + seedAnswer + `}`)); own != "party-4" {
		t.Errorf("wrapped answer: got %q, want party-4", own)
	}
	records, err = parseList[presenceRecord]([]byte(seedConfirmed))
	if err != nil || !makeSnapshot(records, agentSet{}, nil, time.Time{}).any["party-4"] {
		t.Errorf("after the join: got %+v, %v, want party-4 to be seen", records, err)
	}
}

func TestStartTimeInBothForms(t *testing.T) {
	want := time.Date(2026, 11, 23, 10, 16, 29, 629e6, time.UTC)
	for _, s := range []string{"2026-11-23T10:16:29.629+0000", "2026-11-23T10:16:29.629Z", "2026-11-23T11:16:29.629+01:00", "2026-11-23T05:16:29.629-0500"} {
		if got := parseTime(s); !got.Equal(want) {
			t.Errorf("%s: got %s", s, got)
		}
	}
	for _, s := range []string{"", "yesterday", "2026-13-01T00:00:00Z"} {
		if got := parseTime(s); !got.IsZero() {
			t.Errorf("%s: got %s, want zero", s, got)
		}
	}
}

func TestOneBadRecordDoesNotLoseThePage(t *testing.T) {
	page := `{"records":["x",null,7,{"extension":"y"},{"extension":{"id":1,"extensionNumber":108},"activeCalls":{"a":1}},
		{"extension":{"id":"2"},"activeCalls":[3,{"telephonySessionId":9,"partyId":null,"telephonyStatus":"CallConnected","from":{"x":1}}]}]}`
	records, err := parseList[presenceRecord]([]byte(page))
	if err != nil || len(records) != 2 || records[0].Extension.Number != "108" || records[1].ActiveCalls[0].SessionID != "9" {
		t.Errorf("got %+v, %v", records, err)
	}
	if p := parsePaging([]byte(`{"paging":{"page":1,"totalPages":3},"navigation":{}}`)); !p.more(2) || p.more(3) {
		t.Errorf("paging by count: got %+v", p)
	}
	if p := parsePaging([]byte(`{"navigation":{"nextPage":{"uri":"x"}}}`)); !p.more(2) {
		t.Errorf("paging by link: got %+v", p)
	}
}

func TestSessionForms(t *testing.T) {
	// Outbound call of the agent: the agent is the caller; the customer has no extension; one party by owner, one without.
	const plain = `{"id":"s-1","parties":[
		{"id":"p-1","direction":"Outbound","extensionId":"7","from":{"deviceId":"9","extensionId":"7","phoneNumber":"108","name":"Bob"},"to":{"phoneNumber":"+1408"},"status":{"code":"Answered"}},
		{"id":"p-2","direction":"Inbound","to":{"phoneNumber":"+1408","name":"C"},"status":{"code":"Answered"}},
		{"id":"p-3","owner":{"extensionId":8},"status":{"code":"Answered","reason":"Supervising"}},{"direction":"Inbound"}],"new":{"field":[]}}`
	want := []partyState{
		{ID: "p-1", ExtensionID: "7", Status: "Answered", Outbound: true, Name: "Bob", Number: "108", Far: farEnd{Number: "+1408"}},
		{ID: "p-2", Status: "Answered", Name: "C", Number: "+1408"},
		{ID: "p-3", ExtensionID: "8", Status: "Answered", Reason: "Supervising", Supervising: true},
	}
	for _, doc := range []string{plain, `{"session":` + plain + `}`} {
		got, err := parseSession([]byte(doc))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
	for _, doc := range []string{`{}`, `[]`, `{"parties":null}`, ``, `<html>`} {
		if got, err := parseSession([]byte(doc)); err == nil {
			t.Errorf("%q: got %+v, want an error", doc, got)
		}
	}
}

// FuzzPresence: whatever the server sends, the calls that come out are usable, and white space changes nothing.
func FuzzPresence(f *testing.F) {
	f.Add([]byte(seedPresence))
	f.Add([]byte(seedConfirmed))
	f.Add([]byte(`{"records":[` + seedPresence + `,null,7,{"extension":{"id":1e99}}],"paging":{"totalPages":"2"}}`))
	f.Add([]byte(`{"records":[{"extension":{"id":62295327016,"extensionNumber":108},"activeCalls":[{"telephonyStatus":"OnHold","telephonySessionId":"s","startTime":5}]}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		records, err := parseList[presenceRecord](b)
		if err != nil {
			return
		}
		agents := configured([]string{"108", "62226587016"})
		snap := makeSnapshot(records, agents, ownSet{"1"}, time.Time{})
		for _, c := range snap.calls {
			if c.session == "" || (c.agent.ID == "" && c.agent.Extension == "") || c.agent.ID == "1" {
				t.Errorf("got a call without session or agent: %+v", c)
			}
		}
		parsePaging(b).more(1)
		var dense bytes.Buffer
		if json.Compact(&dense, b) == nil {
			again, err := parseList[presenceRecord](dense.Bytes())
			if err != nil || !reflect.DeepEqual(again, records) {
				t.Errorf("compacted: got %+v, %v, want %+v", again, err, records)
			}
		}
		c := newCore(ModeParty, time.Second)
		now := time.Unix(1000, 0)
		c.look(now, snap)
		c.tick(now, true)
		c.look(now.Add(time.Second), snapshot{taken: now.Add(time.Second)})
		for _, s := range c.sessions {
			if s.inCall {
				t.Errorf("session %q is in call after a look that does not show it", s.id)
			}
		}
	})
}

// FuzzSession: a plan that is ready asks for streams that can be named in a path, and never for a supervisor's.
func FuzzSession(f *testing.F) {
	f.Add([]byte(`{"parties":[{"id":"p-1","direction":"Outbound","status":{"code":"Answered"}},{"id":"p-2","extensionId":7,"status":{"code":"Answered"}}]}`))
	f.Add([]byte(`{"session":{"parties":[{"id":"p-1","owner":{"extensionId":"7"},"status":{"code":"Hold","reason":"Supervising"}}]}}`))
	f.Add([]byte(seedAnswer))
	f.Fuzz(func(t *testing.T, b []byte) {
		parties, err := parseSession(b)
		if err != nil {
			return
		}
		for _, mode := range []string{ModeParty, ModeSession} {
			p := makePlan(mode, parties, Agent{ID: "7", Extension: "108"}, ownSet{"8"}, "p-2")
			if p.ready && (p.over || !p.live || len(p.streams) == 0) {
				t.Errorf("plan contradicts itself: %+v", p)
			}
			for _, s := range p.streams {
				if p.ready && p.mode == ModeParty && s.ID == "" {
					t.Errorf("party plan without ids: %+v", p)
				}
			}
		}
		parseSupervised(b)
		if e := parseAPIError(opSession, 400, b); strings.ContainsAny(e.Error(), "\n\r") {
			t.Errorf("error text has line breaks: %q", e.Error())
		}
	})
}

// TestControlCharactersStayOutside: what RingCentral says is shown on terminals, which obey some of them.
func TestControlCharactersStayOutside(t *testing.T) {
	t.Parallel()
	const evil = `\u001b[2J\u009b2Kx\u0000\r\n`
	devices, err := parseDevices([]byte(`{"records":[{"id":"1` + evil + `","status":"` + evil + `","type":"` + evil + `"}]}`))
	if err != nil || len(devices) != 1 {
		t.Fatalf("got %v, %v", devices, err)
	}
	states, err := parseSession([]byte(`{"parties":[{"id":"p` + evil + `","from":{"phoneNumber":"` + evil + `"},"to":{"phoneNumber":"` + evil + `"}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%+v %+v", devices, states); strings.ContainsFunc(got, unicode.IsControl) || !strings.Contains(got, "2Kx") {
		t.Errorf("got %q, want no control character", got)
	}
}
