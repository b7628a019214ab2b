package supervise

import (
	"testing"
	"time"

	"github.com/earshot/earshot/call"
)

// supervised says `earshot supervise` for a call of agent 108.
func (s *script) supervised(session, mode string) {
	s.c.force(s.now, agentCall{agent: Agent{ID: "7", Extension: "108"}, session: session, party: "a2"}, mode)
}

// released says `earshot release`.
func (s *script) released(session string) {
	s.t.Helper()
	x := s.c.sessions[session]
	if x == nil {
		s.t.Fatalf("release: no session %s", session)
	}
	s.c.release(s.now, x)
}

func TestAUserOverrulesPolicy(t *testing.T) {
	for name, p := range map[string]Policy{
		"excused by a rule": {Directions: []string{DirectionInbound}}, "left open": {Queues: []string{"500"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newFed(t, ModeParty, true)
			s.c.policy = p
			s.event("s1", 2, "a2 7 Answered out")
			s.event("s1", 3, "c1 - Answered")
			s.want("excused s1 " + map[bool]string{true: "directions", false: "queues"}[p.Queues == nil])
			s.supervised("s1", "")
			s.want("wanted s1 c1, read s1")
			s.read("s1", talk...)
			s.want("ask s1 c1, ask s1 a2")
			s.joinParties("s1", "c1", "a2")
			s.event("s1", 9, "a2 7 Hold") // and it stays wanted
			s.event("s1", 10, "a2 7 Answered")
			s.want("")
		})
	}
}

func TestAUsersModeHoldsForTheCall(t *testing.T) {
	s := newScript(t, ModeParty)
	s.c.policy.Share = 1
	s.look("s1 a2")
	s.want("excused s1 share")
	s.supervised("s1", ModeSession)
	s.want("wanted s1, read s1")
	s.read("s1", talk...)
	s.want("wanted s1 c1, ask s1")
	s.granted("s1", "", "o3")
	s.c.match(s.now, Ref{"s1", "o3"}, Ref{})
	s.c.answered(s.now, "s1", "")
	s.want("asked s1 mix, joined s1 mix")
	s.c.ended(s.now, "s1", "", hangup)
	s.after(endedSettle)
	s.want("read s1")
	s.read("s1", talk...)
	s.after(rejoinFirst)
	s.want("ask s1 again")
}

func TestSupervisingAHeardCallAsksNothing(t *testing.T) {
	s := newScript(t, ModeParty)
	s.joinBoth()
	s.supervised("s1", ModeSession)
	s.after(time.Minute)
	s.look("s1 a2")
	s.want("")
	// Nor is a request that is under way repeated.
	s = newScript(t, ModeParty)
	s.look("s1 a2")
	s.want("wanted s1, read s1")
	s.read("s1", talk...)
	s.want("wanted s1 c1, ask s1 c1, ask s1 a2")
	s.granted("s1", "c1", "o3")
	s.supervised("s1", "")
	s.want("asked s1 customer, read s1")
	s.read("s1", talk...)
	s.want("")
}

func TestSupervisingAfterARefusalAsksAtOnce(t *testing.T) {
	s := newScript(t, ModeSession)
	s.look("s1 a2")
	s.want("wanted s1, read s1")
	s.read("s1", talk...)
	s.want("wanted s1 c1, ask s1")
	s.refused("s1", "", outcomeRefused)
	s.want("failed s1 refused")
	s.after(time.Minute)
	s.want("")
	s.supervised("s1", "")
	s.want("read s1")
	s.read("s1", talk...)
	s.want("ask s1")
}

func TestOnlyTheNamedCallOfAnUnmonitoredAgentIsHeard(t *testing.T) {
	c := newCore(ModeSession, 10*time.Second)
	now := time.Unix(1_000_000, 0)
	c.own = ownSet{"8"}
	if got := c.watched(); len(got.ids) != 0 {
		t.Errorf("watched: got %v, want nobody", got.ids)
	}
	c.force(now, agentCall{agent: Agent{ID: "9", Extension: "112"}, session: "s1", party: "a2"}, "")
	record := func(sessions ...string) []presenceRecord {
		r := presenceRecord{Extension: extensionRef{ID: "9", Number: "112"}}
		for _, id := range sessions {
			r.ActiveCalls = append(r.ActiveCalls, activeCall{SessionID: text(id), PartyID: "a2", Telephony: "CallConnected"})
		}
		return []presenceRecord{r}
	}
	c.look(now, c.snapshot(record("s1", "s2"), now))
	if c.sessions["s1"] == nil || !c.sessions["s1"].inCall || c.sessions["s2"] != nil {
		t.Errorf("sessions: got %v, want s1 alone", c.sessions)
	}
	c.look(now.Add(time.Minute), c.snapshot(record("s2"), now.Add(time.Minute)))
	c.tick(now.Add(time.Minute), true)
	if len(c.sessions) != 0 || len(c.watched().ids) != 0 {
		t.Errorf("after its end: got %v, watched %v, want none", c.sessions, c.watched().ids)
	}
}

