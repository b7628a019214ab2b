package supervise

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
)

// script drives a core in made-up time and shows its actions as lines of text.
type script struct {
	t    *testing.T
	c    *core
	now  time.Time
	reg  bool
	regs []bool // of a pool's devices, instead of reg
	next time.Time
	told []string // of agents; want leaves them out
}

func newScript(t *testing.T, mode string) *script {
	c := newCore(mode, 10*time.Second)
	c.own, c.policy.Internal = ownSet{"8"}, true
	return &script{t: t, c: c, now: time.Unix(1_000_000, 0), reg: true}
}

func show(a action) string {
	switch a := a.(type) {
	case actRead:
		return "read " + a.session
	case actAsk:
		again := ""
		if a.again {
			again = " again"
		}
		return strings.TrimRight(fmt.Sprintf("ask %s %s", a.session, a.party), " ") + again
	case actWanted:
		return strings.TrimRight(fmt.Sprintf("wanted %s %s", a.call.Session, a.call.Customer.ID), " ")
	case actFailed:
		return fmt.Sprintf("failed %s %s", a.session, a.cause.Code)
	case actGone:
		return "gone " + a.session
	case actAsked:
		return "asked " + a.session + " " + a.role
	case actJoined:
		return "joined " + a.session + " " + a.role
	case actExcused:
		return "excused " + a.call.Session + " " + a.rule
	case actHook:
		return "hook " + a.call.Session
	case actLearned:
		return fmt.Sprintf("learned %d", a.dialogs)
	case actShort:
		return "short"
	case actProbe:
		return fmt.Sprintf("probe %d", a.device)
	case actTurned:
		return fmt.Sprintf("turned %s %d", a.session, a.device)
	case actMoved:
		return "moved " + a.from + " " + a.to
	case actReleased:
		return "released " + a.session
	case actHanded:
		return fmt.Sprintf("handed %s %t", a.session, a.ours)
	case actSilent:
		return fmt.Sprintf("silent %d", a.missed)
	case actConfirmed:
		return fmt.Sprintf("confirmed %s %t", a.session, a.seen)
	}
	return fmt.Sprintf("%T", a)
}

// want ticks and compares the actions since the last time; they are separated by commas.
func (s *script) want(want string) {
	s.t.Helper()
	if s.regs == nil {
		s.next = s.c.tick(s.now, s.reg)
	} else {
		s.next = s.c.tick(s.now, s.regs...)
	}
	var got []string
	for _, a := range s.c.take() {
		if _, ok := a.(actLost); ok {
			continue // scripts number their events as they like
		}
		if a, ok := a.(actAgent); ok {
			s.told = append(s.told, strings.TrimRight(fmt.Sprintf("%s %s %s %s %s", a.session, a.agent.ID, a.party, a.state, a.reason), " "))
			continue
		}
		text := show(a)
		if ask, ok := a.(actAsk); ok && s.regs != nil {
			text += fmt.Sprintf(" @%d", ask.device)
		}
		got = append(got, text)
	}
	if g := strings.Join(got, ", "); g != want {
		s.t.Errorf("at +%s: got %q, want %q", s.now.Sub(time.Unix(1_000_000, 0)), g, want)
	}
	if s.reg && !s.next.IsZero() && !s.next.After(s.now) {
		s.t.Errorf("at +%s: the core asks to be ticked again at once", s.now.Sub(time.Unix(1_000_000, 0)))
	}
	for _, x := range s.c.sessions {
		for _, j := range x.joins {
			if j.state == stateAsked && j.deadline.IsZero() || j.dialogs > 0 && j.state != stateJoined {
				s.t.Errorf("join %+v contradicts itself", j)
			}
		}
	}
}

func (s *script) after(d time.Duration) { s.now = s.now.Add(d) }

// look shows calls as "session party [held]", with the supervisor's parties after a bar.
func (s *script) look(calls ...string) {
	snap := snapshot{taken: s.now, any: map[string]bool{}}
	for _, c := range calls {
		f := strings.Fields(c)
		if f[0] == "own" {
			snap.any[f[1]] = true
			continue
		}
		snap.calls = append(snap.calls, agentCall{agent: Agent{ID: "7", Extension: "108"}, session: f[0], party: f[1], held: len(f) > 2})
	}
	s.c.look(s.now, snap)
}

