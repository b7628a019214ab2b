package supervise

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot/earshot/call"
)

// logLines is a bounded log that can be searched.
type logLines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logLines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// pass lets simulated time go by: the caller is in a synctest bubble.
func pass(d time.Duration) { time.Sleep(d) }

// running starts Run in a synctest bubble and stops it at the end of the test.
func running(t *testing.T, f *fakeRC, change func(*Config)) (*Supervisor, *watcher, *logLines) {
	t.Helper()
	return runningWith(t, f, change, nil)
}

// runningWith is running with a last word before Run.
func runningWith(t *testing.T, f *fakeRC, change func(*Config), before func(*Supervisor)) (*Supervisor, *watcher, *logLines) {
	t.Helper()
	h, log := &watcher{}, &logLines{}
	cfg := f.config()
	cfg.Handler = h
	cfg.Log = slog.New(slog.NewTextHandler(log, nil))
	if change != nil {
		change(&cfg)
	}
	s := mustNew(t, cfg)
	f.sup = s
	if before != nil {
		before(s)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: got %v", err)
		}
		if n := len(f.tokens); n != 0 {
			t.Errorf("after Run: got %d live logins, want none", n)
		}
		if text := log.text(); strings.Contains(text, "made-up") || strings.Contains(text, "+1408") || strings.Contains(text, "CUSTOMER") {
			t.Errorf("the log holds a secret, a number or a name: %s", text)
		}
	})
	return s, h, log
}

// inBubble runs a test with fake time, its Run included.
func inBubble(t *testing.T, body func(t *testing.T)) {
	synctest.Test(t, body)
}

func TestRunJoinsBothPartiesAlsoWhenTheInviteComesFirst(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := newFake(t)
		f.numberIDs = true
		f.sessions[sess1] = twoParty()
		var joins []Join
		f.supervised = func(session, party, own string) { // the INVITE overtakes the answer to the POST
			j, ok := f.sup.Match(Ref{session, own}, Ref{session, party})
			if !ok || j.Party.ID != party || j.OwnParty != own || j.Agent.Extension != "108" || j.Mode != ModeParty || len(j.Expected) != 2 {
				t.Errorf("INVITE for %s before the answer: got %+v, %t", party, j, ok)
			}
			f.set(func() { joins = append(joins, j) })
			f.sup.Answered(j.Session, j.Party.ID)
		}
		s, h, log := running(t, f, nil)
		eventually(t, 20*time.Second, "both dialogs confirmed", func() bool {
			st := s.Status()
			return len(st.Calls) == 1 && st.Calls[0].State == "joined" && st.Calls[0].Confirmed
		})
		if n := f.requests("/supervise$"); n != 2 {
			t.Errorf("got %d supervise requests, want 2", n)
		}
		for _, b := range f.bodies {
			if len(b) != 4 || b["mode"] != "Listen" || b["supervisorDeviceId"] != deviceID || b["agentExtensionId"] != agentExt || b["autoAnswer"] != true {
				t.Errorf("body: got %v", b)
			}
		}
		f.set(func() {
			for _, j := range joins {
				want := call.Party{ID: custParty, Role: call.RoleCustomer, Name: "CUSTOMER A", Number: "+14085550164", IdentifiedBy: call.ByMonitoringIDs}
				if j.Party.Role == call.RoleCustomer && j.Party != want {
					t.Errorf("customer: got %+v, want %+v", j.Party, want)
				}
			}
			if joins[0].Expected[0].Role != call.RoleCustomer || joins[0].Expected[1].Role != call.RoleAgent {
				t.Errorf("expected streams: got %+v, want customer, agent", joins[0].Expected)
			}
		})
		if !s.InCall(sess1) {
			t.Error("InCall: got false, want true")
		}
		if st := s.Status(); !st.LoggedIn || st.Agents != 1 || st.Devices[0].Device.Status != "Online" || st.LastLook.IsZero() || len(st.Errors) != 0 {
			t.Errorf("status: got %+v", st)
		}
		// The call ends: BYE on both dialogs, the session shows it, presence lags.
		f.set(func() {
			for i := range f.sessions[sess1].parties {
				f.sessions[sess1].parties[i].status = "Disconnected"
			}
		})
		s.Ended(sess1, custParty, call.Cause{Code: call.CodeHangup})
		s.Ended(sess1, agentParty, call.Cause{Code: call.CodeHangup})
		start := time.Now()
		eventually(t, 3*time.Second, "gone", func() bool { _, _, gone := h.counts(); return gone == 1 })
		if s.InCall(sess1) || time.Since(start) > time.Second {
			t.Errorf("after %s: InCall %t, want false within a second of the BYE", time.Since(start), s.InCall(sess1))
		}
		time.Sleep(time.Minute)
		if n := f.requests("/supervise$"); n != 2 {
			t.Errorf("after the end: got %d supervise requests, want still 2", n)
		}
		if n := strings.Count(log.text(), "level=INFO"); n > 5 {
			t.Errorf("got %d info lines for a call, want at most 5: %s", n, log.text())
		}
	})
}