func TestReleasedPlaceIsAHumansUntilHeHasLeft(t *testing.T) {
	s := newScript(t, ModeParty)
	s.joinBoth()
	s.released("s1")
	s.want("released s1")
	if !s.c.joinOf(s.c.sessions["s1"], s.c.sessions["s1"].join("a2"), call.Party{}, "").Released {
		t.Error("an INVITE that comes now: want it marked as released")
	}
	s.c.ended(s.now, "s1", "c1", hangupBy(call.CodeReleased))
	s.c.ended(s.now, "s1", "a2", hangupBy(call.CodeReleased))
	s.want("")
	if s.c.lives("s1", s.now) {
		t.Error("lives: the recording would wait for a re-join")
	}
	reading := func(want string, parties ...string) {
		t.Helper()
		s.after(occupiedEvery)
		s.look("s1 a2")
		s.want("read s1")
		s.read("s1", parties...)
		s.want(want)
	}
	reading("", talk...) // nobody took it: not ours
	reading("", talk...)
	if got := s.c.sessions["s1"].stateText(); got != "released" {
		t.Errorf("state: got %s, want released", got)
	}
	reading("handed s1 false", append(talk, "h9 55 sup")...)
	reading("", append(talk, "h9 55 sup")...)
	reading("handed s1 true, ask s1 c1, ask s1 a2", talk...)
}

func TestReleasedCallIsNotAskedForWhateverHappens(t *testing.T) {
	s := newFed(t, ModeParty, true)
	s.event("s1", 2, "c1 - Answered out")
	s.event("s1", 3, "a2 7 Answered")
	s.want("wanted s1, wanted s1 c1, ask s1 c1, ask s1 a2")
	s.granted("s1", "c1", "o3")
	s.released("s1") // one is granted, the other under way
	s.want("asked s1 customer, released s1")
	s.refused("s1", "a2", outcomeLater)
	s.want("")
	s.after(10 * time.Second) // the INVITE never comes
	s.want("")
	s.event("s1", 5, "a2 7 Hold")
	s.event("s1", 6, "a2 7 Answered") // taken up again
	s.want("")
	s.event("s1", 7, "h9 55 Answered sup")
	s.want("handed s1 false")
	s.event("s1", 8, "a2 7 Disconnected")
	s.event("s1", 9, "c1 - Disconnected")
	s.want("gone s1")
}

func TestReleasedCallIsAskedForWhenTheUserSaysSo(t *testing.T) {
	s := newScript(t, ModeSession)
	s.look("s1 a2")
	s.want("wanted s1, read s1")
	s.read("s1", talk...)
	s.want("wanted s1 c1, ask s1")
	s.released("s1")
	s.refused("s1", "", outcomeUnclear) // it may have been done
	s.want("released s1")
	s.after(unclearSettle)
	s.want("read s1")
	s.read("s1", talk...)
	s.want("")
	s.supervised("s1", "")
	s.want("read s1")
	s.read("s1", talk...)
	s.want("ask s1")
}

func TestWhatIsHeardAgainAfterAReleaseSaysSinceWhenAndWhyItWasNot(t *testing.T) {
	s := newScript(t, ModeSession)
	s.look("s1 a2")
	s.want("wanted s1, read s1")
	s.read("s1", talk...)
	s.want("wanted s1 c1, ask s1")
	s.granted("s1", "", "own")
	s.c.answered(s.now, "s1", "")
	s.after(time.Minute)
	s.released("s1")
	gone := s.now
	s.c.ended(s.now, "s1", "", call.Cause{Code: call.CodeReleased})
	s.after(5 * time.Second)
	s.supervised("s1", ModeParty) // other streams than before
	s.want("asked s1 mix, joined s1 mix, released s1, wanted s1 c1, read s1")
	s.read("s1", talk...)
	s.want("ask s1 c1, ask s1 a2")
	x := s.c.sessions["s1"]
	for _, j := range x.joins {
		if got := s.c.joinOf(x, j, call.Party{}, ""); !got.Wanted.Equal(gone) || got.Obstacle != handText {
			t.Errorf("got %v, %q, want %v, %q", got.Wanted, got.Obstacle, gone, handText)
		}
	}
}

