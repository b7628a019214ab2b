package supervise

import (
	"fmt"
	"slices"
	"time"

	"github.com/earshot/earshot/call"
)

// look takes a complete look at presence.
func (c *core) look(now time.Time, snap snapshot) {
	before := c.lastLook
	c.lastLook = now
	c.forget(now, keepEnded, keepView)
	c.agents.found(snap.agents)
	for id, t := range c.tombs {
		if now.After(t.until) {
			delete(c.tombs, id)
		}
	}
	shown := map[string]bool{}
	for _, a := range snap.calls {
		t, dead := c.tombs[a.session]
		if shown[a.session] || (dead && t.party == a.party) {
			continue // a second monitored agent in the same call: one join is enough
		}
		s := c.sessions[a.session]
		if s == nil {
			if a.held {
				continue // asked for when it is taken up again
			}
			if v := c.views[a.session]; v != nil && v.outdates(a.party, snap.taken) {
				continue
			}
			if c.crowded(now) {
				continue
			}
			s = c.want(now, a)
			if s.talks = later(a.started, before); s.talks.After(now) { // clocks differ
				s.talks = now
			}
			s.hinder(now, "no event had told of the call: a look at presence found it")
			c.losses.found()
			s.late = !c.feed.since.IsZero() && before.After(c.feed.since)
		}
		c.untold(now, s)
		shown[a.session] = true
		c.shown(now, s, a, snap.taken)
		c.recheck(now, s, snap)
	}
	for _, s := range c.sorted() {
		if !shown[s.id] && s.freshAt.Before(snap.taken) {
			c.missing(now, s)
		}
		c.confirm(s, snap)
	}
}

// missing takes a look that does not show the call any more. Presence flickers: where events say that the agent is on the
// line, the session is read.
func (c *core) missing(now time.Time, s *session) {
	v := c.views[s.id]
	if v == nil || c.feed.since.IsZero() || !s.byFeed || !s.inCall || s.verdict == verdictExcused {
		s.inCall = false
		return
	}
	if !s.dirty || s.readAt.IsZero() {
		s.dirty, s.readAt = true, now
	}
}

// outdates says whether the party has left by what came after the look was asked for, or is known to have left for good.
func (v *view) outdates(party string, taken time.Time) bool {
	p := v.party(party)
	return p != nil && left(p.partyState) && (p.seq > 0 || !v.at.Before(taken))
}

// recheckEvery is the time between two readings of an internal call of which presence shows one side.
const recheckEvery = time.Minute

// recheck has an internal call read in which presence shows one of our people only: a transfer has brought the customer
// in, maybe, and its event was lost.
func (c *core) recheck(now time.Time, s *session, snap snapshot) {
	if s.verdict != verdictExcused || s.rule != ruleInternal || s.reading || now.Sub(s.recheckAt) < recheckEvery {
		return
	}
	if v := c.views[s.id]; v != nil {
		exts := v.colleagues(s)
		if len(exts) > 0 && !slices.ContainsFunc(exts, func(ext string) bool { return !slices.Contains(snap.inside[s.id], ext) }) {
			return // all of them are there
		}
	}
	s.recheckAt, s.again = now, true
	s.dirty, s.readAt = true, now
}

// colleagues are the extensions that the agent is believed to talk with.
func (v *view) colleagues(s *session) (exts []string) {
	for _, p := range v.parties {
		if p.ID != s.hint && p.ExtensionID != "" && p.ExtensionID != s.agent.ID && !p.Supervising && live(p.partyState) {
			exts = append(exts, p.ExtensionID)
		}
	}
	if p := v.party(s.hint); p != nil && len(exts) == 0 && p.Far.ExtensionID != "" {
		exts = append(exts, p.Far.ExtensionID)
	}
	return exts
}

// crowded says whether more calls are kept in mind than any account has at once, and tells so once in a while.
func (c *core) crowded(now time.Time) bool {
	if len(c.sessions) < maxSessions {
		return false
	}
	if now.Sub(c.shortAt) >= shortEvery {
		c.shortAt = now
		c.emit(actShort{fmt.Sprintf("%d calls are kept in mind, and there is no room for one more", maxSessions)})
	}
	return true
}

