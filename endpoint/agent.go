package endpoint

import (
	"slices"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/supervise"
)

// agentEvents are the lines of events.jsonl for what an agent does.
var agentEvents = map[supervise.AgentState]call.Type{
	supervise.AgentTalks: call.EventAgentTalks, supervise.AgentHolds: call.EventAgentHolds, supervise.AgentLeft: call.EventAgentLeft,
}

// ofSession finds the live call that a telephony session belongs to.
func (e *Endpoint) ofSession(session string) *Call {
	for _, c := range e.live() {
		if slices.Contains(c.description().Sessions, session) {
			return c
		}
	}
	return nil
}

// Agent puts into the record what the agent does; see supervise.AgentHandler.
func (p *pool) Agent(session string, a supervise.Agent, party string, s supervise.AgentState, reason string) {
	c := p.e.ofSession(session)
	if c == nil {
		return // not heard yet: the record begins with the first dialog
	}
	facts := map[string]any{"agent": a.Extension, "party_id": party, "session": session}
	if reason != "" {
		facts["reason"] = reason
	}
	if s == supervise.AgentLeft {
		c.mu.Lock()
		c.left = true
		c.mu.Unlock()
	}
	c.post(call.Event{Type: agentEvents[s], Facts: facts})
	c.heed()
}

// StreamFailed puts into the record why a stream does not come; see supervise.StreamHandler.
func (p *pool) StreamFailed(session string, party call.Party, cause call.Cause) {
	if c := p.e.ofSession(session); c != nil {
		c.post(failed(party, cause))
	}
}

func failed(p call.Party, cause call.Cause) call.Event {
	facts := map[string]any{"role": p.Role.String(), "cause": string(cause.Code), "text": cause.Text}
	if p.ID != "" {
		facts["party_id"] = p.ID
	}
	return call.Event{Type: call.EventJoinFailed, Facts: facts}
}

// who is the extension number of the agent who has the call.
func (c *Call) who() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.agent
}
