package supervise

import (
	"fmt"
	"time"

	"github.com/earshot/earshot/call"
)

// joinState is where a join stands.
type joinState uint8

const (
	stateWanted joinState = iota // to be asked for, at join.next
	stateAsking                  // the POST is under way
	stateAsked                   // granted, or an INVITE came: a dialog is awaited until join.deadline
	stateJoined                  // at least one dialog is up
	stateFailed                  // given up; asked again at join.next, if that is set
	stateCount
)

var stateNames = [stateCount]string{"wanted", "asking", "asked", "joined", "failed"}

func (s joinState) String() string {
	if s < stateCount {
		return stateNames[s]
	}
	return fmt.Sprintf("joinState(%d)", uint8(s))
}

// moves are the legal changes of state. An INVITE may come in any state, late or early, hence asked and joined from
// everywhere.
var moves = [stateCount][stateCount]bool{
	stateWanted: {stateAsking: true, stateAsked: true, stateJoined: true, stateFailed: true},
	stateAsking: {stateWanted: true, stateAsked: true, stateJoined: true, stateFailed: true},
	stateAsked:  {stateWanted: true, stateJoined: true, stateFailed: true},
	stateJoined: {stateWanted: true, stateFailed: true},
	stateFailed: {stateWanted: true, stateAsked: true, stateJoined: true},
}

// join is one stream of a session. In session mode its party is a mix and has no id.
type join struct {
	party    call.Party
	state    joinState
	own      string    // our party, as the POST's answer or the INVITE named it
	inFlight bool      // a POST has not returned: no second one meanwhile
	unclear  bool      // nobody knows whether the last POST was done
	invited  bool      // an INVITE was matched
	seen     bool      // presence or an event shows our party
	extra    bool      // of an older plan: it lives on, and is not asked for again
	dialogs  int       // that are up
	next     time.Time // wanted, failed: ask then; failed and zero: never
	deadline time.Time // asked: a dialog must be up by then
	joinedAt time.Time
	wantedAt time.Time  // when its dialog ended; zero: it had none
	cause    call.Cause // the newest failure
	tally
}

// tally counts attempts since the join was last well.
type tally struct {
	asks     int       // POSTs sent
	quick    int       // asks repeated at once because the telephony side may lag
	failures int       // rounds given up
	noInvite int       // grants without an INVITE or a dialog
	drops    int       // dialogs that ended soon
	firstAsk time.Time // of this round
}

// enter is the only place where a join changes state; an illegal move is refused and changes nothing.
func (j *join) enter(s joinState) bool {
	if j.state == s {
		return true
	}
	if !moves[j.state][s] {
		return false
	}
	j.state = s
	return true
}

// alive says whether audio comes, or may come, from this join: then its session is kept.
func (j *join) alive() bool {
	return j.inFlight || j.unclear || j.state == stateAsking || j.state == stateAsked || j.state == stateJoined
}

// open says whether an INVITE of this join is awaited.
func (j *join) open() bool {
	return !j.invited && j.dialogs == 0 && (j.inFlight || j.unclear || j.state == stateAsking || j.state == stateAsked)
}

// retry makes the join wanted again at a time.
func (j *join) retry(at time.Time) {
	if j.enter(stateWanted) {
		j.next, j.deadline, j.own, j.invited, j.seen = at, time.Time{}, "", false, false
	}
}

// giveUp makes the join failed; it is asked for again at next, or never if that is zero.
func (j *join) giveUp(c call.Cause, next time.Time) {
	if j.enter(stateFailed) {
		j.cause, j.next, j.deadline, j.own, j.invited = c, next, time.Time{}, "", false
		j.quick, j.firstAsk = 0, time.Time{}
	}
}
