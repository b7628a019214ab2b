package supervise

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// found gives the findings on one thing.
func found(findings []Finding, what string) (out []Finding) {
	for _, f := range findings {
		if strings.HasPrefix(f.What, what) {
			out = append(out, f)
		}
	}
	return out
}

func TestAdviceDoesNotHangOnACode(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 8))
	codes := []string{"TAS-106", "TAS-112", "TAS-113", "TAS-114", "ABC-1", ""}
	for range 10 {
		codes = append(codes, fmt.Sprintf("TAS-%d", 100+r.IntN(900)))
	}
	for _, agentInGroup := range []bool{true, false} {
		advised := map[string]string{}
		for _, code := range codes {
			if code == "TAS-120" {
				continue // the one that was seen
			}
			inBubble(t, func(t *testing.T) {
				f := newFake(t)
				f.sessions[sess1] = twoParty()
				f.hook = func(w http.ResponseWriter, r *http.Request, _ string) bool {
					switch {
					case strings.HasSuffix(r.URL.Path, "/supervise"):
						refuse(w, 409, code, "text of RingCentral's", "", "")
						return true
					case strings.HasSuffix(r.URL.Path, "/members") && !agentInGroup:
						fmt.Fprint(w, `{"records":[{"id":"62226587016","extensionNumber":"101","permissions":["Monitoring"]}]}`)
						return true
					}
					return false
				}
				s, _, _ := running(t, f, func(c *Config) { c.NoFeed = true })
				pass(30 * time.Second)
				findings, agents := Check(t.Context(), s.Accounts(), CheckOptions{})
				told := found(findings, "call "+sess1)
				if len(told) != 1 || agents != 1 || !strings.Contains(told[0].Found, "text of RingCentral's") || !strings.Contains(told[0].Found, code) {
					t.Fatalf("%q: got %+v, want the call with code and text as they came", code, findings)
				}
				advised[told[0].Do] = code
			})
		}
		if len(advised) != 1 {
			t.Errorf("agent in group %v: advice differs by code: %q", agentInGroup, advised)
		}
		for do := range advised {
			if inGroup := !strings.Contains(do, "108 is in no group"); inGroup != agentInGroup || strings.Contains(do, "TAS") {
				t.Errorf("agent in group %v: %q", agentInGroup, do)
			}
		}
	}
}

func TestAHumanWhoListensExplainsARefusal(t *testing.T) {
	c := &checkup{logins: []*checkedLogin{{
		account: &Account{}, owner: Person{ID: ownExt, Extension: "101"}, devices: []Device{{ID: deviceID, Status: "Online"}},
		groups: []MonitoringGroup{{ID: "1", Members: []GroupMember{{ID: ownExt, Monitoring: true}, {ID: agentExt, Extension: "108", Monitored: true}}}},
		calls:  []AccountCall{{Session: sess1, SupervisedBy: "105"}},
	}}}
	refused := CallStatus{Session: sess1, Agent: "108", Cause: "refused: supervise party: 409 TAS-999: no"}
	if do := c.explain(refused); !strings.Contains(do, "105 listens") {
		t.Errorf("got %q", do)
	}
	c.logins[0].calls[0].SupervisedBy = "101"
	if do := c.explain(refused); !strings.Contains(do, "look as they should") {
		t.Errorf("our own supervision counted: got %q", do)
	}
	c.logins[0].devices[0].Status = "Offline"
	if do := c.explain(refused); !strings.Contains(do, deviceID+" is Offline") {
		t.Errorf("got %q", do)
	}
	if do := c.explain(CallStatus{Session: sess1, Agent: "108", Cause: "no_capacity: full"}); !strings.Contains(do, "sizing") {
		t.Errorf("got %q", do)
	}
	if do := c.explain(CallStatus{Session: sess1, Agent: "108", Cause: "no_invite: nothing came"}); !strings.Contains(do, "another program") {
		t.Errorf("got %q", do)
	}
}

