package supervise

import (
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/call"
)

const (
	// transferWait and parkWait are how long a call without a monitored agent is kept for the next one.
	transferWait = 2 * time.Minute
	parkWait     = 15 * time.Minute
	// untoldAfter is the age at which a call that no event told of speaks against the feed.
	untoldAfter = 5 * time.Second
	maxUntold   = 2
	// otherSoon is how long the answer of the call's other side is waited for where the feed tells it: RingCentral sends an
	// event each, the callee's first. A reading in between would cost half as many requests again as the joins.
	otherSoon = 300 * time.Millisecond
)

// feedFacts is what the core knows of the event feed.
type feedFacts struct {
	since   time.Time // healthy since then; zero: it is not
	account bool
	events  int64
	stale   int64
	last    time.Time
	untold  int // calls that presence showed and no event told of, since the last event
	silent  bool
}

// fed notes whether events come.
func (c *core) fed(now time.Time, healthy, account bool) {
	c.feed.account = account
	c.feed.untold, c.feed.silent = 0, false
	switch {
	case !healthy:
		c.feed.since = time.Time{}
	case c.feed.since.IsZero():
		c.feed.since = now
	}
}

// setAgents changes whose calls are wanted. Calls that are heard stay.
func (c *core) setAgents(now time.Time, set agentSet) {
	c.agents = set
	for _, v := range c.sortedViews() {
		if c.sessions[v.id] == nil {
			c.follow(now, v)
		}
	}
}

func (c *core) sortedViews() []*view {
	all := make([]*view, 0, len(c.views))
	for _, v := range c.views {
		all = append(all, v)
	}
	slices.SortFunc(all, func(a, b *view) int { return strings.Compare(a.id, b.id) })
	return all
}

// event takes a telephony session event.
func (c *core) event(now time.Time, ev sessionEvent) {
	c.feed.events++
	c.feed.last = now
	v := c.viewOf(now, ev.session)
	c.number(now, v, ev.sequence)
	if !v.merge(now, ev) {
		c.feed.stale++
		return
	}
	c.link(now, v)
	c.follow(now, v)
}

// monitored finds the agent's party that counts: one on the line before one that rings before one that has left; then
// the agent that is heard already; then the newest.
func (c *core) monitored(v *view, s *session) (Agent, *viewParty) {
	var agent Agent
	var best *viewParty
	rank := -1
	for _, p := range v.parties {
		a, ok := c.agents.agent(p.ExtensionID)
		if s != nil && p.ExtensionID == s.agent.ID && p.ExtensionID != "" {
			a, ok = s.agent, true
		}
		if !ok || p.Supervising || c.own.has(p.ExtensionID) {
			continue
		}
		r := 0
		switch {
		case live(p.partyState) && p.ExtensionID == v.giver:
			r = 6 // on the way out
		case live(p.partyState):
			r = 8
		case pending(p.partyState):
			r = 4
		}
		if s != nil && a.ID == s.agent.ID && (r != 6 || p.ExtensionID != v.giver) {
			r += 2
			if p.ID == s.hint {
				r++
			}
		}
		if r >= rank {
			agent, best, rank = a, p, r
		}
	}
	return agent, best
}

// follow brings a session to what its view says.
func (c *core) follow(now time.Time, v *view) {
	s := c.sessions[v.id]
	agent, p := c.monitored(v, s)
	if p == nil && s != nil && s.hint != "" {
		agent, p = s.agent, v.party(s.hint) // an agent whose parties carry no extension, known from presence
	}
	switch {
	case p == nil:
		return
	case s == nil && !answered(p.partyState):
		return // it rings, or is over
	case s == nil && c.crowded(now):
		return
	case s == nil:
		s = c.want(now, agentCall{agent: agent, session: v.id, party: p.ID, started: now, customer: customerOf(p.partyState)})
		s.talks = now
		if c.feed.account {
			s.readAt = now.Add(otherSoon)
		}
	}
	c.heardOf(s)
	c.told(s)
	c.vacated(now, s, v)
	if live(p.partyState) {
		c.onLine(now, s, agent, p)
	}
	s.freshAt = now
	c.replan(now, s, v)
}

// heardOf notes that an event told of the session: the feed works.
func (c *core) heardOf(s *session) {
	s.byFeed = true
	c.feed.untold = 0
	if c.feed.silent {
		c.feed.silent = false
		c.emit(actSilent{})
	}
}

// onLine notes that an agent is on the line, maybe another than before: a transfer within the session.
func (c *core) onLine(now time.Time, s *session, agent Agent, p *viewParty) {
	if !s.inCall {
		s.anew(now)
	}
	s.inCall, s.lived, s.passUntil, s.seek = true, true, time.Time{}, seek{}
	if agent.ID != s.agent.ID || p.ID != s.hint {
		s.agent, s.hint = agent, p.ID
		s.anew(now)
		s.refresh(now)
		c.announce(s)
	}
	held := is(p.partyState, "Hold")
	if s.held && !held {
		s.anew(now) // taken up again: what was refused then may be granted now
	}
	s.held = held
}

