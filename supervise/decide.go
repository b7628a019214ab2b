package supervise

import (
	"slices"
	"strings"
	"time"
)

// decide applies the policy to a session, and tells what is new. What is asked for or heard already stays so.
func (c *core) decide(now time.Time, s *session) {
	c.obey(s)
	if s.planAlive() {
		return
	}
	f := c.facts(s)
	s.rank = c.rank(s, f)
	verdict, rule := c.policy.judge(f)
	forced := c.forced(s)
	if forced && (verdict == verdictExcused || !c.policy.Hook.set()) {
		verdict, rule = verdictWanted, ""
	}
	if verdict == verdictWanted && c.policy.Hook.set() {
		verdict, rule = c.hooked(s, f)
	}
	if forced && verdict == verdictExcused { // but what the hook wants masked stays masked
		verdict, rule = verdictWanted, ""
	}
	if verdict != verdictWanted && s.verdict == verdictWanted && c.ending(s) {
		return
	}
	told := s.verdict == verdict && s.rule == rule
	s.verdict, s.rule = verdict, rule
	switch verdict {
	case verdictExcused:
		if !told {
			c.emit(actExcused{s.call(), rule})
		}
	case verdictWanted:
		if v := c.views[s.id]; v != nil {
			v.wanted = true
		}
		c.announce(s)
	case verdictOpen:
		if !s.dirty && !s.reading { // only a reading can tell
			s.dirty, s.readAt = true, now
		}
	case verdictAsking:
	}
}

// ending says whether nobody but the agent is left: what is known of a call in its last moments does not excuse it. Nor
// is a call excused that was asked for and not heard: its end is to be told.
func (c *core) ending(s *session) bool {
	if !s.inCall {
		return s.lived
	}
	if s.asked && !s.heard {
		return true
	}
	for _, p := range c.people(s, c.viewOf(s.since, s.id)) {
		if p.ID != s.hint && !p.Supervising && (live(p) || pending(p)) {
			return false
		}
	}
	return true
}

// announce tells of a wanted call, if there is something new to tell.
func (c *core) announce(s *session) {
	if call := s.call(); s.verdict == verdictWanted && call != s.announced {
		s.announced = call
		c.emit(actWanted{call})
	}
}

// hooked gives the hook's verdict, and has it asked once per call.
func (c *core) hooked(s *session, f callFacts) (verdict, string) {
	root := c.views[f.call]
	if root == nil {
		return verdictAsking, ""
	}
	switch root.hook {
	case yes:
		return verdictWanted, ""
	case no:
		return verdictExcused, ruleHook
	}
	if !root.asked {
		root.asked = true
		queue := ""
		if len(f.queues) > 0 {
			queue = f.queues[0]
		}
		c.emit(actHook{HookCall{Call: f.call, Session: s.id, Agent: s.agent.Extension, AgentID: s.agent.ID, Direction: f.direction, Number: f.number,
			Name: s.customer.Name, Queue: queue, Internal: f.internal == yes}})
	}
	return verdictAsking, ""
}

// hookSaid takes the hook's answer for a call.
func (c *core) hookSaid(now time.Time, call string, a decision) {
	if v := c.views[call]; v != nil {
		v.hook = factOf(a.join)
		v.masked = v.masked || a.masked
		if a.consented {
			v.consented, v.basis = true, a.basis
		}
	}
	for _, s := range c.sorted() {
		if s.verdict == verdictAsking && c.chain(s.id)[0] == call {
			c.decide(now, s)
		}
	}
}

// setPolicy changes the policy. Calls that are heard stay.
func (c *core) setPolicy(now time.Time, p Policy) {
	c.policy = p
	for _, v := range c.views {
		v.asked, v.hook = false, unknown
	}
	for _, s := range c.sorted() {
		c.decide(now, s)
	}
}

// rank is the place of the call in the policy's order; the last one for calls that it does not name.
func (c *core) rank(s *session, f callFacts) int {
	for i, p := range c.policy.Priority {
		if p == s.agent.Extension || p == s.agent.ID || p == f.direction || slices.Contains(f.queues, p) ||
			slices.ContainsFunc(c.agents.groups[s.agent.ID], func(g string) bool { return strings.EqualFold(g, p) }) {
			return i
		}
	}
	return len(c.policy.Priority)
}

