package supervise

import (
	"errors"
	"testing"
	"time"
)

// These hold what a random history seldom needs: each was seen failing with the line that it is about taken away.

func TestAReadingIsOlderThanWhatEventsHaveToldSince(t *testing.T) {
	for _, c := range []struct {
		name, told string
		asked      int64 // the newest event's number when the reading was asked for
		want       string
	}{
		{"an event came while it was under way", "a2 7 Hold", 4, "Hold"},
		{"its server lags behind the events", "a2 7 Disconnected", 5, "Disconnected"},
		{"it is newer", "a2 7 Hold", 5, "Answered"},
	} {
		v := &view{}
		now := time.Unix(1000, 0)
		v.merge(now, sessionEvent{sequence: 4, parties: []partyState{stateOf("a2 7 Answered")}})
		v.merge(now, sessionEvent{sequence: 5, parties: []partyState{stateOf(c.told)}})
		v.mergeRead(now, []partyState{stateOf("a2 7 Answered")}, c.asked)
		if got := v.party("a2").Status; got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

// refusedCall is a call of agent 7 whose join was refused for good.
func refusedCall(t *testing.T) *script {
	s := newFed(t, ModeSession, true)
	s.event("s1", 2, "c1 - Answered out")
	s.event("s1", 3, "a2 7 Answered")
	s.want("wanted s1, wanted s1 c1, ask s1")
	s.refused("s1", "", outcomeRefused)
	s.want("failed s1 refused, read s1")
	s.read("s1", talk...)
	s.after(time.Minute)
	s.want("")
	return s
}

func TestWhatWasRefusedIsAskedAgainWhenTheCallIsTakenUp(t *testing.T) {
	s := refusedCall(t)
	s.event("s1", 4, "a2 7 Hold")
	s.after(time.Second)
	s.want("")
	s.event("s1", 5, "a2 7 Answered")
	s.after(time.Millisecond)
	s.want("ask s1 again")
}

func TestANewPhoneOfTheAgentDoesNotWaitOutTheBackoff(t *testing.T) {
	s := newFed(t, ModeSession, true)
	s.event("s1", 2, "c1 - Answered out")
	s.event("s1", 3, "a2 7 Answered")
	s.want("wanted s1, wanted s1 c1, ask s1")
	for drop := range 3 { // the wait before the next doubles
		s.granted("s1", "", "o1")
		s.c.answered(s.now, "s1", "")
		s.want("asked s1 mix, joined s1 mix")
		s.c.ended(s.now, "s1", "", hangup)
		if drop == 2 {
			break
		}
		wait := rejoinFirst << drop
		s.after(endedSettle)
		s.want("read s1")
		s.read("s1", talk...)
		s.after(wait - endedSettle - time.Millisecond)
		s.want("")
		s.after(time.Millisecond)
		s.want("ask s1 again")
	}
	s.after(endedSettle)
	s.want("read s1")
	s.read("s1", talk...)
	s.event("s1", 4, "a4 7 Answered")
	s.event("s1", 5, "a2 7 Disconnected reason=CallSwitch")
	s.after(time.Millisecond)
	s.want("ask s1")
}

func TestAnUnclearRequestIsNotTakenForTheOtherOnesParty(t *testing.T) {
	s := newFed(t, ModeParty, true)
	s.event("s1", 2, "c1 - Answered out")
	s.event("s1", 3, "a2 7 Answered")
	s.want("wanted s1, wanted s1 c1, ask s1 c1, ask s1 a2")
	s.granted("s1", "a2", "o3")
	s.refused("s1", "c1", outcomeUnclear)
	s.want("asked s1 agent")
	s.after(unclearSettle)
	s.want("read s1")
	s.read("s1", append(talk, "o3 8 sup")...)
	s.after(firstRetryWait - unclearSettle)
	s.want("ask s1 c1 again") // and no INVITE is waited for
}

func TestAReadingThatTheBudgetForbidsIsNotAskedForAtOnce(t *testing.T) {
	s := newScript(t, ModeParty)
	s.look("s1 a2")
	s.want("wanted s1, read s1")
	s.c.read(s.now, "s1", nil, outcomeBusy, s.now.Add(20*time.Second), errors.New("budget"))
	s.after(19 * time.Second)
	s.want("")
	s.after(time.Second)
	s.want("read s1")
}
