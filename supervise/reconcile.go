package supervise

import (
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/earshot/earshot/call"
)

const (
	// RingCentral's telephony side may lag behind: 404 and 409 are asked again within this time, then given up.
	laterWithin = 2 * time.Second
	quickFirst  = 400 * time.Millisecond
	slowFirst   = 15 * time.Second
	slowMost    = time.Minute
	// A session's parties are read anew before asking if they are older than that.
	freshFor = 3 * time.Second
	// notReadyTries are the quick readings of a session in which the agent is not yet on the line with somebody.
	notReadyTries = 3
	notReadyFirst = 300 * time.Millisecond
	// endedSettle is the time between the end of a dialog and the look whether the call goes on: RingCentral ends our
	// dialogs and the parties in any order.
	endedSettle = 500 * time.Millisecond
	rejoinFirst = time.Second
	rejoinMost  = time.Minute
	// stableAfter is how long a dialog lives before its join counts as well again.
	stableAfter     = 30 * time.Second
	maxNoInvites    = 3
	noInviteFirst   = 5 * time.Second
	unclearSettle   = time.Second
	maxUnclear      = 5
	registeredAgain = 250 * time.Millisecond
	// answerWithin is how long an invited dialog may take to be up: 64*T1 until our 200 is given up (RFC 3261 section
	// 13.3.1.4), and some more.
	answerWithin = 40 * time.Second
	// tombstoneFor is how long presence may still show a call that the session GET said is over.
	tombstoneFor = 15 * time.Second
	confirmAfter = time.Second
	maxConfirms  = 3
)

// core decides what to do. It is data: no socket, clock, lock, goroutine or log; times and results come in, actions go
// out through take.
//
// Invariant: per join at most one POST is in flight, per session at most one GET.
type core struct {
	mode         string
	policy       Policy
	inviteWithin time.Duration
	own          ownSet
	agents       agentSet
	feed         feedFacts
	losses       losses
	devices      []*device
	logins       []*loginFacts
	budgets      []budget  // of the logins, at the newest tick; nil: not looked at
	wishes       []wish    // of the last window, oldest first
	wishedAt     time.Time // the first of all
	registered   bool      // some device is, at the newest tick
	lacking      int       // calls that wait for room in the pool, at the newest tick
	shortAt      time.Time
	rescan       bool // this tick needs a second pass
	views        map[string]*view
	forgotAt     time.Time // when room for views was searched for last
	sessions     map[string]*session
	tombs        map[string]tomb
	theirs       map[string]bool // sessions that another process hears
	draining     bool
	barred       string // why nothing new is asked for, at the newest tick
	lastLook     time.Time
	out          []action
}

// session is one call that is, or was a moment ago, wanted.
type session struct {
	id        string
	agent     Agent
	hint      string // the agent's party, as presence names it
	since     time.Time
	started   time.Time
	talks     time.Time // since when the agent is known to be on the line
	customer  call.Party
	mode      string
	planned   []call.Party // the streams of the plan
	known     []call.Party // agent and customer of the newest GET
	inCall    bool
	held      bool
	device    int               // that its dialogs are on, index into core.devices; -1: none yet
	shunned   map[int]time.Time // devices that did not serve it, until then
	places    int               // devices tried in a row
	counts    bool              // its wish for requests was noted
	roomAt    time.Time         // when room may be there again
	rank      int               // the lower, the more it is wanted
	full      bool              // the pool has no room for its joins
	left      bool              // it is another process's, or new while we drain: nothing is read or asked
	suspect   bool              // a refusal may be another supervisor's doing: the next reading tells
	occupied  bool              // another supervisor holds the place
	released  bool              // a user gave the place up: it is not asked for again
	verdict   verdict           // what policy says
	rule      string            // that excused it
	announced Call              // as last told to the Handler
	direction string            // as presence tells it
	joins     []*join           // in channel order
	heard     bool              // a dialog was up once
	asked     bool              // a request was sent once
	lived     bool              // a reading showed the agent in the call
	deaf      bool              // a join was due while the device was not registered
	told      bool              // a failure was told
	confirmed bool
	confirms  int       // looks that did not show our parties
	byFeed    bool      // an event told of it
	late      bool      // presence showed it first, while events should have come
	counted   bool      // as untold
	again     bool      // it is excused, and read again all the same
	recheckAt time.Time // when an excused call was read again
	passUntil time.Time // no monitored agent is in the call, and one may come until then
	cause     call.Cause
	seen      seenAgent
	seek      seek
	waits     time.Time // it may be another call that goes on: nothing is asked for before
	waitsMost time.Time // nor does it wait any longer than that
	obstacle  obstacle
	givenAt   time.Time // when the last dialog ended that a user gave up by hand
	freshness
}

