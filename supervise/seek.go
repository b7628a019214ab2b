package supervise

import (
	"slices"
	"time"
)

const (
	// seekWithin is how long a call waits for the reading that may name the call it goes on from.
	seekWithin = 2 * time.Second
	// goneMayCome is how long the account's feed has to tell by itself in which session a call goes on.
	goneMayCome = 300 * time.Millisecond
)

// seek is the search for the session in which a call goes on. An agent's own feed does not tell: the customer's party is
// Gone, and only the account's feed or a reading shows its peerId.
type seek struct {
	until  time.Time // calls that may go on from this one wait for its reading until then
	leftAt time.Time // when the agent left, or the dialogs ended; zero: neither
	done   bool      // an event told that the agent left for good, or handed the call over
	asked  bool      // a reading was asked for
	due    bool      // and has not begun
}

// seekNext has a session read, once, when its agent handed the call over to whom he consulted.
func (c *core) seekNext(now time.Time, s *session, v *view) {
	p := v.party(s.hint)
	if s.seek.done || p == nil || !left(p.partyState) && !parked(p.partyState) {
		return
	}
	s.seek.done = true
	if s.seek.leftAt.IsZero() {
		s.seek.leftAt = now
	}
	switch {
	case s.verdict != verdictWanted, v.next != "", parked(p.partyState):
	case slices.Contains([]string{"AttendedTransfer", "RccTransfer"}, p.Reason), p.Reason == "" && c.consulted(s):
		c.seekNow(now, s)
	}
}

// unsure says whether a reading is about to tell whether the call goes on: its dialogs ended, and no event told why.
func (s *session) unsure() bool {
	return !s.left && !s.seek.leftAt.IsZero() && !s.seek.done && s.verdict != verdictExcused && (s.reading || s.dirty && !s.readAt.IsZero())
}

func (c *core) seekNow(now time.Time, s *session) {
	s.seek.until, s.seek.asked, s.seek.due = now.Add(seekWithin), true, true
	s.dirty, s.readAt = true, now
	if c.feed.account {
		s.readAt = now.Add(goneMayCome)
	}
}

// consulted says whether the agent has, or had a moment ago, another call that nobody listens to.
func (c *core) consulted(s *session) bool {
	for _, o := range c.sessions {
		if o != s && c.follows(s, o) && !c.known(c.views[o.id]) {
			return true
		}
	}
	return false
}

// follows says whether a call may go on as another one: the agent had that one too, before he left.
func (c *core) follows(s, next *session) bool {
	v := c.views[next.id]
	if v == nil || v.prev != "" || next.since.After(s.seek.leftAt) && !s.seek.leftAt.IsZero() {
		return false
	}
	return slices.ContainsFunc(v.parties, func(p *viewParty) bool { return p.ExtensionID != "" && p.ExtensionID == s.agent.ID && !p.Supervising })
}

// pickedUp says whether a call may be one that waited for somebody to take it: the same person is on the line.
func (c *core) pickedUp(now time.Time, s, next *session) bool {
	number := next.customer.Number
	if v := c.views[next.id]; v != nil && number == "" {
		if p := v.party(next.hint); p != nil {
			number = p.Far.Number
		}
	}
	return number != "" && e164(number) == e164(s.customer.Number) && !s.inCall && now.Before(s.passUntil)
}

// arriving says whether the person whom an agent put on hold has turned up in the agent's consultation: the call is being
// handed over.
func (c *core) arriving(s, next *session, v *view) bool {
	if !s.inCall || !s.held || s.customer.Number == "" || !c.follows(s, next) {
		return false
	}
	return slices.ContainsFunc(v.parties, func(p *viewParty) bool {
		return p.ExtensionID == "" && live(p.partyState) && e164(p.Number) == e164(s.customer.Number)
	})
}

// mayFollow says until when a call waits with its requests because it may be another one that goes on; zero: it does not.
// Its INVITEs would be taken for those of a call of its own.
func (c *core) mayFollow(now time.Time, next *session) (until time.Time) {
	v := c.views[next.id]
	if next.asked || v == nil || v.prev != "" || c.known(v) {
		return until
	}
	first := next.waitsMost.IsZero()
	if first {
		next.waitsMost = now.Add(seekWithin)
	}
	if !now.Before(next.waitsMost) {
		return until
	}
	for _, s := range c.sessions {
		if o := c.views[s.id]; s == next || s.verdict != verdictWanted || o == nil || o.next != "" {
			continue
		}
		if c.arriving(s, next, v) { // its events are on their way
			until = later(until, next.waitsMost.Add(goneMayCome-seekWithin))
		}
		taken := c.pickedUp(now, s, next)
		if taken && first && !(s.seek.asked && now.Before(s.seek.until)) {
			c.seekNow(now, s)
			c.rescan = true
		}
		if now.Before(s.seek.until) && (s.dirty || s.reading) && (taken || c.follows(s, next)) {
			until = later(until, s.seek.until)
		}
	}
	switch {
	case until.After(next.waitsMost):
		return next.waitsMost
	case !until.After(now):
		return time.Time{}
	}
	return until
}
