package supervise

import (
	"github.com/earshot/earshot/call"
)

// StreamHandler is a Handler that learns which stream of a call a join failed for.
type StreamHandler interface {
	// StreamFailed goes with Handler.Failed: party is whose audio will not come, zero for the whole call.
	StreamFailed(session string, party call.Party, c call.Cause)
}

// AgentState is what a monitored agent does in a call.
type AgentState string

// The states.
const (
	AgentTalks AgentState = "talks"
	AgentHolds AgentState = "holds" // the call waits for the agent
	AgentLeft  AgentState = "left"  // and no other monitored agent talks: there is nothing to listen to
)

// AgentHandler is a Handler that learns what the agent of a wanted call does.
type AgentHandler interface {
	// Agent tells of a change. party is the agent's party; reason is RingCentral's word for why an agent left, such as
	// BlindTransfer, empty where it gave none.
	Agent(session string, a Agent, party string, s AgentState, reason string)
}

// actAgent tells of what the agent does.
type actAgent struct {
	session string
	agent   Agent
	party   string
	state   AgentState
	reason  string
}

// seenAgent is what was told of a session's agent last.
type seenAgent struct {
	state AgentState
	agent Agent
	party string
}

// observe tells what the agent of a wanted session does, if that is new.
func (c *core) observe(s *session) {
	if s.verdict != verdictWanted {
		return
	}
	is := seenAgent{AgentTalks, s.agent, s.hint}
	switch {
	case !s.inCall && (s.seen.state == "" || s.unsure()):
		return // not yet
	case !s.inCall:
		is = seenAgent{AgentLeft, s.seen.agent, s.seen.party}
	case s.held:
		is.state = AgentHolds
	}
	if is == s.seen {
		return
	}
	if was := s.seen; was.state != "" && was.state != AgentLeft && was.party != is.party { // one for the other, in one stroke
		was.state = AgentLeft
		c.emit(actAgent{s.id, was.agent, was.party, was.state, c.whyLeft(s, was)})
	}
	s.seen = is
	c.emit(actAgent{s.id, is.agent, is.party, is.state, c.whyLeft(s, is)})
}

// whyLeft is RingCentral's reason for the end of an agent's part.
func (c *core) whyLeft(s *session, is seenAgent) string {
	if v := c.views[s.id]; v != nil && is.state == AgentLeft {
		if p := v.party(is.party); p != nil {
			return p.Reason
		}
	}
	return ""
}

// tellAgent hands a change of an agent to the Handler.
func (s *Supervisor) tellAgent(a actAgent) {
	if h, ok := s.cfg.Handler.(AgentHandler); ok {
		h.Agent(a.session, a.agent, a.party, a.state, a.reason)
	}
}

// tellStream hands a failure to the Handler with the party that it is about.
func (s *Supervisor) tellStream(a actFailed) {
	if h, ok := s.cfg.Handler.(StreamHandler); ok {
		h.StreamFailed(a.session, a.party, a.cause)
	}
}