// obstacle is what kept a call from being heard at once, the newest: the record of a call that was joined late names it.
type obstacle struct {
	text string
	at   time.Time
}

// hinder notes an obstacle.
func (s *session) hinder(now time.Time, text string) { s.obstacle = obstacle{text, now} }

// freshness is how well a session's parties are known.
type freshness struct {
	reading   bool      // a GET is under way
	dirty     bool      // they must be read before anything is asked
	readAt    time.Time // when they may be read; zero: with the next look
	readFails int
	tries     int       // readings in a row that found the call not ready
	freshAt   time.Time // the newest reading or event
	sentTop   int64     // the view's newest sequence when the reading was asked for
	leaver    int       // readings left that wait until a dialog of another process is gone
	lookAt    time.Time // released: when it is read to see who has the place
}

type tomb struct {
	party string
	until time.Time
}

// The actions.
type (
	action  any
	actRead struct{ session string }
	actAsk  struct {
		session, party string
		agent          Agent
		device         int
		again          bool // not the first attempt
	}
	actWanted  struct{ call Call }
	actExcused struct {
		call Call
		rule string
	}
	actHook   struct{ call HookCall }
	actFailed struct {
		session, agent string
		party          call.Party
		cause          call.Cause
		err            error
		look           bool // add what there is to see before it is told
		at             int  // the device
	}
	actGone    struct{ session, agent string }
	actLearned struct{ device, dialogs int }
	actProbe   struct{ device int }  // RingCentral granted a request, and the INVITE did not come
	actShort   struct{ text string } // calls are missed for want of room
	actTurned  struct {              // refused there, and asked elsewhere
		session, agent string
		device         int
		err            error
	}
	actMoved    struct{ from, to string } // the call goes on in another session
	actReleased struct {
		session, agent string
		cause          call.Cause
	}
	actHanded struct { // a human has taken the place of a released call, or left it
		session, agent string
		ours           bool
	}
	actAsked     struct{ session, agent, mode, role string }
	actJoined    struct{ session, agent, mode, role string }
	actSilent    struct{ missed int } // the feed brings nothing; 0: it does again
	actLost      struct{}             // of events that were told, one in between is missing
	actConfirmed struct {
		session, agent string
		seen           bool
	}
)

func newCore(mode string, inviteWithin time.Duration) *core {
	c := &core{mode: mode, inviteWithin: inviteWithin, agents: configured(nil), sessions: map[string]*session{}, tombs: map[string]tomb{}, views: map[string]*view{}}
	c.equip([]int{0}, []int{0})
	return c
}

func (c *core) emit(a action) { c.out = append(c.out, a) }

// take hands the decided actions over.
func (c *core) take() []action {
	out := c.out
	c.out = nil
	return out
}

// sorted gives the sessions by priority, then oldest first, so that actions come in a fixed order.
func (c *core) sorted() []*session {
	all := make([]*session, 0, len(c.sessions))
	for _, s := range c.sessions {
		all = append(all, s)
	}
	sort.Slice(all, func(i, k int) bool {
		if all[i].rank != all[k].rank {
			return all[i].rank < all[k].rank
		}
		if !all[i].since.Equal(all[k].since) {
			return all[i].since.Before(all[k].since)
		}
		return all[i].id < all[k].id
	})
	return all
}

func (s *session) call() Call {
	return Call{Session: s.id, Agent: s.agent, Customer: s.customer, Mode: s.mode, Since: s.since, Started: s.started}
}

func (s *session) alive() bool {
	for _, j := range s.joins {
		if j.alive() {
			return true
		}
	}
	return false
}

