package supervise

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestPolicyRules(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no time zones on this machine")
	}
	monday := time.Date(2026, 11, 23, 9, 0, 0, 0, berlin)
	office := Policy{Zone: berlin, Schedule: []Window{{Days: []time.Weekday{time.Monday}, From: 9 * time.Hour, To: 17 * time.Hour}}}
	night := Policy{Zone: berlin, Schedule: []Window{{Days: []time.Weekday{time.Sunday}, From: 22 * time.Hour, To: 6 * time.Hour}}}
	at := func(d time.Duration) callFacts { return callFacts{began: monday.Add(d), internal: no} }
	for _, c := range []struct {
		name   string
		policy Policy
		facts  callFacts
		want   string // wanted, open, or the rule
	}{
		{"all but internal", Policy{}, callFacts{internal: no}, "wanted"},
		{"internal", Policy{}, callFacts{internal: yes}, ruleInternal},
		{"internal, wanted", Policy{Internal: true}, callFacts{internal: yes}, "wanted"},
		{"not known whether internal", Policy{}, callFacts{}, "open"},
		{"never to be known", Policy{}, callFacts{final: true}, "wanted"},
		{"direction", Policy{Directions: []string{"inbound"}}, callFacts{internal: no, direction: "outbound"}, ruleDirection},
		{"direction fits", Policy{Directions: []string{"inbound", "outbound"}}, callFacts{internal: no, direction: "outbound"}, "wanted"},
		{"direction not known", Policy{Directions: []string{"inbound"}}, callFacts{internal: no}, "open"},
		{"number fits", Policy{Numbers: []string{"+44", "+49"}}, callFacts{internal: no, number: "+49 (30) 901820"}, "wanted"},
		{"number without plus", Policy{Numbers: []string{"+49"}}, callFacts{internal: no, number: "4930901820"}, "wanted"},
		{"another number", Policy{Numbers: []string{"+44"}}, callFacts{internal: no, number: "+14085550164"}, ruleNumbers},
		{"a number left out", Policy{NotNumbers: []string{"+1408555"}}, callFacts{internal: no, number: "+14085550164"}, ruleNumbers},
		{"left out of those wanted", Policy{Numbers: []string{"+1"}, NotNumbers: []string{"+1408"}}, callFacts{internal: no, number: "+14085550164"}, ruleNumbers},
		{"an extension fits no prefix", Policy{Numbers: []string{"+1"}}, callFacts{internal: no, number: "108"}, ruleNumbers},
		{"no number yet", Policy{NotNumbers: []string{"+1"}}, callFacts{internal: no}, "open"},
		{"anonymous", Policy{NotNumbers: []string{"+1"}}, callFacts{internal: no, final: true}, "wanted"},
		{"anonymous where a number is wanted", Policy{Numbers: []string{"+1"}}, callFacts{internal: no, final: true}, ruleNumbers},
		{"queue by number", Policy{Queues: []string{"500"}}, callFacts{internal: no, queues: []string{"500", "62"}}, "wanted"},
		{"queue by id", Policy{Queues: []string{"62"}}, callFacts{internal: no, queues: []string{"500", "62"}}, "wanted"},
		{"another queue", Policy{Queues: []string{"501"}}, callFacts{internal: no, queues: []string{"500", "62"}, queued: yes}, ruleQueues},
		{"no queue", Policy{Queues: []string{"501"}}, callFacts{internal: no, queued: no}, ruleQueues},
		{"queue not known", Policy{Queues: []string{"501"}}, callFacts{internal: no}, "open"},
		{"opening", office, at(0), "wanted"},
		{"before opening", office, at(-time.Second), ruleSchedule},
		{"last second", office, at(8*time.Hour - time.Second), "wanted"},
		{"closing", office, at(8 * time.Hour), ruleSchedule},
		{"another day", office, at(24 * time.Hour), ruleSchedule},
		{"the same clock elsewhere", Policy{Schedule: office.Schedule}, at(0), ruleSchedule},
		{"night, before midnight", night, at(-10 * time.Hour), "wanted"},
		{"night, after midnight", night, at(-4 * time.Hour), "wanted"},
		{"night, over", night, at(-3 * time.Hour), ruleSchedule},
		{"the next night", night, at(14 * time.Hour), ruleSchedule},
		{"a rule that refuses comes before what is open", Policy{Share: 1, Queues: []string{"1"}}, callFacts{call: "s-0"}, ruleShare},
	} {
		v, rule := c.policy.judge(c.facts)
		got := map[verdict]string{verdictWanted: "wanted", verdictOpen: "open", verdictExcused: rule}[v]
		if got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestScheduleKeepsClockTimeWhenTheClocksChange(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no time zones on this machine")
	}
	p := Policy{Zone: berlin, Schedule: []Window{{From: 9 * time.Hour, To: 10 * time.Hour}}}
	for _, day := range []int{28, 29, 30} { // summer time begins on 2026-03-29
		if p.scheduled(time.Date(2026, 3, day, 9, 30, 0, 0, berlin)) != yes || p.scheduled(time.Date(2026, 3, day, 10, 30, 0, 0, berlin)) != no {
			t.Errorf("2026-03-%d: 9:30 is not in 9 to 10, or 10:30 is", day)
		}
	}
}