// want begins a session.
func (c *core) want(now time.Time, a agentCall) *session {
	s := &session{id: a.session, device: -1, agent: a.agent, hint: a.party, since: now, started: a.started, customer: a.customer, direction: a.direction, mode: c.mode, freshness: freshness{dirty: true, readAt: now}}
	c.sessions[a.session] = s
	c.viewOf(now, a.session)
	c.decide(now, s)
	return s
}

// shown updates a session that a look shows.
func (c *core) shown(now time.Time, s *session, a agentCall, taken time.Time) {
	if !s.freshAt.After(taken) {
		if !s.inCall {
			s.anew(now)
		}
		s.inCall = true
	}
	if a.agent.ID != s.agent.ID && !s.alive() {
		s.agent, s.hint, s.dirty = a.agent, a.party, true
		s.anew(now)
		s.refresh(now) // its dialogs ended with the transfer, they did not drop
		c.decide(now, s)
	}
	if a.agent.ID == s.agent.ID && a.party != "" && a.party != s.hint {
		s.hint, s.dirty = a.party, true
		s.anew(now)
		s.refresh(now)
	}
	if v := c.views[s.id]; v != nil && v.newer(s.hint, taken) {
		return // an event has told since
	}
	if s.held && !a.held {
		s.dirty = s.dirty || !s.joined()
		s.anew(now) // taken up again: what was refused then may be granted now
	}
	s.held = a.held
	if s.dirty && !a.held && s.readAt.IsZero() {
		s.readAt = now
	}
}

// newer says whether an event of the party came after a look was asked for.
func (v *view) newer(party string, taken time.Time) bool {
	p := v.party(party)
	return p != nil && p.seq > 0 && p.at.After(taken)
}

// anew gives what was given up for good another chance, because the call has changed.
func (s *session) anew(now time.Time) {
	s.tries, s.places = 0, 0
	clear(s.shunned)
	for _, j := range s.joins {
		// Without a cause it was given up because the call seemed to be over.
		if j.state == stateFailed && j.next.IsZero() && (j.cause.Code == call.CodeRefused || j.cause.Code == "") {
			j.next = now
		}
	}
}

// confirm looks whether presence shows our parties.
func (c *core) confirm(s *session, snap snapshot) {
	if c.seen(s, func(own string) bool { return snap.any[own] }) || len(s.joins) == 0 {
		return
	}
	waiting := false
	for _, j := range s.joins {
		waiting = waiting || (j.state == stateJoined && !j.seen && snap.taken.Sub(j.joinedAt) >= confirmAfter)
	}
	if waiting {
		if s.confirms++; s.confirms == maxConfirms {
			c.emit(actConfirmed{s.id, s.agent.Extension, false})
		}
	}
}

// seen confirms the joins whose parties are shown, and says whether all are.
func (c *core) seen(s *session, shown func(own string) bool) bool {
	if s.confirmed || len(s.joins) == 0 {
		return s.confirmed
	}
	all := true
	for _, j := range s.joins {
		j.seen = j.seen || (j.own != "" && shown(j.own))
		all = all && (j.extra || j.seen && j.state == stateJoined)
	}
	if all {
		s.confirmed = true
		c.emit(actConfirmed{s.id, s.agent.Extension, true})
	}
	return all
}

// told confirms the joins whose parties events or readings have told of.
func (c *core) told(s *session) {
	if v := c.views[s.id]; v != nil {
		c.seen(s, func(own string) bool {
			p := v.party(own)
			return p != nil && live(p.partyState)
		})
	}
}

// unconfirmed says from when on a look would be worth a request of its own, to see our parties; zero: not.
func (c *core) unconfirmed() time.Time {
	var at time.Time
	for _, s := range c.sessions {
		if s.confirmed || s.confirms >= maxConfirms {
			continue
		}
		for _, j := range s.joins {
			if t := j.joinedAt.Add(confirmAfter); j.state == stateJoined && !j.seen && (at.IsZero() || t.Before(at)) {
				at = t
			}
		}
	}
	return at
}