func TestAwaitNamesTheInviteOnceTheAnswerIsThere(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := newFake(t)
		f.sessions[sess1] = twoParty()
		got := make(chan Join, 2)
		f.supervised = func(session, party, own string) { // INVITE without monitoring ids, two requests open
			go func() {
				if _, ok := f.sup.Match(Ref{session, own}, Ref{}); ok {
					t.Error("Match: got a join although either may be meant")
				}
				j, ok := f.sup.Await(t.Context(), Ref{session, own}, Ref{})
				if !ok || j.Party.ID != party {
					t.Errorf("Await: got %+v, %t, want %s", j, ok, party)
				}
				got <- j
			}()
			time.Sleep(300 * time.Millisecond)
		}
		s, _, _ := running(t, f, nil)
		<-got
		<-got
		if _, ok := s.Await(t.Context(), Ref{"s-other", "p"}, Ref{}); ok {
			t.Error("Await for a session that nobody asked for: got a join")
		}
	})
}

func TestPollStaysWithinTheHeavyBudget(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := newFake(t)
		running(t, f, func(c *Config) { c.Poll = time.Second })
		time.Sleep(10 * time.Minute)
		if n := f.requests("/presence"); n > 81 || n < 75 {
			t.Errorf("got %d looks in 10 minutes, want about 80", n)
		}
		if f.logins != 1 {
			t.Errorf("got %d logins, want 1", f.logins)
		}
	})
}

func TestPresenceIsReadInPagesOrNotAtAll(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := newFake(t)
		f.sessions[sess1] = twoParty()
		broken := false
		f.hook = func(w http.ResponseWriter, r *http.Request, _ string) bool {
			if !strings.HasSuffix(r.URL.Path, "/presence") {
				return false
			}
			switch page := r.URL.Query().Get("page"); {
			case page == "1":
				fmt.Fprint(w, `{"records":[],"navigation":{"nextPage":{"uri":"x"}}}`)
			case broken:
				w.WriteHeader(502)
			default:
				return false
			}
			return true
		}
		s, h, log := running(t, f, nil)
		eventually(t, 5*time.Second, "the call on page 2", func() bool { w, _, _ := h.counts(); return w > 0 })
		f.set(func() { broken = true })
		time.Sleep(5 * time.Minute)
		if _, _, gone := h.counts(); gone != 0 || !s.InCall(sess1) {
			t.Error("a look without its second page ended the call")
		}
		if n := strings.Count(log.text(), "ringcentral not read"); n == 0 || n > 6 {
			t.Errorf("5 minutes of failure: got %d lines, want one a minute: %s", n, log.text())
		}
	})
}

func TestNoInviteNamesTheDevice(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := newFake(t)
		f.sessions[sess1] = twoParty()
		_, h, _ := running(t, f, func(c *Config) { c.Mode = ModeSession })
		eventually(t, 20*time.Second, "no_invite", func() bool { _, n, _ := h.counts(); return n > 0 })
		h.mu.Lock()
		if c := h.failed[0]; c.Code != call.CodeNoInvite || !strings.Contains(c.Text, deviceID+" as Online") || h.errs[0] != nil {
			t.Errorf("got %v, %v, want no_invite with the device's status", c, h.errs[0])
		}
		h.mu.Unlock()
		time.Sleep(10 * time.Minute)
		if n := f.requests("/supervise$"); n != maxNoInvites {
			t.Errorf("got %d supervise requests, want %d", n, maxNoInvites)
		}
	})
}

