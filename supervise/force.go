package supervise

import (
	"maps"
	"slices"
	"time"

	"github.com/earshot/earshot/call"
)

// will is what a user said of a call by hand. It stands above policy, is kept with the view of the session that it was said
// of, and holds for the sessions in which that call goes on.
type will struct {
	forced bool   // it is heard, whatever policy says
	mode   string // the form it was asked for in; empty: as configured
	place  place  // whose the supervisor's place is
}

// willOf gives what was said of the call, newest session first; nil: nothing.
func (c *core) willOf(id string) *will {
	chain := c.chain(id)
	for i := len(chain) - 1; i >= 0; i-- {
		if v := c.views[chain[i]]; v != nil && v.will != (will{}) {
			return &v.will
		}
	}
	return nil
}

// modeOf is the form in which a session is asked for.
func (c *core) modeOf(s *session) string {
	if w := c.willOf(s.id); w != nil && w.mode != "" {
		return w.mode
	}
	return c.mode
}

// forced says whether a user wants the call by hand.
func (c *core) forced(s *session) bool {
	w := c.willOf(s.id)
	return w != nil && w.forced
}

// force makes a call wanted that a user named, whatever policy says. What is asked for or heard stays as it is, so no party
// is asked for twice.
func (c *core) force(now time.Time, a agentCall, mode string) {
	w := &c.viewOf(now, a.session).will
	*w = will{forced: true, mode: mode}
	s := c.sessions[a.session]
	if s == nil {
		delete(c.tombs, a.session) // presence has just shown it
		s = c.want(now, a)
	}
	s.inCall, s.held, s.passUntil = true, a.held, time.Time{}
	if s.released {
		c.regain(now, s)
	}
	if !s.alive() {
		if a.agent.ID != s.agent.ID { // a call of two agents: the one that was named counts
			s.agent, s.hint = a.agent, a.party
		}
		s.mode = c.modeOf(s)
	}
	for _, j := range s.joins {
		if !j.alive() {
			j.tally, j.cause = tally{}, call.Cause{}
			j.retry(now)
		}
	}
	if !s.joined() && !s.reading {
		s.dirty, s.readAt = true, now // who is in it, and who else listens
	}
	c.decide(now, s)
}

// forcing says whether there is a call that a user wants by hand.
func (c *core) forcing() bool {
	for _, s := range c.sessions {
		if c.forced(s) {
			return true
		}
	}
	return false
}

// watched are the monitored agents, and those whose calls a user wants by hand: presence and the feed tell of them too.
func (c *core) watched() agentSet {
	set := c.agents
	copied := false
	for _, s := range c.sessions {
		if s.agent.ID == "" || set.ids[s.agent.ID] || !c.forced(s) {
			continue
		}
		if !copied {
			set.ids, set.known, copied = maps.Clone(set.ids), maps.Clone(set.known), true
		}
		set.ids[s.agent.ID], set.known[s.agent.ID] = true, s.agent
	}
	return set
}

// snapshot keeps of a look what concerns the monitored agents, and the calls that a user wants by hand: of an agent who is not
// monitored no other call.
func (c *core) snapshot(records []presenceRecord, taken time.Time) snapshot {
	snap := makeSnapshot(records, c.watched(), c.own, taken)
	snap.calls = slices.DeleteFunc(snap.calls, func(a agentCall) bool {
		return c.sessions[a.session] == nil && !c.agents.has(extensionRef{ID: text(a.agent.ID), Number: text(a.agent.Extension)})
	})
	return snap
}