// read answers a session GET: parties as "id ext status", "sup" as status for a supervising one.
func (s *script) read(session string, parties ...string) {
	var states []partyState
	for _, p := range parties {
		f := strings.Fields(p)
		st := partyState{ID: f[0], ExtensionID: strings.Trim(f[1], "-"), Status: f[2]}
		if f[2] == "sup" {
			st.Status, st.Supervising = "Answered", true
		}
		states = append(states, st)
	}
	s.c.read(s.now, session, states, outcomeDone, time.Time{}, nil)
}

func (s *script) granted(session, party, own string) {
	s.c.asked(s.now, session, party, own, outcomeDone, time.Time{}, nil)
}

func (s *script) refused(session, party string, o outcome) {
	s.c.asked(s.now, session, party, "", o, s.now, &APIError{Op: "supervise party", Status: 404, Code: "CMN-102"})
}

var talk = []string{"c1 - Answered", "a2 7 Answered"}

// joinBoth brings a party mode session up to two dialogs.
func (s *script) joinBoth() {
	s.t.Helper()
	s.look("s1 a2")
	s.want("wanted s1, read s1")
	s.read("s1", talk...)
	s.want("wanted s1 c1, ask s1 c1, ask s1 a2")
	s.granted("s1", "c1", "o3")
	s.granted("s1", "a2", "o4")
	s.want("asked s1 customer, asked s1 agent")
	s.c.match(s.now, Ref{"s1", "o4"}, Ref{"s1", "a2"})
	s.c.match(s.now, Ref{"s1", "o3"}, Ref{"s1", "c1"})
	s.c.answered(s.now, "s1", "a2")
	s.c.answered(s.now, "s1", "c1")
	s.want("joined s1 agent, joined s1 customer")
}

func TestCallIsJoinedByPartyAndConfirmed(t *testing.T) {
	s := newScript(t, ModeParty)
	s.joinBoth()
	s.after(2 * time.Second)
	if at := s.c.unconfirmed(); at.IsZero() || at.After(s.now) {
		t.Errorf("unconfirmed: got %v, want a time before now", at)
	}
	s.look("s1 a2", "own o3", "own o4")
	s.want("confirmed s1 true")
	if at := s.c.unconfirmed(); !at.IsZero() {
		t.Errorf("unconfirmed after the look: got %v, want none", at)
	}
	s.after(time.Hour)
	s.look("s1 a2 held")
	s.want("") // on hold the dialogs stay
	s.look("s1 a2")
	s.want("") // and taken up again nothing is asked twice
	s.c.ended(s.now, "s1", "a2", call.Cause{Code: call.CodeHangup})
	s.c.ended(s.now, "s1", "c1", call.Cause{Code: call.CodeHangup})
	s.want("")
	s.after(endedSettle)
	s.want("read s1")
	s.read("s1", "c1 - Disconnected", "a2 7 Disconnected")
	s.want("gone s1")
	s.look("s1 a2") // presence lags
	s.want("")
	s.look()
	s.want("")
}

func TestCallIsJoinedBySession(t *testing.T) {
	s := newScript(t, ModeSession)
	s.look("s1 a2")
	s.want("wanted s1, read s1")
	s.read("s1", talk...)
	s.want("wanted s1 c1, ask s1")
	s.granted("s1", "", "o3")
	s.want("asked s1 mix")
	_, j, by := s.c.match(s.now, Ref{"s1", "o9"}, Ref{})
	if j == nil || j.party.Role != call.RoleMix || by != call.BySession {
		t.Errorf("match: got %+v by %q, want the mix by session", j, by)
	}
	if _, j, p, ok := s.c.line(s.now, "s1", "c1"); !ok || j == nil || p.Role != call.RoleCustomer {
		t.Errorf("line c1: got %+v, %t, want the customer", p, ok)
	}
	if _, _, _, ok := s.c.line(s.now, "s1", "x7"); ok {
		t.Error("line of an unknown party: got a party")
	}
	s.c.answered(s.now, "s1", "c1")
	s.want("joined s1 mix")
}

