package supervise

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// presenceOf reads presence as RingCentral writes it: "extension number direction state from to session" for each entry.
func presenceOf(t *testing.T, entries ...[7]string) []presenceRecord {
	t.Helper()
	byExtension := map[string]*presenceRecord{}
	var order []string
	for _, e := range entries {
		if byExtension[e[0]] == nil {
			r := presenceRecord{Extension: extensionRef{ID: text(e[0]), Number: text(e[1])}}
			byExtension[e[0]] = &r
			order = append(order, e[0])
		}
		if e[6] != "" {
			byExtension[e[0]].ActiveCalls = append(byExtension[e[0]].ActiveCalls, activeCall{
				Direction: text(e[2]), Telephony: text(e[3]), From: text(e[4]), To: text(e[5]), SessionID: text(e[6]), PartyID: text("p-" + e[0]),
			})
		}
	}
	var out []presenceRecord
	for _, id := range order {
		out = append(out, *byExtension[id])
	}
	return out
}

// ownAccount is a login that nobody else uses.
func ownAccount(t *testing.T, f *fakeRC) *Account {
	t.Helper()
	accounts, err := NewAccounts(f.config())
	if err != nil || len(accounts) != 1 {
		t.Fatalf("got %d accounts, %v", len(accounts), err)
	}
	return accounts[0]
}

func TestASupervisorIsNoCallOfHisOwn(t *testing.T) {
	calls := accountCalls(presenceOf(t,
		[7]string{"1", "108", "Inbound", "CallConnected", "+14085550164", "+12055550173", "s-1"},
		[7]string{"9", "101", "Outbound", "CallConnected", "101", "108", "s-1"},
		[7]string{"2", "109", "Outbound", "OnHold", "+12055550174", "+14085550165", "s-2"},
	))
	if len(calls) != 2 || calls[0].Agent.Extension != "108" || calls[0].SupervisedBy != "101" || calls[0].State != "connected" ||
		calls[0].Customer.Number != "+14085550164" || calls[0].Internal {
		t.Errorf("got %+v, want 108's call with the customer, supervised by 101", calls)
	}
	if calls[1].SupervisedBy != "" || calls[1].State != "held" || calls[1].Direction != DirectionOutbound || calls[1].Customer.Number != "+14085550165" {
		t.Errorf("got %+v, want 109's held call, not supervised", calls[1])
	}
}

func TestAnInternalCallIsNotTakenForSupervision(t *testing.T) {
	calls := accountCalls(presenceOf(t,
		[7]string{"1", "108", "Outbound", "CallConnected", "108", "109", "s-1"},
		[7]string{"2", "109", "Inbound", "CallConnected", "108", "109", "s-1"},
		[7]string{"9", "101", "Outbound", "CallConnected", "101", "108", "s-1"},
	))
	if len(calls) != 2 {
		t.Fatalf("got %+v, want both sides of the call between 108 and 109", calls)
	}
	for _, c := range calls {
		if !c.Internal || (c.Agent.Extension == "108") != (c.SupervisedBy == "101") {
			t.Errorf("got %+v, want it internal, and 108's side supervised by 101", c)
		}
	}
}

func TestEntriesWithoutACallAreNone(t *testing.T) {
	calls := accountCalls(presenceOf(t,
		[7]string{"1", "108", "Inbound", "NoCall", "+1", "+2", "s-1"},
		[7]string{"2", "109", "", "", "", "", ""},
		[7]string{"3", "110", "Inbound", "Ringing", "", "", "s-3"},
		[7]string{"4", "", "Outbound", "SomethingNew", "", "", "s-4"},
	))
	if len(calls) != 2 || calls[0].State != "ringing" || calls[1].State != "SomethingNew" {
		t.Errorf("got %+v, want the ringing one and the one in an unknown state", calls)
	}
}

func TestThoseWhoLookLeaveTheBudgetToTheJoins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.sessions[sess1] = twoParty()
		s, err := New(f.config())
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		a := s.Accounts()[0]
		var newest time.Time
		for range 50 { // all within a minute
			time.Sleep(time.Second)
			calls, taken, err := a.Calls(t.Context())
			if err != nil || len(calls) != 1 || taken.Before(newest) || time.Since(taken) > time.Minute {
				t.Fatalf("got %d calls of %s ago, %v", len(calls), time.Since(taken), err)
			}
			newest = taken
		}
		if n := f.requests(`GET .*/presence$`); n > 4 || n < 2 {
			t.Errorf("presence was looked at %d times in 50 s, want 2 to 4 of the 10 that a minute has", n)
		}
		if err := s.lead().limits.wait(t.Context(), groupHeavy, shareLook, 0); err != nil {
			t.Errorf("the daemon's own look: %v, want it to have its budget", err)
		}
		if f.logins != 1 {
			t.Errorf("%d logins, want the Supervisor's", f.logins)
		}
	})
}

func TestABudgetThatIsUsedUpIsToldWithWhenToAskAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		s, err := New(f.config())
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for range 5 { // the loop's looks
			if err := s.lead().limits.wait(t.Context(), groupHeavy, shareLook, 0); err != nil {
				t.Fatal(err)
			}
		}
		r := Reports(t.Context(), s.Accounts(), AskCalls)[0]
		if r.Error == "" || r.Hint != "the daemon's joins come first: ask again in 1m0s" || r.Owner.Extension != "101" || !r.Taken.IsZero() {
			t.Errorf("got %+v", r)
		}
	})
}

