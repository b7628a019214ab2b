package supervise

import (
	"slices"
	"testing"
	"time"
)

// agentsCall is agent 7 with a customer, heard by an agents' own feed.
func agentsCall(t *testing.T) *script {
	s := newFed(t, ModeParty, false)
	s.c.policy.Internal = false
	s.event("s1", 3, "a2 7 Answered num=+14085550164")
	s.want("wanted s1, read s1")
	s.read("s1", "c1 - Answered", "a2 7 Answered")
	s.want("wanted s1 c1, ask s1 c1, ask s1 a2")
	s.joinParties("s1", "c1", "a2")
	s.after(time.Minute)
	return s
}

// readStates answers a session GET in full.
func (s *script) readStates(session string, parties ...string) {
	var states []partyState
	for _, p := range parties {
		states = append(states, stateOf(p))
	}
	s.c.read(s.now, session, states, outcomeDone, time.Time{}, nil)
}

func TestAttendedTransferIsFollowedByOneReading(t *testing.T) {
	for _, order := range []string{"first session first", "second session first", "dialogs first"} {
		t.Run(order, func(t *testing.T) {
			s := agentsCall(t)
			s.event("s1", 4, "a2 7 Hold num=+14085550164")
			s.event("s2", 2, "x1 7 Answered out far=9")
			s.event("s2", 3, "x2 9 Answered far=7")
			s.want("excused s2 internal")
			s.after(20 * time.Second)
			leaves := func() { s.event("s1", 6, "a2 7 Disconnected reason=AttendedTransfer") }
			byes := func() {
				s.c.ended(s.now, "s1", "c1", hangup)
				s.c.ended(s.now, "s1", "a2", hangup)
			}
			handed := func() { s.event("s2", 4, "x1 7 Disconnected out reason=AttendedTransfer far=9") }
			switch order {
			case "first session first":
				leaves()
				s.want("read s1")
				handed()
				s.want("read s2")
				byes()
			case "second session first":
				handed()
				s.want("read s2")
				leaves()
				s.want("read s1")
				byes()
			default:
				byes()
				s.want("")
				leaves()
				handed()
				s.want("read s1, read s2")
			}
			s.after(50 * time.Millisecond)
			s.readStates("s2", "x1 7 Disconnected out reason=AttendedTransfer far=9", "x2 9 Answered far=7", "x3 - Answered out")
			s.want("wanted s2 x3") // it waits for the first session's reading
			s.after(50 * time.Millisecond)
			s.readStates("s1", "c1 - Gone reason=AttendedTransfer peer=s2/x3", "a2 7 Disconnected reason=AttendedTransfer")
			s.want("moved s1 s2, gone s1, ask s2 x3, ask s2 x2")
			if got := s.c.chain("s2"); !slices.Equal(got, []string{"s1", "s2"}) || !s.c.lives("s1", s.now) {
				t.Errorf("chain: got %v, first session lives %t; want one call of both", got, s.c.lives("s1", s.now))
			}
			s.granted("s2", "x3", "o8")
			s.granted("s2", "x2", "o9")
			s.want("asked s2 customer, asked s2 agent")
			s.after(2 * time.Second)
			s.want("")
		})
	}
}

func TestPickUpFromParkIsFollowedByOneReading(t *testing.T) {
	s := agentsCall(t)
	s.event("s1", 5, "a2 7 Disconnected reason=CallPark num=+14085550164")
	s.c.ended(s.now, "s1", "c1", hangup)
	s.c.ended(s.now, "s1", "a2", hangup)
	s.want("")
	s.after(time.Second)
	s.want("read s1")
	s.readStates("s1", "c1 - Parked", "a2 7 Disconnected reason=CallPark")
	s.after(10 * time.Second)
	// Another agent's own call does not wait.
	s.event("s8", 2, "b1 9 Answered out num=+1555")
	s.want("wanted s8, read s8")
	s.readStates("s8", "b1 9 Answered out num=+1555", "b2 - Answered")
	s.want("wanted s8 b2, ask s8 b2, ask s8 b1")
	s.event("s7", 2, "y1 9 Answered out num=14085550164")
	s.want("wanted s7, read s7")
	s.readStates("s7", "y1 9 Answered out num=14085550164", "y2 - Answered")
	s.want("wanted s7 y2, read s1")
	s.readStates("s1", "c1 - Gone reason=Pickup peer=s7/y2", "a2 7 Disconnected reason=CallPark")
	s.want("moved s1 s7, gone s1, ask s7 y2, ask s7 y1")
	if got := s.c.chain("s7"); !slices.Equal(got, []string{"s1", "s7"}) {
		t.Errorf("chain: got %v", got)
	}
}

