package supervise

import (
	"errors"
	"slices"
	"time"

	"github.com/earshot/earshot/call"
)

// read takes the result of a session GET.
func (c *core) read(now time.Time, id string, parties []partyState, o outcome, until time.Time, err error) {
	s := c.sessions[id]
	if s == nil {
		return
	}
	s.reading = false
	if o != outcomeDone {
		c.unread(now, s, o, until, err)
		return
	}
	s.readFails, s.dirty, s.freshAt, s.again = 0, false, now, false
	v := c.viewOf(now, id)
	v.mergeRead(now, parties, s.sentTop)
	c.link(now, v)
	c.vacated(now, s, v)
	if s.suspect { // why it was refused
		s.suspect = false
		c.occupied(now, s)
	}
	c.clear(now, s, v.states())
	if agent, p := c.monitored(v, s); p != nil && live(p.partyState) && agent.ID != s.agent.ID {
		c.onLine(now, s, agent, p)
	}
	p := makePlan(c.modeOf(s), c.people(s, v), s.agent, c.own, s.hint)
	if p.over {
		c.gone(now, s, v)
		return
	}
	if p.live {
		if !s.inCall {
			s.anew(now)
		}
		s.inCall, s.lived = true, true
	}
	if c.leaving(now, s, v.states()) {
		c.decide(now, s)
		return
	}
	if p.lone && s.tries >= notReadyTries && !s.heard {
		// The other side is not of this account, say, and is not shown; the whole session can be heard all the same.
		p.mode, p.ready = ModeSession, true
		p.choose()
	}
	if !p.ready {
		c.decide(now, s)
		s.dirty, s.readAt = true, time.Time{}
		if s.tries < notReadyTries {
			s.readAt = now.Add(notReadyFirst << s.tries)
		}
		s.tries++
		return
	}
	s.tries = 0
	c.apply(now, s, p)
}

// unread plans the next reading after one that gave nothing.
func (c *core) unread(now time.Time, s *session, o outcome, until time.Time, err error) {
	s.hinder(now, refusal(err).Text)
	switch o {
	case outcomeBusy:
		s.readAt = until
		return
	case outcomeLater: // 404: RingCentral knows no such session any more, or not yet
		if s.lived || s.tries >= notReadyTries {
			c.over(now, s)
			return
		}
		s.readAt = now.Add(notReadyFirst << s.tries)
		s.tries++
		return
	default:
		s.readAt = later(until, now.Add(backoff(rejoinFirst, rejoinMost, s.readFails)))
		s.readFails++
		if cause := refusal(err); o == outcomeRefused && cause != s.cause {
			s.cause, s.told = cause, true
			c.emit(actFailed{session: s.id, agent: s.agent.Extension, cause: cause, err: err})
		}
		return
	}
}

// over notes that the agent's part of the call has ended.
func (c *core) over(now time.Time, s *session) {
	s.inCall, s.dirty, s.freshAt = false, s.seek.due, now
	for _, j := range s.joins {
		j.unclear = false
	}
	c.tombs[s.id] = tomb{party: s.hint, until: now.Add(tombstoneFor)}
}

// clear settles the joins whose last POST had no clear answer: those of our parties in the session that no other join
// has, are theirs.
func (c *core) clear(now time.Time, s *session, parties []partyState) {
	var unclear []*join
	for _, j := range s.joins {
		if j.unclear {
			unclear = append(unclear, j)
		}
	}
	free := c.strays(s, parties)
	for _, j := range unclear {
		j.unclear = false
		if len(free) == 0 || (j.state != stateWanted && j.state != stateFailed) {
			continue
		}
		// It was done, or another's was: whose party it is shows when the INVITE comes, or none does.
		j.enter(stateAsked)
		j.deadline = now.Add(c.inviteWithin)
		if len(free) == 1 && len(unclear) == 1 {
			j.own = free[0]
		}
	}
}

// strays are our parties in the session that no join has.
func (c *core) strays(s *session, parties []partyState) []string {
	taken := map[string]bool{}
	for _, j := range s.joins {
		if j.own != "" {
			taken[j.own] = true
		}
	}
	var free []string
	for _, p := range parties {
		if p.Supervising && live(p) && !taken[p.ID] && (len(c.own) == 0 || p.ExtensionID == "" || c.own.has(p.ExtensionID)) {
			free = append(free, p.ID)
		}
	}
	return free
}