func TestAnAccountOfItsOwnLogsInOnceAndRevokes(t *testing.T) {
	f := newFake(t)
	a := ownAccount(t, f)
	for _, q := range []string{AskCalls, AskDevices, AskGroups} {
		if r := Reports(t.Context(), []*Account{a}, q)[0]; r.Error != "" || r.Owner != (Person{ID: ownExt, Extension: "101", Name: "Supervisor ABC"}) {
			t.Errorf("%s: got %+v", q, r)
		}
	}
	if a.Close() != nil || a.Close() != nil || f.logins != 1 || f.requests("oauth/revoke") != 1 {
		t.Errorf("%d logins, %d revoked, want one of each", f.logins, f.requests("oauth/revoke"))
	}
	for token, good := range f.tokens {
		if good {
			t.Errorf("%s is still good", token)
		}
	}
}

func TestGroupsOfTheUserComeFirstWhereNotAllCanBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		type rec struct {
			ID   string `json:"id"`
			Name string `json:"name"`
		}
		var all []rec
		for i := range 60 {
			all = append(all, rec{fmt.Sprint(i), fmt.Sprint("Team ", i)})
		}
		f.hook = func(w http.ResponseWriter, r *http.Request, _ string) bool {
			w.Header().Set("X-Rate-Limit-Group", "medium")
			w.Header().Set("X-Rate-Limit-Limit", "40")
			switch r.URL.Path {
			case account + "call-monitoring-groups":
				list := all
				if r.URL.Query().Get("memberExtensionId") == ownExt {
					list = all[55:57]
				}
				json.NewEncoder(w).Encode(map[string]any{"records": list})
				return true
			case account + "extension/~", "/restapi/oauth/token", "/restapi/oauth/revoke":
				return false
			}
			fmt.Fprint(w, `{"records":[{"id":"62226587016","extensionNumber":"101","permissions":["Monitored","Monitoring - User"]}]}`)
			return true
		}
		s, err := New(f.config())
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		groups, _, err := s.Accounts()[0].Groups(t.Context())
		if err != nil || len(groups) != 60 {
			t.Fatalf("got %d groups, %v", len(groups), err)
		}
		if groups[0].ID != "55" || groups[1].ID != "56" || !groups[0].Monitors(ownExt) || len(groups[0].Monitored(ownExt)) != 0 {
			t.Errorf("got %+v first, want the user's own", groups[:2])
		}
		unread := 0
		for _, g := range groups {
			if g.Unread != "" {
				unread++
			}
		}
		if unread < 40 || unread > 50 {
			t.Errorf("%d of 60 groups unread, want most: 16 of the 40 requests a minute are theirs", unread)
		}
	})
}

func TestTheClockIsReadFromTheDateHeader(t *testing.T) {
	var c clockOffset
	if _, _, known := c.read(); known {
		t.Error("known before an answer came")
	}
	sent := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	c.note(http.Header{"Date": {"Mon, 23 Nov 2026 10:02:00 GMT"}}, sent, sent.Add(200*time.Millisecond))
	ahead, within, known := c.read()
	if !known || ahead < 2*time.Minute-time.Second || ahead > 2*time.Minute+time.Second || within != 600*time.Millisecond {
		t.Errorf("got %s within %s, %v", ahead, within, known)
	}
	c.note(http.Header{"Date": {"yesterday"}}, sent, sent)
	if again, _, _ := c.read(); again != ahead {
		t.Errorf("a header that is no date changed %s to %s", ahead, again)
	}
}

func TestScopesAreAsTheTokenNamesThem(t *testing.T) {
	f := newFake(t)
	f.hook = func(w http.ResponseWriter, r *http.Request, _ string) bool {
		if r.URL.Path != "/restapi/oauth/token" {
			return false
		}
		fmt.Fprint(w, `{"access_token":"t","expires_in":3600,"scope":"ReadPresence CallControl"}`)
		return true
	}
	a := ownAccount(t, f)
	defer a.Close()
	scopes, err := a.Scopes(t.Context())
	if err != nil || fmt.Sprint(scopes) != "[CallControl ReadPresence]" {
		t.Errorf("got %v, %v", scopes, err)
	}
}

func TestTheScopeOfCallsIsAskedWithoutACall(t *testing.T) {
	f := newFake(t)
	a := ownAccount(t, f)
	defer a.Close()
	if err := a.MayControl(t.Context()); err != nil {
		t.Errorf("got %v, want nil: 404 is an answer about the call", err)
	}
	a = newAccount(a.cfg, a.login, a.client, nil) // with no answer of the last seconds
	f.hook = func(w http.ResponseWriter, r *http.Request, _ string) bool {
		if r.Method == http.MethodGet {
			refuse(w, 403, "CMN-401", "application needs to have [CallControl] permission", "", "CallControl")
		}
		return r.Method == http.MethodGet
	}
	err := a.MayControl(t.Context())
	if e, ok := errors.AsType[*APIError](err); !ok || e.Permission != "CallControl" {
		t.Errorf("got %v, want CMN-401", err)
	}
}

// TestLooksOfTheDaemonServeWhoAsksForCallsBesideAUsedBudget: the looks of a user who joins calls by hand use it up, for one.
func TestLooksOfTheDaemonServeWhoAsksForCallsBesideAUsedBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		s := mustNew(t, f.config())
		if _, err := s.look(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.set(func() { f.sessions[sess1] = twoParty() })
		for range 4 {
			pass(answerFresh)
			if _, err := s.lookByHand(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
		}
		before, taken := f.requests("/presence"), time.Now()
		pass(answerFresh)
		calls, at, err := s.Accounts()[0].Calls(t.Context())
		if err != nil || len(calls) != 1 || !at.Equal(taken) || f.requests("/presence") != before {
			t.Errorf("got %d calls of %v, %v, want the one of %v; %d requests more", len(calls), at, err, taken, f.requests("/presence")-before)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}
