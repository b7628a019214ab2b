package supervise

import (
	"slices"
	"time"

	"github.com/earshot/earshot/call"
)

// match finds the join of an INVITE and marks it invited; by says how (one of call.By…).
func (c *core) match(now time.Time, own, monitored Ref) (s *session, j *join, by string) {
	s, j, by = c.find(own, monitored)
	if j == nil {
		return nil, nil, ""
	}
	c.invite(now, s, j)
	if own.Party != "" {
		j.own = own.Party
	}
	return s, j, by
}

// invite marks a join as invited. One INVITE more for a join whose dialog is up changes nothing.
func (c *core) invite(now time.Time, s *session, j *join) {
	c.inviteCame(s.device)
	if j.dialogs > 0 {
		return
	}
	j.invited, j.unclear = true, false
	j.deadline = now.Add(answerWithin)
	if j.state != stateAsking {
		j.enter(stateAsked)
	}
}

// find goes by the monitored party; else by our own party as a REST answer named it; else by the only open request of
// the session.
func (c *core) find(own, monitored Ref) (*session, *join, string) {
	id := monitored.Session
	if id == "" {
		id = own.Session
	}
	sessions := c.sorted()
	if s := c.sessions[id]; s != nil {
		sessions = []*session{s}
	} else if id != "" {
		return nil, nil, ""
	}
	for _, s := range sessions { // party ids contain their session's, so they are unique
		if j := s.join(monitored.Party); j != nil && monitored.Party != "" {
			return s, j, call.ByMonitoringIDs
		}
	}
	for _, s := range sessions {
		for _, j := range s.joins {
			if own.Party != "" && j.own == own.Party {
				return s, j, call.ByAPIIDs
			}
		}
	}
	if id == "" {
		return nil, nil, ""
	}
	s := sessions[0]
	if j := s.only(own, monitored); j != nil {
		return s, j, call.BySession
	}
	return nil, nil, ""
}

// only gives the session's one open request, if there is exactly one that the INVITE can belong to.
func (s *session) only(own, monitored Ref) *join {
	fits := func(j *join) bool { return monitored.Party == "" || j.party.ID == "" || j.party.ID == monitored.Party }
	for _, pass := range []func(*join) bool{
		func(j *join) bool { return j.open() && (j.own == "" || own.Party == "") }, // not those whose answer named another party
		(*join).open, // the answer's id and the header's may be of different kinds
		func(j *join) bool { return j.dialogs == 0 && j.noInvite > 0 && !j.invited }, // it comes after all, late
	} {
		var found []*join
		for _, j := range s.joins {
			if fits(j) && pass(j) {
				found = append(found, j)
			}
		}
		if len(found) == 1 {
			return found[0]
		}
		if len(found) > 1 {
			return nil
		}
	}
	return nil
}

// line finds the party of an m= line. Where all lines belong to one join (session mode), that join keeps its key, and
// the party is one of the session's known ones.
func (c *core) line(now time.Time, id, party string) (*session, *join, call.Party, bool) {
	s := c.sessions[id]
	if s == nil || party == "" {
		return nil, nil, call.Party{}, false
	}
	if j := s.join(party); j != nil {
		c.invite(now, s, j)
		return s, j, j.party, true
	}
	for _, p := range s.known {
		if p.ID == party {
			return s, s.join(""), p, true
		}
	}
	return nil, nil, call.Party{}, false
}

// key finds the join that endpoint means: by its party, or the session's one join.
func (c *core) key(id, party string) (*session, *join) {
	s := c.sessions[id]
	if s == nil {
		return nil, nil
	}
	if j := s.join(party); j != nil {
		return s, j
	}
	return s, s.join("")
}

// answered notes that a dialog is up.
func (c *core) answered(now time.Time, id, party string) {
	s, j := c.key(id, party)
	if j == nil || !j.enter(stateJoined) {
		return
	}
	j.dialogs++
	j.invited, j.unclear, j.deadline = false, false, time.Time{}
	if j.dialogs > 1 {
		return
	}
	j.joinedAt, s.heard, s.places = now, true, 0
	c.viewOf(now, s.id).heard = true
	s.confirmed, s.confirms = false, 0
	c.emit(actJoined{s.id, s.agent.Extension, s.mode, j.party.Role.String()})
	if s.joined() {
		s.cause = call.Cause{}
		c.told(s)
	}
}

// ended notes that a dialog is down, or that an INVITE came to nothing.
func (c *core) ended(now time.Time, id, party string, cause call.Cause) {
	s, j := c.key(id, party)
	if j == nil || (j.dialogs == 0 && !j.invited) {
		return
	}
	wasUp := j.dialogs > 0
	j.dialogs = max(0, j.dialogs-1)
	if s.device >= 0 && wasUp {
		d := c.devices[s.device]
		d.freed = append(d.freed, now)
	}
	if j.dialogs > 0 {
		return
	}
	if (cause.Code == call.CodeReleased || cause.Code == call.CodeShutdown) && !j.extra {
		j.giveUp(cause, time.Time{})
		s.released = true
		given := c.given(s.id)
		if given && wasUp {
			s.givenAt = now // should it be heard again: since then it was not
			s.hinder(now, handText)
		}
		if !given {
			s.cause = cause
		}
		return
	}
	if j.extra && s.planAlive() {
		j.giveUp(cause, time.Time{})
		return
	}
	s.confirmed = false
	if !s.seek.done {
		s.seek.leftAt, s.seek.until = now, now.Add(seekWithin)
	}
	if s.inCall || !s.seek.asked { // else a reading was made, or is on its way, that tells as much
		s.dirty, s.readAt = true, now.Add(endedSettle)
	}
	if wasUp && now.Sub(j.joinedAt) >= stableAfter {
		j.tally = tally{}
	}
	j.retry(now.Add(backoff(rejoinFirst, rejoinMost, j.drops)))
	j.drops++
	j.wantedAt = now
	s.hinder(now, "its dialog ended: "+cause.String())
	j.cause = cause
}

// joinOf is what endpoint learns of a join.
func (c *core) joinOf(s *session, j *join, party call.Party, by string) Join {
	party.IdentifiedBy = by
	f := c.facts(s)
	out := Join{Direction: f.direction, Queues: slices.DeleteFunc(slices.Clone(f.queues), func(q string) bool { return q == "" }),
		Session: s.id, Chain: c.chain(s.id), Party: party, Agent: s.agent, Mode: s.mode, Talks: s.talks, Expected: append([]call.Party(nil), s.planned...),
		Groups: slices.Clone(c.agents.groups[s.agent.ID]), Masked: c.masked(s.id), Released: c.given(s.id)}
	if j != nil {
		out.OwnParty = j.own
		if out.Wanted = j.wantedAt; out.Wanted.Before(s.givenAt) {
			out.Wanted = s.givenAt
		}
		if out.Wanted.IsZero() {
			out.Wanted = s.since
		}
		if !s.obstacle.at.Before(out.Wanted) {
			out.Obstacle = s.obstacle.text
		}
	}
	if j != nil && j.extra { // its plan is no more
		out.Mode, out.Expected = ModeParty, []call.Party{j.party}
		if j.party.ID == "" {
			out.Mode = ModeSession
		}
	}
	return out
}

// asking says whether a request of the session is under way, so that an INVITE may be named in a moment.
func (c *core) asking(id string) bool {
	s := c.sessions[id]
	if s == nil {
		return false
	}
	for _, j := range s.joins {
		if j.inFlight {
			return true
		}
	}
	return false
}