func TestTimedOutRequestIsLookedAtBeforeItIsRepeated(t *testing.T) {
	for _, done := range []bool{true, false} {
		inBubble(t, func(t *testing.T) {
			f := newFake(t)
			f.sessions[sess1] = twoParty()
			hung := false
			f.hook = func(w http.ResponseWriter, r *http.Request, _ string) bool {
				if !strings.HasSuffix(r.URL.Path, "/supervise") || hung {
					return false
				}
				hung = true
				if done { // the server did the work, and the answer was lost
					f.superviseCall(httptest.NewRecorder(), strings.TrimPrefix(r.URL.Path, account),
						[]byte(`{"mode":"Listen","supervisorDeviceId":"`+deviceID+`","agentExtensionId":"`+agentExt+`"}`))
				}
				<-r.Context().Done()
				return true
			}
			s, _, _ := running(t, f, func(c *Config) { c.Mode = ModeSession })
			time.Sleep(14 * time.Second)
			want := 2
			if done {
				want = 1
			}
			if n := f.requests("/supervise$"); n != want {
				t.Errorf("done %t: got %d requests, want %d", done, n, want)
			}
			if st := s.Status(); len(st.Calls) != 1 || st.Calls[0].State != "asked" {
				t.Errorf("done %t: got %+v, want asked", done, st.Calls)
			}
		})
	}
}

func TestOldFieldNamesAreTriedOnceAndRemembered(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := newFake(t)
		f.sessions[sess1] = twoParty()
		var bodies []string
		f.hook = func(w http.ResponseWriter, r *http.Request, body string) bool {
			if !strings.HasSuffix(r.URL.Path, "/supervise") {
				return false
			}
			f.set(func() { bodies = append(bodies, body) })
			if strings.Contains(body, "supervisorDeviceId") {
				refuse(w, 400, "CMN-101", "Parameter [supervisorDeviceId] value is invalid", "", "")
			} else {
				fmt.Fprint(w, seedAnswer)
			}
			return true
		}
		s, _, _ := running(t, f, func(c *Config) { c.Mode = ModeSession })
		eventually(t, 5*time.Second, "asked", func() bool { return len(s.Status().Calls) == 1 && s.Status().Calls[0].State == "asked" })
		if len(bodies) != 2 || bodies[1] != `{"mode":"Listen","extensionNumber":"108","deviceId":"`+deviceID+`"}` {
			t.Fatalf("bodies: got %q", bodies)
		}
		if j, ok := s.Match(Ref{sess1, "party-4"}, Ref{}); !ok || j.Party.Role != call.RoleMix {
			t.Errorf("match: got %+v, %t", j, ok)
		}
		f.set(func() { bodies = nil })
		s.Ended(sess1, "", call.Cause{Code: call.CodeFlowLost})
		eventually(t, 5*time.Second, "asked again", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return len(bodies) == 1 })
		if !strings.Contains(bodies[0], "extensionNumber") {
			t.Errorf("the second time: got %q, want the old names at once", bodies)
		}
	})
	// At party level, and for other refusals, there is no second form.
	for _, c := range []struct{ mode, code, parameter string }{{ModeParty, "CMN-101", "agentExtensionId"}, {ModeSession, "CMN-101", "mode"}, {ModeSession, "CMN-102", "agentExtensionId"}} {
		f := newFake(t)
		f.hook = func(w http.ResponseWriter, r *http.Request, body string) bool {
			if !strings.HasSuffix(r.URL.Path, "/supervise") {
				return false
			}
			refuse(w, 400, c.code, "no", c.parameter, "")
			return true
		}
		s := mustNew(t, f.config())
		a := actAsk{session: sess1, agent: Agent{ID: agentExt, Extension: "108"}}
		if c.mode == ModeParty {
			a.party = agentParty
		}
		_, err := s.supervise(t.Context(), a)
		if e, ok := errors.AsType[*APIError](err); !ok || e.Code != c.code || f.requests("/supervise$") != 1 {
			t.Errorf("%+v: got %v after %d requests, want one", c, err, f.requests("/supervise$"))
		}
	}
}

func TestRefusalIsToldWithCodeAndHint(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := newFake(t)
		f.sessions[sess1] = twoParty()
		f.hook = func(w http.ResponseWriter, r *http.Request, _ string) bool {
			if !strings.HasSuffix(r.URL.Path, "/supervise") {
				return false
			}
			refuse(w, 404, "TAS-120", "Can't find registered deviceId", "", "")
			return true
		}
		s, h, log := running(t, f, nil)
		eventually(t, 10*time.Second, "failed", func() bool { _, n, _ := h.counts(); return n == 2 })
		h.mu.Lock()
		if e, ok := errors.AsType[*APIError](h.errs[0]); !ok || e.Code != "TAS-120" || h.failed[0].Code != call.CodeRefused || !strings.Contains(h.failed[0].Text, "Online") {
			t.Errorf("got %v, %v", h.failed[0], h.errs[0])
		}
		h.mu.Unlock()
		if st := s.Status().Calls[0]; st.State != "failed" || !strings.Contains(st.Cause, "TAS-120") {
			t.Errorf("status: got %+v", st)
		}
		if !strings.Contains(log.text(), "TAS-120") || !strings.Contains(log.text(), "hint=") || strings.Count(log.text(), "join failed") != 1 {
			t.Errorf("log: got %s, want one line with code and hint", log.text())
		}
		// The device comes back: healed without anybody's help.
		f.set(func() {
			f.hook = nil
			f.supervised = func(session, party, own string) {
				f.sup.Match(Ref{session, own}, Ref{session, party})
				f.sup.Answered(session, party)
			}
		})
		eventually(t, 90*time.Second, "joined", func() bool { return s.Status().Calls[0].State == "joined" && s.Status().Calls[0].Cause == "" })
	})
}

func TestEightJoinsAreAskedAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := newFake(t)
		for i := range 6 {
			c := twoParty()
			c.party = fmt.Sprintf("p-%d-4", i)
			c.parties[2].id, c.parties[0].id = c.party, fmt.Sprintf("p-%d-1", i)
			f.sessions[fmt.Sprintf("s-%d", i)] = c
		}
		flying, most := 0, 0
		f.supervised = func(string, string, string) {
			f.set(func() { flying++; most = max(most, flying) })
			time.Sleep(200 * time.Millisecond)
			f.set(func() { flying-- })
		}
		s, _, _ := running(t, f, nil)
		start := time.Now()
		eventually(t, 5*time.Second, "12 joins asked", func() bool {
			st := s.Status()
			for _, c := range st.Calls {
				if c.State != "asked" {
					return false
				}
			}
			return len(st.Calls) == 6
		})
		if most != workers || time.Since(start) > time.Second {
			t.Errorf("got %d requests at once in %s, want %d within a second", most, time.Since(start), workers)
		}
	})
}

func TestIdleWithoutAgents(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := newFake(t)
		f.sessions[sess1] = twoParty()
		running(t, f, func(c *Config) { c.Agents = nil })
		time.Sleep(3 * time.Hour)
		if n := f.requests("/presence|/supervise|/sessions"); n != 0 {
			t.Errorf("without agents and groups: got %d requests for calls, want none", n)
		}
		if len(f.tokens) != 1 || f.logins < 3 {
			t.Errorf("after 3 hours: got %d of %d logins alive, want the newest only", len(f.tokens), f.logins)
		}
	})
}

func TestGroupsAreFollowed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := newFake(t)
		f.sessions[sess1] = twoParty()
		_, h, _ := running(t, f, func(c *Config) { c.Agents, c.Groups = nil, []string{"8121017"} })
		eventually(t, 2*time.Second, "the group member's call", func() bool { w, _, _ := h.counts(); return w > 0 })
	})
}

func TestRunOverRealHTTP(t *testing.T) {
	f := newFake(t)
	f.sessions[sess1] = twoParty()
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close) // after the revoke
	f.supervised = func(session, party, own string) {
		if _, ok := f.sup.Match(Ref{session, own}, Ref{session, party}); !ok {
			t.Errorf("no match for %s", party)
		}
		f.sup.Answered(session, party)
	}
	s, _, _ := running(t, f, func(c *Config) { c.Server, c.HTTP = srv.URL, nil })
	eventually(t, 5*time.Second, "joined", func() bool { st := s.Status(); return len(st.Calls) == 1 && st.Calls[0].State == "joined" })
	parties, err := s.Lookup(t.Context(), sess1)
	if err != nil || len(parties) != 2 || parties[0].Role != call.RoleCustomer || parties[1].Role != call.RoleAgent || parties[1].Extension != "108" {
		t.Errorf("Lookup: got %+v, %v", parties, err)
	}
}

func TestRepeatedErrorsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logLines
		r := newRepeats(slog.New(slog.NewTextHandler(&log, nil)))
		for range 125 {
			r.say(slog.LevelWarn, "x", "thing failed", slog.String("err", "boom"))
			time.Sleep(time.Second)
		}
		r.flush(true)
		lines := strings.Split(strings.TrimSpace(log.text()), "\n")
		if len(lines) != 4 || strings.Contains(lines[0], "count") || !strings.Contains(lines[1], "count=60") || !strings.Contains(lines[3], "count=4") {
			t.Errorf("125 errors in 125 s: got %q, want one line at once, one a minute with a count, and the rest at the end", lines)
		}
	})
}