func TestThirdPartyMakesASessionJoin(t *testing.T) {
	s := newScript(t, ModeParty)
	s.look("s1 a2")
	s.want("wanted s1, read s1")
	s.read("s1", append(talk, "x5 9 Answered")...)
	s.want("wanted s1 c1, ask s1")
	if got := s.c.sessions["s1"].call().Mode; got != ModeSession {
		t.Errorf("mode: got %s, want session", got)
	}
	// Into a running party join: the session form is asked for beside the party streams, which are kept while they last.
	s = newScript(t, ModeParty)
	s.joinBoth()
	s.c.sessions["s1"].dirty, s.c.sessions["s1"].readAt = true, s.now
	s.want("read s1")
	s.read("s1", append(talk, "x5 9 Answered")...)
	s.want("wanted s1 c1, ask s1")
	s.granted("s1", "", "o6")
	s.c.match(s.now, Ref{"s1", "o6"}, Ref{})
	s.c.answered(s.now, "s1", "")
	s.want("asked s1 mix, joined s1 mix")
	if j, ok := s.c.sessions["s1"].join("a2"), true; !ok || j.state != stateJoined || !j.extra {
		t.Errorf("the agent's own stream: got %+v, want it kept", j)
	}
	s.after(time.Minute)
	s.c.ended(s.now, "s1", "a2", hangup)
	s.c.ended(s.now, "s1", "c1", hangup)
	s.want("")
	s.c.sessions["s1"].dirty, s.c.sessions["s1"].readAt = true, s.now
	s.want("read s1")
	s.read("s1", talk...) // two are left: the mix goes on
	s.after(time.Minute)
	s.want("")
	if x := s.c.sessions["s1"]; len(x.joins) != 1 || x.state() != stateJoined || x.mode != ModeSession {
		t.Errorf("got %+v", x)
	}
	// Where RingCentral refuses it, the party streams stay; they are asked for as soon as two are left.
	s = newScript(t, ModeParty)
	s.joinBoth()
	s.c.sessions["s1"].dirty, s.c.sessions["s1"].readAt = true, s.now
	s.want("read s1")
	s.read("s1", append(talk, "x5 9 Answered")...)
	s.want("wanted s1 c1, ask s1")
	s.refused("s1", "", outcomeRefused)
	s.want("failed s1 refused")
	s.after(time.Minute)
	s.c.ended(s.now, "s1", "a2", hangup)
	s.after(endedSettle)
	s.want("read s1")
	s.read("s1", talk...)
	s.want("wanted s1 c1, ask s1 a2")
}

func TestNotYetReadyCallIsReadAFewTimes(t *testing.T) {
	s := newScript(t, ModeParty)
	s.look("s1 a2")
	s.want("wanted s1, read s1")
	for i := range notReadyTries {
		s.read("s1", "c1 - Answered", "a2 7 Proceeding")
		s.want("")
		s.after(notReadyFirst << i)
		s.want("read s1")
	}
	s.read("s1", "c1 - Answered", "a2 7 Proceeding")
	s.want("")
	s.after(time.Minute)
	s.want("") // then only the next look asks again
	s.look("s1 a2")
	s.want("read s1")
	s.read("s1", talk...)
	s.want("wanted s1 c1, ask s1 c1, ask s1 a2")
}

func TestSessionThatCannotBeReadYetIsReadAgain(t *testing.T) {
	gone := &APIError{Op: "read session", Status: 404, Code: "CMN-102"}
	for _, comes := range []bool{true, false} {
		s := newScript(t, ModeParty)
		s.look("s1 a2")
		s.want("wanted s1, read s1")
		for i := range notReadyTries {
			s.c.read(s.now, "s1", nil, outcomeLater, time.Time{}, gone)
			s.want("")
			s.after(notReadyFirst << i)
			s.want("read s1")
		}
		if comes {
			s.read("s1", talk...)
			s.want("wanted s1 c1, ask s1 c1, ask s1 a2")
			continue
		}
		s.c.read(s.now, "s1", nil, outcomeLater, time.Time{}, gone)
		s.want("gone s1")
	}
	// Refused for good: told once, with the code, and asked again ever more slowly.
	s := newScript(t, ModeParty)
	s.look("s1 a2")
	s.want("wanted s1, read s1")
	for i := range 3 {
		s.c.read(s.now, "s1", nil, outcomeRefused, time.Time{}, &APIError{Op: "read session", Status: 403, Code: "CMN-401", Permission: "CallControl"})
		s.want([]string{"failed s1 refused", "", ""}[i])
		s.after(backoff(rejoinFirst, rejoinMost, i))
		s.want("read s1")
	}
}

func TestOtherSideThatIsNotShownMakesASessionJoin(t *testing.T) {
	s := newScript(t, ModeParty)
	s.look("s1 a2")
	s.want("wanted s1, read s1")
	for i := range notReadyTries {
		s.read("s1", "a2 7 Answered")
		s.after(notReadyFirst << i)
		s.want("read s1")
	}
	s.read("s1", "a2 7 Answered")
	s.want("wanted s1, ask s1")
}

