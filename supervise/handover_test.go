package supervise

import (
	"slices"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
)

func TestACallThatAnotherProcessHearsIsNotTouchedUntilItIsFree(t *testing.T) {
	s := newScript(t, ModeParty)
	s.c.setElsewhere(s.now, [][]string{{"s1"}})
	s.look("s1 a2", "s2 b2")
	s.want("wanted s1, wanted s2, read s2")
	for range 5 {
		s.after(time.Minute)
		s.look("s1 a2", "s2 b2")
		s.want("")
	}
	s.c.setElsewhere(s.now, nil)
	s.want("read s1")
	s.read("s1", "c1 - Answered", "a2 7 Answered")
	s.want("wanted s1 c1, ask s1 c1, ask s1 a2")
}

// freed is a call that another process heard and has let go of.
func freed(t *testing.T) *script {
	s := newScript(t, ModeParty)
	s.c.setElsewhere(s.now, [][]string{{"s1"}})
	s.look("s1 a2")
	s.want("wanted s1")
	s.c.setElsewhere(s.now, nil)
	s.want("read s1")
	return s
}

func TestACallIsNotAskedForWhileTheOtherProcessesPartyIsOnTheLine(t *testing.T) {
	s := freed(t)
	s.read("s1", append(talk, "o3 8 sup")...)
	s.want("")
	s.after(notReadyFirst)
	s.want("read s1")
	s.read("s1", talk...)
	s.want("wanted s1 c1, ask s1 c1, ask s1 a2")
}

func TestAPartyThatStaysOfTheOtherProcessIsWaitedForTwoSecondsOnly(t *testing.T) {
	s := freed(t)
	for wait := notReadyFirst; wait <= 4*notReadyFirst; wait *= 2 {
		s.read("s1", append(talk, "o3 8 sup")...)
		s.c.take()
		s.want("")
		s.after(wait)
		s.want("read s1")
	}
	s.read("s1", append(talk, "o3 8 sup")...)
	s.want("wanted s1 c1, ask s1 c1, ask s1 a2")
}

func TestAnEventDoesNotCutShortTheWaitForTheOtherProcessesParty(t *testing.T) {
	s := newFed(t, ModeParty, true)
	s.c.setElsewhere(s.now, [][]string{{"s1"}})
	s.event("s1", 2, "c1 - Answered out")
	s.event("s1", 3, "a2 7 Answered")
	s.want("wanted s1, wanted s1 c1")
	s.c.setElsewhere(s.now, nil)
	s.event("s1", 4, "o3 8 Disconnected") // one of the two
	s.want("read s1")
	s.read("s1", append(talk, "o4 8 sup")...)
	s.event("s1", 5, "o4 8 Disconnected")
	s.want("")
	s.after(notReadyFirst)
	s.want("read s1")
	s.read("s1", talk...)
	s.want("ask s1 c1, ask s1 a2")
}

func TestWhatADeadProcessHeardIsAskedForWithoutWaiting(t *testing.T) {
	s := newScript(t, ModeParty)
	s.c.setElsewhere(s.now, [][]string{{"s1"}})
	s.look("s1 a2")
	s.want("wanted s1")
	(&Supervisor{core: s.c, wake: make(chan struct{}, 1), urge: make(chan struct{}, 1)}).Abandoned()
	s.c.setElsewhere(s.now, nil)
	s.want("read s1")
	s.read("s1", append(talk, "o3 8 sup")...)
	s.want("wanted s1 c1, ask s1 c1, ask s1 a2")
}

func TestACallThatEndsWithTheOtherProcessIsNotMissed(t *testing.T) {
	for _, freedFirst := range []bool{true, false} {
		s := newScript(t, ModeParty)
		s.c.setElsewhere(s.now, [][]string{{"s1"}})
		s.look("s1 a2")
		s.want("wanted s1")
		s.after(10 * time.Second)
		if freedFirst {
			s.c.setElsewhere(s.now, nil)
		}
		s.look()
		s.want("gone s1")
	}
}