// refresh gives the joins that are not up a fresh start: the call has another agent's party.
func (s *session) refresh(now time.Time) {
	for _, j := range s.joins {
		if !j.alive() && (j.state == stateFailed || j.state == stateWanted) && j.cause.Code != call.CodeReleased {
			j.tally = tally{}
			j.retry(now)
		}
	}
}

// replan plans anew after an event.
func (c *core) replan(now time.Time, s *session, v *view) {
	mode := c.modeOf(s)
	p := makePlan(mode, c.people(s, v), s.agent, c.own, s.hint)
	if p.live && !p.ready && p.lone && mode == ModeSession && !s.held {
		p.ready = true // the whole session is asked for, whoever else is in it
	}
	switch {
	case p.over:
		c.gone(now, s, v)
		c.seekNext(now, s, v)
	case !p.live, s.held:
	case p.ready && c.complete(v, p):
		switch {
		case s.occupied: // only a reading tells that the place is free
		case s.settled():
			s.dirty = false
		case s.dirty && s.readAt.IsZero():
			s.readAt = now // readings were given up while it was on hold, say
		}
		s.tries = 0
		c.apply(now, s, p)
		return
	case !s.joined() && !s.dirty:
		s.dirty, s.readAt = true, now
	case !s.joined() && s.readAt.IsZero():
		s.readAt = now
	}
	c.decide(now, s)
}

// settled says whether the joins have no past that only a reading can clear up.
func (s *session) settled() bool {
	if s.leaver > 0 {
		return false
	}
	for _, j := range s.joins {
		if j.unclear || (j.asks > 0 && !j.alive()) {
			return false
		}
	}
	return true
}

// complete says whether the view names all who talk: a reading has shown them, the feed brings everybody's events, or the
// agent's far end is the other party.
func (c *core) complete(v *view, p plan) bool {
	if p.mode == ModeSession || v.whole || c.feed.account {
		return true
	}
	agent, other := v.party(p.agent.ID), v.party(p.other.ID)
	return agent != nil && other != nil && agent.Far.ExtensionID != "" && agent.Far.ExtensionID == other.ExtensionID
}

// people are the view's parties without queues, menus and the like, which are on the line for a moment more; without who
// has just handed the call over; and, while the call is heard, without the agent's device that another one replaces.
func (c *core) people(s *session, v *view) []partyState {
	heard := s.planAlive()
	return slices.DeleteFunc(v.states(), func(p partyState) bool {
		return p.ExtensionID != "" && (c.agents.devices[p.ExtensionID] || p.ExtensionID == v.giver && p.ExtensionID != s.agent.ID ||
			heard && p.ExtensionID == s.agent.ID && p.ID != s.hint)
	})
}

// transferReasons are those with which an agent leaves a call that goes on.
var transferReasons = []string{"BlindTransfer", "RccTransfer", "AttendedTransfer", "DtmfTransfer", "CallRedirected", "CallFlip", "CallSwitch",
	"CallerInputRedirect", "TakeOver"} //nolint:gochecknoglobals // constant

var parkReasons = []string{"CallPark", "ParkLocation"} //nolint:gochecknoglobals // constant

// gone notes that the agent's part of the call has ended. Where the call was handed on it is kept for a while, for the
// next agent.
func (c *core) gone(now time.Time, s *session, v *view) {
	wait := c.handedOn(s, v)
	switch {
	case wait == 0:
		s.passUntil = time.Time{}
	case s.passUntil.IsZero():
		s.passUntil = now.Add(wait)
	}
	c.over(now, s)
}

// handedOn says how long the call is worth waiting for; 0: it is over.
func (c *core) handedOn(s *session, v *view) time.Duration {
	wait := time.Duration(0)
	others := false
	for _, p := range v.parties {
		_, agent := c.agents.agent(p.ExtensionID)
		switch {
		case p.Supervising || c.own.has(p.ExtensionID):
		case parked(p.partyState):
			others, wait = true, parkWait
		case pending(p.partyState) && agent:
			others, wait = true, max(wait, transferWait)
		case !left(p.partyState):
			others = true
		case p.ID == s.hint && slices.Contains(parkReasons, p.Reason):
			wait = parkWait
		case p.ID == s.hint && slices.Contains(transferReasons, p.Reason):
			wait = max(wait, transferWait)
		}
	}
	if !others && (v.whole || c.feed.account) {
		return 0
	}
	return wait
}

// customerOf is the other side as far as the agent's own party names it: without an id.
func customerOf(p partyState) call.Party {
	return call.Party{Role: call.RoleCustomer, Name: p.Far.Name, Number: p.Far.Number, Extension: p.Far.Extension}
}

// untold looks for calls that presence shows and the feed should have told of.
func (c *core) untold(now time.Time, s *session) {
	if s.byFeed || !s.late || s.counted || c.feed.since.IsZero() || now.Sub(s.since) < untoldAfter {
		return
	}
	s.counted = true
	if c.feed.untold++; c.feed.untold >= maxUntold && !c.feed.silent {
		c.feed.silent = true
		c.emit(actSilent{c.feed.untold})
	}
}