func TestOnlyConnectedCallsAreWanted(t *testing.T) {
	agents := configured([]string{"108"})
	for status, want := range map[string]int{"CallConnected": 1, "OnHold": 0, "Ringing": 0, "NoCall": 0, "ParkedCall": 0, "": 0} {
		c := newCore(ModeParty, time.Second)
		c.look(time.Unix(1, 0), makeSnapshot([]presenceRecord{{Extension: extensionRef{ID: "7", Number: "108"},
			ActiveCalls: list[activeCall]{{SessionID: "s1", PartyID: "a2", Telephony: text(status)}}}}, agents, ownSet{"8"}, time.Unix(1, 0)))
		if len(c.sessions) != want {
			t.Errorf("telephonyStatus %q: got %d calls, want %d", status, len(c.sessions), want)
		}
	}
}

func TestNothingIsAskedWhileNotRegistered(t *testing.T) {
	s := newScript(t, ModeParty)
	s.reg = false
	s.look("s1 a2")
	s.want("wanted s1")
	if d := s.next.Sub(s.now); d <= 0 || d > time.Second {
		t.Errorf("next tick in %s, want it within a second", d)
	}
	s.after(time.Minute)
	s.want("")
	s.reg = true
	s.want("read s1")
	s.read("s1", talk...)
	s.reg = false
	s.want("wanted s1 c1")
	s.after(time.Minute)
	s.reg = true
	s.want("read s1") // what was read a minute ago is not good enough to ask by
}

func TestCallThatEndsUnheardIsTold(t *testing.T) {
	for _, c := range []struct {
		name string
		reg  bool
		run  func(s *script)
		want string
	}{
		{"the device was not registered", false, func(s *script) { s.want("wanted s1") }, "failed s1 flow_lost, gone s1"},
		{"it ended while we asked", true, func(s *script) {
			s.want("wanted s1, read s1")
			s.read("s1", talk...)
			s.want("wanted s1 c1, ask s1 c1, ask s1 a2")
			s.refused("s1", "c1", outcomeLater)
			s.refused("s1", "a2", outcomeLater)
		}, "failed s1 hangup, gone s1"},
		{"it was over when we looked", true, func(s *script) {
			s.want("wanted s1, read s1")
			s.read("s1", "c1 - Disconnected", "a2 7 Disconnected")
		}, "gone s1"},
	} {
		s := newScript(t, ModeParty)
		s.reg = c.reg
		s.look("s1 a2")
		c.run(s)
		s.after(time.Second)
		s.look()
		s.want(c.want)
	}
}

func TestRefusedForNowIsAskedAgainForTwoSeconds(t *testing.T) {
	s := newScript(t, ModeParty)
	s.look("s1 a2")
	s.want("wanted s1, read s1")
	s.read("s1", talk...)
	s.want("wanted s1 c1, ask s1 c1, ask s1 a2")
	s.granted("s1", "a2", "o3")
	s.c.answered(s.now, "s1", "a2")
	s.want("asked s1 agent, joined s1 agent")
	start := s.now
	for _, wait := range []time.Duration{quickFirst, 2 * quickFirst} {
		s.refused("s1", "c1", outcomeLater)
		s.want("")
		s.after(wait)
		s.want("read s1")
		s.read("s1", talk...)
		s.want("ask s1 c1 again")
	}
	s.refused("s1", "c1", outcomeLater)
	s.want("failed s1 refused, read s1")
	if d := s.now.Sub(start); d > laterWithin {
		t.Errorf("asked for %s, want at most %s", d, laterWithin)
	}
	s.read("s1", talk...)
	s.want("")
	s.after(slowFirst)
	s.want("read s1")
	s.read("s1", talk...)
	s.want("ask s1 c1 again")
	s.granted("s1", "c1", "o4")
	s.want("asked s1 customer")
}