func TestADaemonsDeviceIsComparedWithItsRegistration(t *testing.T) {
	for _, c := range []struct {
		registered bool
		status     string
		mark, text string
	}{
		{true, "Online", MarkOK, "the daemon registered"},
		{true, "Offline", MarkWarn, "RingCentral shows device " + deviceID + " as Offline"},
		{false, "Online", MarkFail, "another program is"},
		{false, "Offline", MarkFail, "the daemon is not registered"},
	} {
		f := newFake(t)
		f.hook = func(w http.ResponseWriter, r *http.Request, _ string) bool {
			if !strings.HasSuffix(r.URL.Path, "/extension/~/device") {
				return false
			}
			fmt.Fprintf(w, `{"records":[{"id":%q,"type":"OtherPhone","name":"Phone","status":%q,"extension":{"id":%s,"extensionNumber":"101"}}]}`, deviceID, c.status, ownExt)
			return true
		}
		cfg := f.config()
		cfg.Registered = func() bool { return c.registered }
		s := mustNew(t, cfg)
		findings, _ := Check(t.Context(), s.Accounts(), CheckOptions{})
		if got := found(findings, "registration"); len(got) != 1 || got[0].Mark != c.mark || !strings.Contains(got[0].Found, c.text) {
			t.Errorf("registered %v, %s: got %+v, want %s with %q", c.registered, c.status, got, c.mark, c.text)
		}
		if n := f.requests("wstoken"); n != 0 {
			t.Errorf("%d tokens for the feed asked for: the daemon's own tells", n)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// cable is a way to RingCentral that can be cut.
type cable struct {
	to  http.RoundTripper
	cut atomic.Bool
}

func (c *cable) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.cut.Load() {
		return nil, errors.New("connection refused")
	}
	return c.to.RoundTrip(r)
}

func TestAServerThatIsGoneIsToldOnceAndNoPermissionIsBlamed(t *testing.T) {
	f := newFake(t)
	line := &cable{to: f}
	cfg := f.config()
	cfg.HTTP = &http.Client{Transport: line}
	s := mustNew(t, cfg)
	defer s.Close() //nolint:errcheck // nothing was written
	if findings, _ := Check(t.Context(), s.Accounts(), CheckOptions{}); len(found(findings, "server")) != 1 || found(findings, "server")[0].Mark != MarkOK {
		t.Fatalf("before: %+v", findings)
	}
	line.cut.Store(true)
	// Another daemon's look, not answers of the last seconds; the login, and with it the scopes, are still known.
	accounts := s.Accounts()
	for _, a := range accounts {
		a.known = map[string]*answer{}
	}
	findings, _ := Check(t.Context(), accounts, CheckOptions{})
	if len(findings) != 1 || findings[0].What != "server" || findings[0].Mark != MarkFail || !strings.Contains(findings[0].Do, "ringcentral.server") {
		t.Errorf("got %+v, want one finding: the server", findings)
	}
	c := &checkup{}
	c.refused(nil, MarkFail, "groups", "give the user a permission", errors.New("connection reset")) // when it goes in the middle
	if strings.Contains(c.findings[0].Do, "permission") {
		t.Errorf("a server that is gone: %q", c.findings[0].Do)
	}
}

func TestTheSandboxAndAWrongClockAreTold(t *testing.T) {
	f := newFake(t)
	f.hook = func(w http.ResponseWriter, _ *http.Request, _ string) bool {
		w.Header().Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
		return false
	}
	cfg := f.config()
	cfg.Server = "https://platform.devtest.ringcentral.com"
	accounts, err := NewAccounts(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer accounts[0].Close()
	findings, _ := Check(t.Context(), accounts, CheckOptions{})
	if got := found(findings, "server"); len(got) != 2 || got[1].Mark != MarkWarn || !strings.Contains(got[1].Found, "sandbox") {
		t.Errorf("server: got %+v", got)
	}
	if got := found(findings, "clock"); len(got) != 1 || got[0].Mark != MarkWarn || !strings.Contains(got[0].Found, "h0m") && !strings.Contains(got[0].Found, "59m59") {
		t.Errorf("clock: got %+v", got)
	}
}

func TestRequestsOfOthersAndPenaltiesAreTold(t *testing.T) {
	f := newFake(t)
	f.hook = func(w http.ResponseWriter, r *http.Request, _ string) bool {
		if strings.HasSuffix(r.URL.Path, "/presence") {
			w.Header().Set("Retry-After", "40")
			w.Header().Set("X-Rate-Limit-Group", "heavy")
			w.Header().Set("X-Rate-Limit-Limit", "10")
			refuse(w, 429, "CMN-301", "Request rate exceeded", "", "")
			return true
		}
		if r.Method == http.MethodGet {
			w.Header().Set("X-Rate-Limit-Remaining", "3")
		}
		return false
	}
	accounts, err := NewAccounts(f.config())
	if err != nil {
		t.Fatal(err)
	}
	defer accounts[0].Close()
	findings, _ := Check(t.Context(), accounts, CheckOptions{})
	text := fmt.Sprint(found(findings, "rate limits"))
	if !strings.Contains(text, "penalty lasts") || !strings.Contains(text, "light: 4") || !strings.Contains(text, "heavy 10 in 1m0s") {
		t.Errorf("got %s", text)
	}
	if got := found(findings, "presence"); len(got) != 1 || got[0].Mark != MarkFail || !strings.Contains(got[0].Found, "429 CMN-301") {
		t.Errorf("presence: got %+v", got)
	}
}
