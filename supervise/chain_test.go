package supervise

import (
	"slices"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
)

// joinParties brings the joins of a session up that were asked for.
func (s *script) joinParties(session string, parties ...string) {
	s.t.Helper()
	for _, p := range parties {
		s.granted(session, p, "o"+p)
	}
	for _, p := range parties {
		s.c.match(s.now, Ref{session, "o" + p}, Ref{session, p})
		s.c.answered(s.now, session, p)
	}
	s.c.tick(s.now, true)
	s.c.take()
	if !s.c.sessions[session].joined() {
		s.t.Fatalf("session %s is not joined: %+v", session, s.c.sessions[session].joins)
	}
}

// customerCall is agent 7 with a customer, heard.
func customerCall(t *testing.T) *script {
	s := newFed(t, ModeParty, true)
	s.event("s1", 2, "c1 - Answered out")
	s.event("s1", 3, "a2 7 Answered num=+1408")
	s.want("wanted s1, wanted s1 c1, ask s1 c1, ask s1 a2")
	s.joinParties("s1", "c1", "a2")
	s.after(time.Minute)
	return s
}

func TestAttendedTransferKeepsOneCall(t *testing.T) {
	for _, linkFirst := range []bool{true, false} {
		s := customerCall(t)
		s.c.policy.Internal = false
		// The agent consults 110 in another session: an internal call, which policy leaves alone.
		s.event("s1", 4, "a2 7 Hold")
		s.event("s2", 2, "x1 7 Answered out far=9")
		s.event("s2", 3, "x2 9 Answered far=7")
		s.want("excused s2 internal")
		s.after(20 * time.Second)
		// The transfer: the customer goes on in s2, with 110.
		gone := func() { s.event("s1", 5, "c1 - Gone reason=AttendedTransfer peer=s2/x3") }
		if linkFirst {
			gone()
		}
		s.event("s2", 4, "x1 7 Disconnected reason=AttendedTransfer")
		s.event("s2", 5, "x3 - Answered out")
		if !linkFirst {
			gone()
		}
		s.event("s1", 6, "a2 7 Disconnected reason=AttendedTransfer")
		if !s.c.lives("s1", s.now) {
			t.Error("the first session, while its call goes on: got over")
		}
		if linkFirst {
			s.want("moved s1 s2, wanted s2 x3, ask s2 x3, ask s2 x2")
		} else {
			s.want("wanted s2 x3, moved s1 s2, ask s2 x3, ask s2 x2")
		}
		s.c.ended(s.now, "s1", "c1", hangup)
		s.c.ended(s.now, "s1", "a2", hangup)
		s.granted("s2", "x3", "o9")
		found, j, by := s.c.match(s.now, Ref{"s2", "o9"}, Ref{"s2", "x3"})
		if j == nil {
			t.Fatal("no match in the second session")
		}
		got := s.c.joinOf(found, j, j.party, by)
		if !slices.Equal(got.Chain, []string{"s1", "s2"}) || got.Session != "s2" || got.Agent.Extension != "110" {
			t.Errorf("join: got %+v, want the chain s1, s2 and agent 110", got)
		}
		s.want("asked s2 customer, gone s1")
		s.c.answered(s.now, "s2", "x3")
		s.after(time.Hour)
		s.c.forget(s.now, keepEnded, keepView)
		if !s.c.lives("s1", s.now) || !slices.Equal(s.c.chain("s2"), []string{"s1", "s2"}) {
			t.Error("an hour later: the chain is forgotten")
		}
		s.event("s2", 9, "x2 9 Disconnected")
		s.event("s2", 10, "x3 - Disconnected")
		if s.c.lives("s1", s.now) || s.c.lives("s2", s.now) {
			t.Error("after the end: got alive")
		}
	}
}

func TestLateLinkJoinsNoTwoCalls(t *testing.T) {
	s := customerCall(t)
	s.event("s2", 5, "x3 - Answered out")
	s.event("s2", 6, "x2 9 Answered num=+1408")
	s.want("wanted s2, wanted s2 x3, ask s2 x3, ask s2 x2")
	s.joinParties("s2", "x3", "x2")
	s.event("s1", 5, "c1 - Gone peer=s2/x3")
	s.want("moved s1 s2")
	if got := s.c.chain("s2"); len(got) != 1 {
		t.Errorf("chain of a call that is heard already: got %v, want it alone", got)
	}
	// And no circle.
	s.event("s2", 7, "x3 - Gone peer=s1/c9")
	s.want("moved s2 s1")
	if s.c.lives("s3", s.now) || len(s.c.chain("s1")) != 1 {
		t.Errorf("chain: got %v", s.c.chain("s1"))
	}
}

func TestParkAndPickUp(t *testing.T) {
	s := customerCall(t)
	s.event("s1", 5, "a2 7 Disconnected reason=CallPark")
	s.event("s1", 6, "c1 - Parked")
	s.c.ended(s.now, "s1", "c1", hangup)
	s.c.ended(s.now, "s1", "a2", hangup)
	s.want("")
	s.after(10 * time.Minute)
	s.want("read s1")
	s.read("s1", "c1 - Parked out", "a2 7 Disconnected reason=CallPark")
	s.want("")
	if !s.c.lives("s1", s.now) {
		t.Error("parked: got over, want alive")
	}
	// 110 picks up, in another session.
	s.event("s1", 7, "c1 - Gone reason=Pickup peer=s7/y1")
	s.event("s7", 2, "y1 - Answered out")
	s.event("s7", 3, "y2 9 Answered num=+1408")
	s.want("moved s1 s7, wanted s7, wanted s7 y1, gone s1, ask s7 y1, ask s7 y2")
	if got := s.c.chain("s7"); !slices.Equal(got, []string{"s1", "s7"}) {
		t.Errorf("chain: got %v", got)
	}
	// Nobody picks up: it ends with the customer, or with the time.
	for _, hangsUp := range []bool{true, false} {
		s = customerCall(t)
		s.event("s1", 5, "a2 7 Disconnected reason=CallPark")
		s.event("s1", 6, "c1 - Parked")
		s.c.ended(s.now, "s1", "c1", hangup)
		s.c.ended(s.now, "s1", "a2", hangup)
		s.after(endedSettle)
		s.want("read s1")
		s.read("s1", "c1 - Parked out", "a2 7 Disconnected reason=CallPark")
		if hangsUp {
			s.event("s1", 7, "c1 - Disconnected")
		} else {
			s.after(parkWait)
		}
		s.want("gone s1")
	}
}

func hangupBy(code call.Code) call.Cause { return call.Cause{Code: code} }

func TestReleasedCallIsNotAskedForAgain(t *testing.T) {
	s := customerCall(t)
	s.c.ended(s.now, "s1", "a2", hangupBy("released"))
	s.c.ended(s.now, "s1", "c1", hangupBy("released"))
	s.event("s1", 5, "a2 7 Disconnected reason=BlindTransfer")
	s.event("s1", 6, "a4 9 Answered")
	s.want("wanted s1 c1")
	s.after(time.Minute)
	s.want("")
}

func TestAgentWhoSwitchesDevicesIsFollowed(t *testing.T) {
	s := customerCall(t)
	s.event("s1", 5, "a5 7 Setup")
	s.event("s1", 6, "a5 7 Answered")
	s.event("s1", 7, "a2 7 Disconnected reason=CallFlip")
	s.c.ended(s.now, "s1", "a2", hangup)
	s.want("ask s1 a5")
	if j := s.c.sessions["s1"].join("c1"); j.state != stateJoined {
		t.Errorf("the customer's stream: got %s, want it kept", j.state)
	}
}