// joined says whether all that was planned is heard.
func (s *session) joined() bool {
	for _, j := range s.joins {
		if j.state != stateJoined && !j.extra {
			return false
		}
	}
	return len(s.joins) > 0
}

// planAlive is alive for the joins of the newest plan.
func (s *session) planAlive() bool {
	for _, j := range s.joins {
		if j.alive() && !j.extra {
			return true
		}
	}
	return false
}

func (s *session) join(party string) *join {
	for _, j := range s.joins {
		if j.party.ID == party {
			return j
		}
	}
	return nil
}

// tick does what is due and says when to come back; zero means only after something has happened. registered says so of
// each device.
func (c *core) tick(now time.Time, registered ...bool) time.Time {
	c.enroll(registered)
	c.rescan = false
	lost := c.lost(now)
	next := c.pass(now)
	if c.rescan { // a session that was passed is to be read after all
		next = c.pass(now)
	}
	return earlier(lost, next)
}

// pass is a turn of all sessions.
func (c *core) pass(now time.Time) time.Time {
	var next time.Time
	c.count(now)
	c.lacking = 0
	for _, s := range c.turns() {
		c.observe(s)
		for _, j := range s.joins {
			c.expire(now, s, j)
		}
		s.joins = slices.DeleteFunc(s.joins, func(j *join) bool { return j.extra && !j.alive() })
		if !s.inCall && !s.alive() && !s.reading && !s.unsure() && !now.Before(s.passUntil) {
			c.bury(s)
			continue
		}
		c.lookOut(now, s)
		c.ask(now, s)
		next = earlier(next, s.due(now, c.registered))
	}
	return next
}

// bury ends a session. One that was never heard, and of which no failure was told, is told as missed first; but not one
// that was over before it could be read.
func (c *core) bury(s *session) {
	delete(c.sessions, s.id)
	if !s.heard && !s.told && s.verdict != verdictExcused && (s.lived || s.freshAt.IsZero()) {
		cause := call.Cause{Code: call.CodeHangup, Text: "the call ended before it could be heard"}
		if s.deaf {
			cause = call.Cause{Code: call.CodeFlowLost, Text: "the call ended before the device was registered"}
		}
		c.emit(actFailed{session: s.id, agent: s.agent.Extension, cause: cause})
	}
	c.emit(actGone{s.id, s.agent.Extension})
}

// expire ends the waiting for an INVITE or a dialog.
func (c *core) expire(now time.Time, s *session, j *join) {
	switch {
	case j.state == stateFailed && !j.next.IsZero() && !now.Before(j.next) && s.inCall:
		j.retry(now)
	case j.state != stateAsked || j.deadline.IsZero() || now.Before(j.deadline):
	case s.released:
		c.quit(s, j)
	case j.invited:
		j.noInvite++
		c.again(now, s, j, call.Cause{Code: call.CodeNoACK, Text: "an INVITE came, its dialog did not"})
	case !s.inCall:
		if s.freshAt.Sub(j.firstAsk) > laterWithin { // else the call ended first: nothing is missing
			s.cause, s.told = call.Cause{Code: call.CodeNoInvite, Text: "RingCentral granted the request, and no INVITE came before the agent left the call"}, true
			c.emit(actFailed{session: s.id, agent: s.agent.Extension, party: j.party, cause: s.cause, look: true, at: s.device})
		}
		j.giveUp(call.Cause{}, time.Time{})
	default:
		j.noInvite++
		c.noInviteCame(now, s.device)
		c.again(now, s, j, call.Cause{Code: call.CodeNoInvite, Text: fmt.Sprintf("RingCentral granted the request, and no INVITE came within %s "+
			"(attempt %d of %d)", c.inviteWithin, j.noInvite, maxNoInvites)})
	}
}

// again tells a failure and plans the next attempt, if there is to be one.
func (c *core) again(now time.Time, s *session, j *join, cause call.Cause) {
	next := time.Time{}
	if j.noInvite < maxNoInvites || s.device >= 0 && now.Before(c.devices[s.device].until) {
		next = now.Add(backoff(noInviteFirst, slowMost, j.noInvite-1))
	}
	s.dirty, s.readAt = true, now
	c.fail(s, j, cause, nil, next)
	if c.shun(now, s) {
		s.elsewhere(now)
	}
}