func TestShareIsThatPartOfTheCallsAndAlwaysTheSame(t *testing.T) {
	const calls = 20_000
	for _, share := range []int{1, 25, 50, 99} {
		p, small := Policy{Share: share}, Policy{Share: share / 2}
		n := 0
		for i := range calls {
			id := fmt.Sprintf("s-a0d7bc131844fz196cfb6059dz%d", i)
			if p.shared(id) == yes {
				n++
			} else if small.Share > 0 && small.shared(id) == yes {
				t.Fatalf("%s belongs to %d %% and not to %d %%", id, small.Share, share)
			}
		}
		if got := float64(n) * 100 / calls; got < float64(share)-1.5 || got > float64(share)+1.5 {
			t.Errorf("share %d %%: got %.1f %%", share, got)
		}
	}
}

func TestPolicyMistakesAreTold(t *testing.T) {
	for _, c := range []struct {
		policy Policy
		want   string
	}{
		{Policy{Directions: []string{"in"}}, `directions: got "in"`},
		{Policy{Numbers: []string{"0049"}}, `numbers: got "0049"`},
		{Policy{NotNumbers: []string{"+49 30"}}, "not_numbers"},
		{Policy{Share: 101}, "share: got 101"},
		{Policy{Schedule: []Window{{From: 25 * time.Hour}}}, "schedule: got 25h0m0s"},
		{Policy{Hook: Hook{Command: []string{"x"}, URL: "http://x"}}, "hook: got a command and a URL"},
		{Policy{Hook: Hook{URL: "ftp://u:p@x/"}}, "hook.url"},
		{Policy{Hook: Hook{URL: "http://x", Timeout: time.Minute}}, "hook.timeout: got 1m0s"},
	} {
		err := c.policy.check()
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "u:p") {
			t.Errorf("%+v: got %v, want an error with %q", c.policy, err, c.want)
		}
	}
}

