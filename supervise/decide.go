package supervise

import (
	"slices"
	"time"
)

// decide applies the policy to a session, and tells what is new. What is asked for or heard already stays so.
func (c *core) decide(now time.Time, s *session) {
	if s.planAlive() {
		return
	}
	f := c.facts(s)
	verdict, rule := c.policy.judge(f)
	if verdict == verdictWanted && c.policy.Hook.set() {
		verdict, rule = c.hooked(s, f)
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
func (c *core) hookSaid(now time.Time, call string, join bool) {
	if v := c.views[call]; v != nil {
		v.hook = factOf(join)
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

// facts gathers what is known of a call for the policy.
func (c *core) facts(s *session) callFacts {
	f := callFacts{call: c.chain(s.id)[0], began: s.since, direction: s.direction, number: s.customer.Number}
	v := c.views[s.id]
	if v == nil {
		return f
	}
	f.final = v.whole
	agent := v.party(s.hint)
	if agent != nil {
		f.direction = DirectionInbound
		if agent.Outbound {
			f.direction = DirectionOutbound
		}
		if f.number == "" {
			f.number = agent.Far.Number
		}
	}
	f.internal = c.internal(s, v, agent)
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

// internal says whether all who talk are extensions of the account.
func (c *core) internal(s *session, v *view, agent *viewParty) fact {
	if c.arrived(v) {
		return no
	}
	others, inside := 0, 0
	for _, p := range c.people(s, v) {
		if !live(p) && !pending(p) && !parked(p) || p.Supervising || (c.own != "" && p.ExtensionID == c.own) || p.ID == s.hint {
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
	if machine || slices.Contains([]string{s.agent.ID, c.own}, agent.Far.ExtensionID) {
		return unknown
	}
	return yes
}