func TestACallThatWentOnEndsWithItsSecondSession(t *testing.T) {
	s := agentsCall(t)
	s.event("s1", 5, "a2 7 Parked reason=CallPark num=+14085550164")
	s.c.ended(s.now, "s1", "c1", hangup)
	s.c.ended(s.now, "s1", "a2", hangup)
	s.after(time.Second)
	s.want("read s1")
	s.readStates("s1", "c1 - Answered", "a2 7 Parked reason=CallPark")
	s.event("s7", 2, "y1 9 Answered out num=+14085550164")
	s.want("wanted s7, read s7")
	s.readStates("s7", "y1 9 Answered out num=+14085550164", "y2 - Answered")
	s.want("wanted s7 y2, read s1")
	s.readStates("s1", "c1 - Gone reason=Pickup peer=s7/y2", "a2 7 Disconnected reason=Pickup")
	s.want("moved s1 s7, gone s1, ask s7 y2, ask s7 y1")
	s.joinParties("s7", "y1", "y2")
	if !s.c.lives("s1", s.now) {
		t.Error("got over, want it alive in its second session")
	}
	s.event("s7", 9, "y1 9 Disconnected")
	s.want("")
	s.c.ended(s.now, "s7", "y1", hangup)
	s.c.ended(s.now, "s7", "y2", hangup)
	s.want("gone s7")
	if s.c.lives("s1", s.now) {
		t.Error("got alive, although no agent is in either session")
	}
}

func TestALinkThatCannotBeReadHoldsACallUpForTwoSecondsAtMost(t *testing.T) {
	s := agentsCall(t)
	s.event("s2", 2, "x1 7 Answered out far=9")
	s.event("s2", 3, "x2 9 Answered far=7")
	s.event("s1", 6, "a2 7 Disconnected reason=AttendedTransfer")
	s.event("s2", 4, "x1 7 Disconnected out reason=AttendedTransfer far=9")
	s.want("excused s2 internal, read s1, read s2")
	s.readStates("s2", "x1 7 Disconnected out", "x2 9 Answered far=7", "x3 - Answered out")
	s.want("wanted s2 x3")
	s.after(seekWithin)
	s.want("ask s2 x3, ask s2 x2")
}

func TestACallThatEndsIsNotReadAgain(t *testing.T) {
	s := agentsCall(t)
	s.event("s1", 6, "a2 7 Disconnected")
	s.want("")
	s.c.ended(s.now, "s1", "c1", hangup)
	s.c.ended(s.now, "s1", "a2", hangup)
	s.after(time.Second)
	s.want("gone s1")
}

func TestTwoCallsThatWereHeardAreNamedAsOneThatGoesOn(t *testing.T) {
	s := agentsCall(t)
	s.event("s1", 4, "a2 7 Hold num=+14085550164")
	s.event("s2", 2, "x1 7 Answered out num=+14155550177")
	s.want("wanted s2, read s2")
	s.readStates("s2", "x1 7 Answered out num=+14155550177", "x2 - Answered")
	s.want("wanted s2 x2, ask s2 x2, ask s2 x1")
	s.joinParties("s2", "x1", "x2")
	s.after(time.Minute)
	s.event("s2", 4, "x1 7 Disconnected out reason=AttendedTransfer")
	s.event("s1", 6, "a2 7 Disconnected reason=AttendedTransfer")
	s.event("s1", 7, "oc1 8 Disconnected out sup") // our own parties leave, too
	s.want("read s1, read s2")
	s.readStates("s1", "c1 - Gone reason=AttendedTransfer peer=s2/x3", "a2 7 Disconnected reason=AttendedTransfer")
	s.want("moved s1 s2")
}