// ask reads the session's parties where that is due, or asks for the joins that are.
func (c *core) ask(now time.Time, s *session) {
	s.full, s.left, s.roomAt, s.waits = false, c.leaves(s), time.Time{}, time.Time{}
	if s.left || s.reading && s.dirty || s.verdict == verdictExcused && !s.again {
		return
	}
	if s.verdict == verdictOpen && s.inCall && !s.dirty && !s.reading {
		s.dirty, s.readAt = true, now // only a reading can tell whether it is wanted
	}
	due := len(s.joins) == 0
	more := 0
	for _, j := range s.joins {
		if j.due(now) {
			due = true
			more++
		}
	}
	if s.deaf = due && !c.registered; s.deaf {
		s.hinder(now, "no device was registered")
	}
	// After a dialog's end or an unclear answer the reading tells what became of it; that needs no registration.
	if s.dirty && !s.readAt.IsZero() && !now.Before(s.readAt) && (c.registered || s.heard || s.alive()) {
		c.readNow(now, s)
		return
	}
	if s.dirty || !due || !c.registered || !s.inCall || s.held || s.released || s.verdict != verdictWanted || s.occupied {
		return
	}
	if s.waits = c.mayFollow(now, s); !s.waits.IsZero() {
		return
	}
	if c.barred != "" && !c.begun(s) {
		c.bar(now, s)
		return
	}
	c.wants(now, s, more)
	dev, again := c.place(now, s, more)
	if dev < 0 {
		s.roomAt = again
		return
	}
	if now.Sub(s.freshAt) > freshFor && !c.followed(now, s) {
		if !s.reading {
			c.readNow(now, s)
		}
		return
	}
	for _, j := range s.joins {
		if !j.due(now) || !j.enter(stateAsking) {
			continue
		}
		if j.firstAsk.IsZero() {
			j.firstAsk = now
		}
		s.device = dev
		c.devices[dev].load++
		c.got(now, s, c.devices[dev].login)
		j.inFlight, s.asked = true, true
		c.emit(actAsk{session: s.id, party: j.party.ID, agent: s.agent, device: dev, again: j.asks > 0})
		j.asks++
	}
}

// readNow has the session's parties read.
func (c *core) readNow(now time.Time, s *session) {
	s.dirty, s.reading, s.seek.due = true, true, false
	s.sentTop = c.viewOf(now, s.id).top
	c.emit(actRead{s.id})
}

func (j *join) due(now time.Time) bool {
	return j.state == stateWanted && !j.extra && !j.inFlight && !j.unclear && !now.Before(j.next)
}

// due is when the session needs a tick.
func (s *session) due(now time.Time, registered bool) time.Time {
	next := time.Time{}
	if !s.inCall && now.Before(s.passUntil) {
		next = s.passUntil
	}
	if s.left || s.verdict == verdictExcused && !s.again {
		return next
	}
	if s.released && !s.reading && s.inCall && !s.alive() {
		next = earlier(next, s.lookAt)
	}
	if s.dirty && !s.reading && !s.readAt.IsZero() {
		next = earlier(next, s.readAt)
	}
	for _, j := range s.joins {
		switch {
		case j.state == stateAsked:
			next = earlier(next, j.deadline)
		case j.extra || s.released || s.occupied || s.verdict != verdictWanted:
		case !s.waits.IsZero() && j.state == stateWanted:
			next = earlier(next, s.waits)
		case j.state == stateWanted && (s.full || !s.roomAt.IsZero()): // until a dialog ends, what was learned is forgotten, or requests are allowed again
			next = earlier(next, s.roomAt)
		case s.inCall && !j.inFlight && (j.state == stateFailed || j.state == stateWanted && !s.dirty && !s.held):
			next = earlier(next, j.next)
		}
	}
	if !next.IsZero() && !registered {
		next = later(next, now.Add(registeredAgain))
	}
	return next
}

// earlier gives the earlier of two times, of which zero means none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