func TestRefusedForGoodWaitsForAChangeOfTheCall(t *testing.T) {
	s := newScript(t, ModeSession)
	s.look("s1 a2")
	s.want("wanted s1, read s1")
	s.read("s1", talk...)
	s.want("wanted s1 c1, ask s1")
	s.c.asked(s.now, "s1", "", "", outcomeRefused, time.Time{}, &APIError{Op: "supervise session", Status: 403, Code: "CMN-401", Permission: "CallControl"})
	s.want("failed s1 refused")
	if cause := s.c.sessions["s1"].cause; !strings.Contains(cause.Text, "CMN-401") || !strings.Contains(cause.Text, "CallControl scope") {
		t.Errorf("cause: got %q, want code and hint", cause)
	}
	s.after(time.Hour)
	s.look("s1 a2")
	s.want("")
	s.look("s1 a2 held")
	s.want("")
	s.look("s1 a2")
	s.want("read s1")
	s.read("s1", talk...)
	s.want("ask s1 again")
}

func TestNoInviteIsToldAndTriedThreeTimes(t *testing.T) {
	s := newScript(t, ModeSession)
	s.look("s1 a2")
	s.want("wanted s1, read s1")
	s.read("s1", talk...)
	s.want("wanted s1 c1, ask s1")
	for i := range maxNoInvites {
		s.granted("s1", "", "o3")
		s.want("asked s1 mix")
		s.after(10*time.Second - time.Millisecond)
		s.want("")
		s.after(time.Millisecond)
		s.want("probe 0, failed s1 no_invite, read s1")
		s.read("s1", talk...)
		s.want("")
		s.after(backoff(noInviteFirst, slowMost, i))
		if i < maxNoInvites-1 {
			s.want("read s1")
			s.read("s1", talk...)
			s.want("ask s1 again")
		}
	}
	s.after(time.Hour)
	s.want("")
	// It comes after all: taken.
	if _, j, _ := s.c.match(s.now, Ref{"s1", "o99"}, Ref{}); j == nil {
		t.Error("an INVITE after no_invite: got no match")
	}
	s.c.answered(s.now, "s1", "")
	s.want("joined s1 mix")
}

func TestUnclearAnswerIsNeverRepeatedBlindly(t *testing.T) {
	for _, c := range []struct {
		name, after, want string
		parties           []string
	}{
		{"it was not done", "", "ask s1 again", talk},
		{"it was done", "", "", append(talk, "o3 8 sup")},
		{"another's supervisor", "", "ask s1 again", append(talk, "o3 55 sup")},
	} {
		s := newScript(t, ModeSession)
		s.look("s1 a2")
		s.want("wanted s1, read s1")
		s.read("s1", talk...)
		s.want("wanted s1 c1, ask s1")
		s.c.asked(s.now, "s1", "", "", outcomeUnclear, time.Time{}, errors.New("no answer"))
		s.want("")
		s.after(unclearSettle)
		s.want("read s1")
		s.read("s1", c.parties...)
		s.after(firstRetryWait)
		s.want(c.want)
		if c.want == "" {
			if j := s.c.sessions["s1"].joins[0]; j.state != stateAsked || j.own != "o3" {
				t.Errorf("%s: got %s own %q, want asked o3", c.name, j.state, j.own)
			}
		}
	}
	// The INVITE came meanwhile: nothing is asked.
	s := newScript(t, ModeSession)
	s.look("s1 a2")
	s.want("wanted s1, read s1")
	s.read("s1", talk...)
	s.want("wanted s1 c1, ask s1")
	s.c.asked(s.now, "s1", "", "", outcomeUnclear, time.Time{}, errors.New("no answer"))
	if _, j, _ := s.c.match(s.now, Ref{"s1", "o3"}, Ref{}); j == nil {
		t.Error("INVITE after a time-out: got no match")
	}
	s.c.answered(s.now, "s1", "")
	s.want("joined s1 mix")
	s.after(time.Minute)
	s.want("read s1")
	s.read("s1", append(talk, "o3 8 sup")...)
	s.want("")
}

func TestDroppedDialogIsJoinedAgainWhileTheCallLives(t *testing.T) {
	s := newScript(t, ModeParty)
	s.joinBoth()
	s.after(time.Minute)
	for i, wait := range []time.Duration{1 * time.Second, 2 * time.Second, 4 * time.Second} {
		s.c.ended(s.now, "s1", "c1", call.Cause{Code: call.CodeFlowLost})
		s.want("")
		s.after(endedSettle)
		s.want("read s1")
		s.read("s1", talk...)
		s.want("")
		s.after(wait - endedSettle)
		again := " again"
		switch {
		case i == 0:
			again = "" // the dialog was up for a minute: nothing is held against it
		case wait-endedSettle > freshFor:
			s.want("read s1")
			s.read("s1", talk...)
		}
		s.want("ask s1 c1" + again)
		s.granted("s1", "c1", "o9")
		s.c.answered(s.now, "s1", "c1")
		s.want("asked s1 customer, joined s1 customer")
	}
	// Given back to a user: not taken again.
	s.c.ended(s.now, "s1", "c1", call.Cause{Code: call.CodeReleased})
	s.c.ended(s.now, "s1", "a2", call.Cause{Code: call.CodeReleased})
	s.after(time.Hour)
	s.look("s1 a2")
	s.want("")
	s.look()
	s.want("gone s1")
}