// apply makes the session's joins those of the plan. What is heard already is kept as it is.
func (c *core) apply(now time.Time, s *session, p plan) {
	s.known = nil
	for _, k := range []call.Party{p.agent, p.other} {
		if k.ID != "" {
			s.known = append(s.known, k)
		}
	}
	if p.other.ID != "" {
		if p.other.Name == "" {
			p.other.Name = s.customer.Name
		}
		if p.other.Number == "" {
			p.other.Number = s.customer.Number
		}
		s.customer = p.other
		for i := range p.streams {
			if p.streams[i].ID == p.other.ID {
				p.streams[i] = p.other
			}
		}
	}
	// A third person makes it a session join, beside the party joins as long as these live. Two that are left of three
	// go on as they are.
	if p.mode == s.mode || p.mode == ModeSession || !s.planAlive() {
		s.mode, s.planned = p.mode, p.streams
		var joins []*join
		for _, party := range p.streams {
			j := s.join(party.ID)
			if j == nil {
				j = &join{next: now}
			}
			j.party, j.extra = party, false
			joins = append(joins, j)
		}
		for _, j := range s.joins {
			if j.alive() && !slices.Contains(joins, j) {
				j.extra = true
				joins = append(joins, j)
			}
		}
		s.joins = joins
	}
	c.decide(now, s)
	c.announce(s)
}

// asked takes the result of a supervise POST; own is our party as the answer names it.
func (c *core) asked(now time.Time, id, party, own string, o outcome, until time.Time, err error) {
	s := c.sessions[id]
	if s == nil {
		return
	}
	j := s.join(party)
	if j == nil || !j.inFlight {
		return
	}
	j.inFlight = false
	if o == outcomeDone && j.own == "" {
		j.own = own
	}
	if j.state != stateAsking {
		c.told(s)
		return // its INVITE came first, and says more than the answer
	}
	if j.invited {
		j.enter(stateAsked)
		return
	}
	if s.released && o != outcomeDone && o != outcomeUnclear {
		c.quit(s, j)
		return
	}
	if o != outcomeDone {
		s.hinder(now, refusal(err).Text)
	}
	switch o {
	case outcomeDone:
		j.enter(stateAsked)
		j.deadline = now.Add(c.inviteWithin)
		c.emit(actAsked{s.id, s.agent.Extension, s.mode, j.party.Role.String()})
	case outcomeBusy:
		c.busy(now, s, j, until)
	case outcomeLater:
		if c.occupied(now, s) {
			j.retry(now)
			return
		}
		if wait := backoff(quickFirst, laterWithin, j.quick); now.Add(wait).Sub(j.firstAsk) <= laterWithin {
			j.quick++
			j.retry(now.Add(wait))
			s.dirty, s.readAt = true, now.Add(wait)
			return
		}
		s.dirty, s.readAt, s.suspect = true, now, true
		c.turnedAway(now, s, j, err, now.Add(backoff(slowFirst, slowMost, j.failures)))
	case outcomeRefused:
		if c.occupied(now, s) {
			j.retry(now)
			return
		}
		if v := c.views[s.id]; v != nil && !v.whole { // events alone do not show who else listens
			s.dirty, s.readAt = true, now
		}
		s.suspect = true
		c.turnedAway(now, s, j, err, time.Time{})
	case outcomeUnclear:
		if cause := refusal(err); j.asks > maxUnclear {
			c.fail(s, j, cause, err, now.Add(slowMost))
		} else {
			// Once may be chance; twice, or an answer that was waited for in vain, is what keeps the call from being heard.
			if (j.asks > 1 || now.Sub(j.firstAsk) > laterWithin) && cause != s.cause {
				s.cause, s.told = cause, true
				c.emit(actFailed{session: s.id, agent: s.agent.Extension, party: j.party, cause: cause, err: err})
			}
			j.retry(later(until, now.Add(backoff(firstRetryWait, maxRetryWait, j.asks-1))))
		}
		j.unclear = true // also after the last attempt: it may have been done
		s.dirty, s.readAt = true, now.Add(unclearSettle)
	}
}

// refusal puts an error and its hint into a cause.
func refusal(err error) call.Cause {
	text := "no answer"
	if err != nil {
		text = err.Error()
	}
	if h := hintOf(err); h != "" {
		text += "; " + h
	}
	return call.Cause{Code: call.CodeRefused, Text: text}
}

// fail gives a join up until next and tells so, if that is news.
func (c *core) fail(s *session, j *join, cause call.Cause, err error, next time.Time) {
	news := cause != j.cause || j.failures == 0
	j.failures++
	j.giveUp(cause, next)
	s.cause, s.told = cause, true
	if news {
		e, api := errors.AsType[*APIError](err)
		look := cause.Code == call.CodeNoInvite || api && e.unexplained()
		c.emit(actFailed{session: s.id, agent: s.agent.Extension, party: j.party, cause: cause, err: err, look: look, at: s.device})
	}
}