func TestReleaseHoldsForTheSessionsInWhichTheCallGoesOn(t *testing.T) {
	s := newFed(t, ModeParty, true)
	s.event("s1", 2, "c1 - Answered out")
	s.event("s1", 3, "a2 7 Answered")
	s.want("wanted s1, wanted s1 c1, ask s1 c1, ask s1 a2")
	s.joinParties("s1", "c1", "a2")
	s.released("s1")
	s.c.ended(s.now, "s1", "c1", hangupBy(call.CodeReleased))
	s.c.ended(s.now, "s1", "a2", hangupBy(call.CodeReleased))
	s.want("released s1")
	s.event("s1", 4, "c1 - Gone peer=s2/c5")
	s.event("s1", 5, "a2 7 Disconnected")
	s.event("s2", 2, "c5 - Answered out")
	s.event("s2", 3, "a6 7 Answered")
	s.want("moved s1 s2, wanted s2, wanted s2 c5, gone s1")
	if x := s.c.sessions["s2"]; x == nil || !x.released {
		t.Errorf("s2: got %+v, want it released", x)
	}
	s.supervised("s2", "")
	s.want("read s2")
	s.read("s2", "c5 - Answered", "a6 7 Answered")
	s.want("ask s2 c5, ask s2 a6")
}

func TestWhatTheHookMasksStaysMasked(t *testing.T) {
	hooked := func() *script {
		s := newFed(t, ModeParty, true)
		s.c.policy.Hook = Hook{Command: []string{"x"}}
		s.event("s1", 2, "c1 - Answered out")
		s.event("s1", 3, "a2 7 Answered")
		s.want("hook s1")
		return s
	}
	masked := func(s *script, session, party string, want bool) {
		t.Helper()
		x, j := s.c.key(session, party)
		if got := s.c.joinOf(x, j, j.party, "").Masked; got != want {
			t.Errorf("%s %s: masked is %t, want %t", session, party, got, want)
		}
	}
	s := hooked()
	s.c.hookSaid(s.now, "s1", decision{join: true})
	s.want("wanted s1 c1, ask s1 c1, ask s1 a2")
	masked(s, "s1", "a2", false)

	s = hooked()
	s.c.hookSaid(s.now, "s1", decision{join: true, masked: true})
	s.want("wanted s1 c1, ask s1 c1, ask s1 a2")
	s.joinParties("s1", "c1", "a2")
	masked(s, "s1", "a2", true)
	s.c.setPolicy(s.now, s.c.policy) // a reload asks the hook anew, for calls that are not heard
	s.event("s1", 4, "c1 - Gone peer=s2/c5")
	s.event("s2", 2, "c5 - Answered out")
	s.event("s2", 3, "a6 7 Answered")
	s.c.hookSaid(s.now, "s1", decision{join: true})
	s.want("moved s1 s2, hook s2, wanted s2 c5, ask s2 c5, ask s2 a6")
	masked(s, "s2", "a6", true)

	// The user overrules whether it is heard, not what is held back.
	s = hooked()
	s.supervised("s1", "")
	s.want("read s1")
	s.read("s1", talk...)
	s.want("")
	s.c.hookSaid(s.now, "s1", decision{join: true, masked: true})
	s.want("wanted s1 c1, ask s1 c1, ask s1 a2")
	masked(s, "s1", "c1", true)
	s = hooked()
	s.supervised("s1", "")
	s.c.hookSaid(s.now, "s1", decision{})
	s.want("wanted s1 c1, read s1")
}

func TestHooksWordsAreRead(t *testing.T) {
	for said, want := range map[string]decision{
		"yes": {join: true}, " Masked\n": {join: true, masked: true}, "no": {}, `{"join":true,"masked":true}`: {join: true, masked: true},
		`{"join":true,"masked":false}`: {join: true}, `{"join":true,"masked":null}`: {join: true}, `{"join":false,"masked":true}`: {},
		`{"join":true,"masked":"yes"}`: {join: true, masked: true}, // what can't be read does not open the valve
	} {
		if got, err := parseHook([]byte(said)); err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", said, got, err, want)
		}
	}
	for _, said := range []string{"", "maybe", `{"masked":true}`, `[]`} {
		if got, err := parseHook([]byte(said)); err == nil || got.join {
			t.Errorf("%s: got %+v, want an error", said, got)
		}
	}
}