func TestACallThatComesBackKeepsTheNameItBeganWith(t *testing.T) {
	s := newScript(t, ModeParty)
	s.c.setElsewhere(s.now, [][]string{{"s1", "s2"}})
	s.look("s2 a2")
	s.want("wanted s2")
	s.c.setElsewhere(s.now, [][]string{})
	s.want("read s2")
	s.read("s2", "c1 - Answered", "a2 7 Answered")
	s.want("wanted s2 c1, ask s2 c1, ask s2 a2")
	x, j, by := s.c.match(s.now, Ref{}, Ref{"s2", "c1"})
	if j == nil {
		t.Fatal("not matched")
	}
	if got := s.c.joinOf(x, j, j.party, by).Chain; !slices.Equal(got, []string{"s1", "s2"}) {
		t.Errorf("chain %v, want s1 s2", got)
	}
}

func TestACallThatIsTransferredAwayFromTheOtherProcessGoesOnHere(t *testing.T) {
	s := newFed(t, ModeParty, true)
	s.c.setElsewhere(s.now, [][]string{{"s1"}})
	s.event("s1", 2, "c1 - Answered out")
	s.event("s1", 3, "a2 7 Answered num=+1408")
	s.want("wanted s1, wanted s1 c1")
	s.after(10 * time.Second)
	s.event("s1", 4, "c1 - Gone reason=AttendedTransfer peer=s2/x3")
	s.event("s2", 2, "x3 - Answered out")
	s.event("s2", 3, "x4 9 Answered num=+1408")
	s.event("s1", 5, "a2 7 Disconnected reason=AttendedTransfer")
	s.want("moved s1 s2, wanted s2, wanted s2 x3, gone s1, ask s2 x3, ask s2 x4")
}

func TestDrainingKeepsWhatWasBegunAndBeginsNothing(t *testing.T) {
	s := customerCall(t)
	s.event("s3", 2, "e1 - Answered out")
	s.event("s3", 3, "e2 9 Answered num=+1409")
	s.want("wanted s3, wanted s3 e1, ask s3 e1, ask s3 e2")
	s.c.draining = true
	s.event("s2", 2, "d1 - Answered out")
	s.event("s2", 3, "d2 9 Answered num=+1409")
	s.want("wanted s2, wanted s2 d1")
	// A call that was asked for before is asked for until it is heard, and one that drops is joined again.
	s.c.asked(s.now, "s3", "e1", "", outcomeBusy, s.now.Add(time.Second), nil)
	s.granted("s3", "e2", "oe2")
	s.want("asked s3 agent")
	s.c.ended(s.now, "s1", "a2", call.Cause{Code: call.CodeHangup})
	s.after(time.Second)
	s.want("read s1, ask s3 e1")
	s.read("s1", "c1 - Answered", "a2 7 Answered", "oc1 8 sup")
	s.want("ask s1 a2")
	// A transfer of it is the same call.
	s.granted("s1", "a2", "oa2")
	s.c.match(s.now, Ref{"s1", "oa2"}, Ref{"s1", "a2"})
	s.c.answered(s.now, "s1", "a2")
	s.want("asked s1 agent, joined s1 agent")
	s.event("s1", 5, "c1 - Gone reason=AttendedTransfer peer=s4/x3")
	s.event("s4", 2, "x3 - Answered out")
	s.event("s4", 3, "x4 9 Answered num=+1408")
	s.want("moved s1 s4, wanted s4, wanted s4 x3, ask s4 x3, ask s4 x4")
	s.c.draining = false
	s.want("ask s2 d1, ask s2 d2")
}

func TestPendingNamesCallsWhoseDialogIsNotUp(t *testing.T) {
	s := customerCall(t)
	sup := &Supervisor{core: s.c}
	if got := sup.Pending(); len(got) != 0 {
		t.Errorf("heard as a whole: pending %v", got)
	}
	s.event("s2", 2, "d1 - Answered out")
	s.event("s2", 3, "d2 9 Answered num=+1409")
	s.want("wanted s2, wanted s2 d1, ask s2 d1, ask s2 d2")
	s.joinPartiesOf("s2", "d1")
	if got := sup.Pending(); !slices.Equal(got, []string{"s2"}) {
		t.Errorf("half heard: pending %v, want s2", got)
	}
	s.joinPartiesOf("s2", "d2")
	if got := sup.Pending(); len(got) != 0 {
		t.Errorf("heard as a whole: pending %v", got)
	}
}

// joinPartiesOf brings some joins of a session up.
func (s *script) joinPartiesOf(session string, parties ...string) {
	for _, p := range parties {
		s.granted(session, p, "o"+p)
		s.c.match(s.now, Ref{session, "o" + p}, Ref{session, p})
		s.c.answered(s.now, session, p)
	}
}