func TestPolicyHoldsTheJoinUntilItsFactsAreKnown(t *testing.T) {
	s := newFed(t, ModeSession, false)
	s.c.policy = Policy{Queues: []string{"500"}}
	s.event("s1", 8, "a3 7 Answered queue num=+14085550164") // of a queue, which is not told
	s.want("read s1")
	s.read("s1", "c1 - Answered", "q2 500 Disconnected", "a3 7 Answered")
	s.want("wanted s1 c1, ask s1")
	s.event("s2", 8, "a3 7 Answered num=+14085550164") // of none
	s.want("excused s2 queues")
	s.after(time.Hour)
	s.look("s2 a3")
	s.event("s2", 9, "a3 7 Hold")
	s.event("s2", 10, "a3 7 Answered")
	s.want("read s1")
	if st := s.c.sessions["s2"]; st.stateText() != "excused" || s.c.lives("s2", s.now) {
		t.Errorf("status: got %s, alive %t", st.stateText(), s.c.lives("s2", s.now))
	}
	s.event("s2", 11, "a3 7 Disconnected")
	s.want("gone s2")
	// An internal call that the customer is added to.
	s = newFed(t, ModeParty, true)
	s.c.policy = Policy{}
	s.event("s3", 3, "a1 7 Answered out far=9")
	s.event("s3", 4, "a2 9 Answered far=7")
	s.want("excused s3 internal")
	s.event("s3", 5, "c3 - Answered num=+1408")
	s.want("wanted s3 c3, ask s3")
}

func TestHookIsAskedOnceAndHoldsTheJoin(t *testing.T) {
	s := newFed(t, ModeParty, true)
	s.c.policy = Policy{Hook: Hook{Command: []string{"x"}}}
	for i, join := range []bool{true, false} {
		id := fmt.Sprintf("s%d", i)
		s.event(id, 2, "c1 - Answered out")
		s.event(id, 3, "a2 7 Answered num=+1408")
		s.want("hook " + id)
		s.event(id, 4, "a2 7 Hold")
		s.event(id, 5, "a2 7 Answered")
		s.want("")
		s.c.hookSaid(s.now, id, decision{join: join})
		if join {
			s.want("wanted s0 c1, ask s0 c1, ask s0 a2")
		} else {
			s.want("excused s1 hook")
		}
	}
}

func TestHookAnswers(t *testing.T) {
	f := newFake(t)
	s := mustNew(t, f.config())
	var body string
	answer := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			body = string(b)
			w.WriteHeader(status)
			io.WriteString(w, text)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/yes", answer(200, "yes\n"))
	mux.HandleFunc("/no", answer(200, `{"join":false}`))
	mux.HandleFunc("/odd", answer(200, "perhaps"))
	mux.HandleFunc("/fail", answer(500, "yes"))
	mux.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // only then does the server see the client go
		<-r.Context().Done()
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()
	c := HookCall{Call: "s-1", Session: "s-1", Agent: "108", Number: "+1408"}
	for _, x := range []struct {
		hook Hook
		or   bool // the default must decide
		want bool
	}{
		{Hook{URL: srv.URL + "/yes"}, false, true},
		{Hook{URL: srv.URL + "/no"}, false, false},
		{Hook{URL: srv.URL + "/odd"}, true, false},
		{Hook{URL: srv.URL + "/fail"}, true, false},
		{Hook{URL: srv.URL + "/slow", Timeout: 50 * time.Millisecond}, true, false},
		{Hook{URL: "http://127.0.0.1:1/"}, true, false},
		{Hook{Command: []string{"sh", "-c", `grep -q '"agent":"108"' && echo yes`}}, false, true},
		{Hook{Command: []string{"sh", "-c", `cat >/dev/null; test -z "$HOME" && test "$A" = b && echo no`}, Env: []string{"A=b"}}, false, false},
		{Hook{Command: []string{"sh", "-c", "echo yes; exit 3"}}, true, false},
		{Hook{Command: []string{"sh", "-c", "yes no | head -c 100000; echo yes"}}, true, false},
		{Hook{Command: []string{"/no/such/program"}}, true, false},
		{Hook{Command: []string{"sleep", "60"}, Timeout: 50 * time.Millisecond}, true, false},
	} {
		for _, or := range []bool{false, true} {
			p := Policy{Hook: x.hook}
			p.Hook.Default = or
			if err := p.check(); err != nil {
				t.Fatal(err)
			}
			want := x.want
			if x.or {
				want = or
			}
			if got := s.askHook(t.Context(), p.Hook, c).join; got != want {
				t.Errorf("%v %s, default %t: got %t, want %t", x.hook.Command, x.hook.URL, or, got, want)
			}
		}
	}
	if !strings.Contains(body, `"agent":"108"`) || !strings.Contains(body, `"number":"+1408"`) {
		t.Errorf("body: got %s", body)
	}
}

func TestExcusedCallIsToldAndNotAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.sessions[sess1] = twoParty()
		s, h, log := running(t, f, func(c *Config) { c.Policy.Directions = []string{DirectionOutbound} })
		pass(time.Minute)
		if n := f.requests("/supervise$"); n != 0 {
			t.Errorf("got %d supervise requests, want none", n)
		}
		if len(h.excused) != 1 || h.excused[0] != sess1+" directions" || strings.Count(log.text(), "call excused") != 1 {
			t.Errorf("got %q: %s", h.excused, log.text())
		}
		if st := s.Status().Calls; len(st) != 1 || st[0].State != "excused" || st[0].Cause != "policy: directions" {
			t.Errorf("status: got %+v", st)
		}
		if w, n, _ := h.counts(); w != 0 || n != 0 {
			t.Errorf("got %d wanted, %d failed, want none", w, n)
		}
		// A new policy wants it.
		if err := s.Reload([]string{"108"}, nil, Policy{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, 5*time.Second, "asked", func() bool { return f.requests("/supervise$") == 2 })
		if err := s.Reload(nil, nil, Policy{Share: -1}); err == nil {
			t.Error("a wrong policy: got no error")
		}
	})
}

func TestReloadFollowsTheAgents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, feed := newFake(t), newFakeFeed(t)
		f.sessions[sess1] = twoParty()
		s, _, _ := fedBy(t, f, feed, func(c *Config) { c.Agents = nil })
		pass(time.Minute)
		if n := f.requests("/presence|/supervise|wstoken"); n != 0 {
			t.Errorf("without agents: got %d requests, want none", n)
		}
		if err := s.Reload([]string{"108"}, nil, Policy{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, 5*time.Second, "asked, with a live feed", func() bool { return f.requests("/supervise$") == 2 && live1(s)() })
	})
}

// TestNumberOfACallThatWasHandedOnIsTheCustomers: a consultation has a colleague's number, or none, until the customer is in it.
func TestNumberOfACallThatWasHandedOnIsTheCustomers(t *testing.T) {
	t.Parallel()
	consultation := func(t *testing.T) *script {
		s := newFed(t, ModeSession, false)
		s.c.policy.Internal, s.c.policy.NotNumbers = false, []string{"+999"}
		s.event("s2", 2, "x1 7 Answered out far=9")
		s.event("s2", 3, "x2 9 Answered far=7")
		s.want("excused s2 internal")
		return s
	}
	t.Run("taken over while it is on hold", func(t *testing.T) {
		s := consultation(t)
		s.event("s2", 4, "x2 9 Hold far=7")
		s.event("s2", 5, "x1 7 Disconnected out reason=AttendedTransfer far=9")
		s.want("read s2")
		s.readStates("s2", "x1 7 Disconnected out", "x2 9 Hold far=7", "x3 - Answered out own=+999555")
		s.want("excused s2 numbers")
		s.event("s2", 7, "x2 9 Answered far=7")
		s.want("")
	})
	t.Run("handed on from a call that was wanted", func(t *testing.T) {
		s := consultation(t)
		s.c.policy.NotNumbers = nil
		s.event("s1", 3, "a2 7 Answered num=+999555")
		s.want("wanted s1, ask s1")
		s.c.policy.NotNumbers = []string{"+999"} // by reload: what is asked for stays, what is new is not wanted
		s.event("s1", 6, "a2 7 Disconnected reason=AttendedTransfer num=+999555")
		s.want("read s1")
		s.readStates("s1", "c1 - Gone out own=+999555 peer=s2/x3", "a2 7 Disconnected")
		s.want("moved s1 s2, excused s2 numbers")
	})
}