// facts gathers what is known of a call for the policy.
func (c *core) facts(s *session) callFacts {
	f := callFacts{call: c.chain(s.id)[0], began: s.since, number: s.customer.Number}
	v := c.views[s.id]
	if v == nil {
		return f
	}
	f.final = v.whole
	if number := c.outside(s, v); number != "" {
		f.number = number
	}
	agent := v.party(s.hint)
	if agent != nil && f.number == "" {
		f.number = agent.Far.Number
	}
	f.internal = c.internal(s, v, agent)
	if f.internal == yes && c.alone(v, agent) {
		f.internal, f.final = unknown, false
	}
	f.direction = c.direction(s, v, agent)
	if root := c.views[f.call]; root != nil { // transfers do not change it, once somebody from outside is in the call
		if root.direction == "" && f.internal == no {
			root.direction = f.direction
		}
		if root.direction != "" {
			f.direction = root.direction
		}
	}
	f.queued = factOf(agent != nil && agent.Queue)
	for _, p := range v.parties {
		if number, ok := c.agents.queues[p.ExtensionID]; ok && p.ExtensionID != "" {
			f.queues = append(f.queues, number, p.ExtensionID)
		}
	}
	if (f.queued == yes && len(f.queues) == 0) || agent == nil {
		f.queued = unknown // which one is not known
	}
	return f
}

// outside is the number of who is on the line from outside: in a consultation that became the customer's call the other side was
// a colleague until now. Who has just come from another session may be known from there only.
func (c *core) outside(s *session, v *view) (number string) {
	for _, p := range v.parties {
		if p.ExtensionID != "" || p.ID == s.hint || p.Supervising || !live(p.partyState) {
			continue
		}
		if number == "" || p.ID == s.customer.ID {
			number = p.Number
		}
	}
	if prev := c.views[v.prev]; prev != nil && number == "" {
		for _, p := range prev.parties {
			if p.ExtensionID == "" && p.Peer == (Ref{v.id, v.guest}) {
				number = p.Number
			}
		}
	}
	return number
}

// direction says who called; empty: not known. An agent whose party was called may have got a call that another one made,
// so that alone says nothing until all parties are known.
func (c *core) direction(s *session, v *view, agent *viewParty) string {
	for _, p := range v.parties {
		if p.ExtensionID == "" && p.ID != s.hint && p.Status != "" && !p.Supervising {
			if p.Outbound {
				return DirectionInbound
			}
			return DirectionOutbound
		}
	}
	switch {
	case agent != nil && agent.Outbound:
		return DirectionOutbound
	case agent != nil && v.whole:
		return DirectionInbound
	case agent == nil && v.whole, s.direction == DirectionOutbound:
		return s.direction
	}
	return ""
}

// alone says whether the colleague has left, and the agent talks on: with somebody whom only a reading shows.
func (c *core) alone(v *view, agent *viewParty) bool {
	if agent == nil || !live(agent.partyState) {
		return false
	}
	gone := false
	for _, p := range v.parties {
		if p.ID == agent.ID || p.Supervising {
			continue
		}
		if live(p.partyState) {
			return false
		}
		gone = gone || p.ExtensionID == agent.Far.ExtensionID && left(p.partyState) && (!v.whole || p.seq > v.readTop)
	}
	return gone
}

// internal says whether all who talk are extensions of the account.
func (c *core) internal(s *session, v *view, agent *viewParty) fact {
	if c.arrived(v) {
		return no
	}
	others, inside := 0, 0
	for _, p := range c.people(s, v) {
		if !live(p) && !pending(p) && !parked(p) || p.Supervising || c.own.has(p.ExtensionID) || p.ID == s.hint {
			continue
		}
		others++
		if p.ExtensionID != "" {
			inside++
		}
	}
	switch {
	case others > inside:
		return no
	case others > 0 && (v.whole || c.feed.account):
		return yes
	case agent == nil, agent.Far == (farEnd{}):
		return unknown
	case agent.Far.ExtensionID == "":
		return no
	}
	_, machine := c.agents.queues[agent.Far.ExtensionID]
	if machine || agent.Far.ExtensionID == s.agent.ID || c.own.has(agent.Far.ExtensionID) {
		return unknown
	}
	return yes
}