func TestFlickerOfPresenceEndsNothing(t *testing.T) {
	s := newScript(t, ModeParty)
	s.joinBoth()
	s.after(time.Minute)
	s.look()
	s.want("")
	if s.c.sessions["s1"].inCall {
		t.Error("inCall after a look that does not show the call: got true")
	}
	s.after(8 * time.Second)
	s.look("s1 a2")
	s.want("")
	if !s.c.sessions["s1"].inCall {
		t.Error("inCall after a look that shows it again: got false")
	}
}

func TestAgentsNewPartyReplacesTheOld(t *testing.T) {
	s := newScript(t, ModeParty)
	s.joinBoth()
	s.after(time.Minute)
	s.c.ended(s.now, "s1", "a2", call.Cause{Code: call.CodeHangup})
	s.look("s1 a6")
	s.want("")
	s.after(endedSettle)
	s.want("read s1")
	s.read("s1", "c1 - Answered", "a2 7 Disconnected", "a6 7 Answered")
	s.want("ask s1 a6")
	if got := s.c.sessions["s1"].join("a2"); got != nil {
		t.Errorf("the old party's join: got %+v, want none", got)
	}
}

func TestInviteMatching(t *testing.T) {
	for _, c := range []struct {
		name           string
		answered       bool // the POSTs have returned
		own, monitored Ref
		want, by       string
	}{
		{"by the monitored party, before the answers", false, Ref{"s1", "o4"}, Ref{"s1", "a2"}, "a2", call.ByMonitoringIDs},
		{"by the monitored party alone", true, Ref{}, Ref{"", "c1"}, "c1", call.ByMonitoringIDs},
		{"by our own party", true, Ref{"s1", "o4"}, Ref{}, "a2", call.ByAPIIDs},
		{"by our own party alone", true, Ref{"", "o3"}, Ref{}, "c1", call.ByAPIIDs},
		{"two open requests and no name", false, Ref{"s1", "o4"}, Ref{}, "", ""},
		{"another session", true, Ref{"s2", "o4"}, Ref{"s2", "a2"}, "", ""},
		{"a monitored party that is not ours", true, Ref{}, Ref{"s1", "x5"}, "", ""},
		{"nothing at all", true, Ref{}, Ref{}, "", ""},
	} {
		s := newScript(t, ModeParty)
		s.look("s1 a2")
		s.want("wanted s1, read s1")
		s.read("s1", talk...)
		s.want("wanted s1 c1, ask s1 c1, ask s1 a2")
		if c.answered {
			s.granted("s1", "c1", "o3")
			s.granted("s1", "a2", "o4")
		}
		_, j, by := s.c.match(s.now, c.own, c.monitored)
		got := ""
		if j != nil {
			got = j.party.ID
		}
		if got != c.want || by != c.by {
			t.Errorf("%s: got %q by %q, want %q by %q", c.name, got, by, c.want, c.by)
		}
		// The one that is left over is known by elimination.
		if c.want == "a2" {
			if _, j, by := s.c.match(s.now, Ref{"s1", "?"}, Ref{}); j == nil || j.party.ID != "c1" || by != call.BySession {
				t.Errorf("%s: the other INVITE: got %+v by %q, want c1 by session", c.name, j, by)
			}
		}
		s.granted("s1", "c1", "o3")
		s.granted("s1", "a2", "o4")
		if j != nil && (j.state != stateAsked || !j.invited) {
			t.Errorf("%s: after the answers: got %s invited %t, want asked and invited", c.name, j.state, j.invited)
		}
	}
}

func TestStatesMoveOnlyAsTheTableSays(t *testing.T) {
	for from := range stateCount {
		for to := range stateCount {
			j := &join{state: from}
			if ok := j.enter(to); ok != (from == to || moves[from][to]) || (!ok && j.state != from) {
				t.Errorf("%s to %s: got %t, state %s", from, to, ok, j.state)
			}
		}
	}
}
