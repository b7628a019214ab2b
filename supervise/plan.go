package supervise

import (
	"slices"

	"github.com/earshot/earshot/call"
)

// plan is what a session GET says about how a call can be heard.
type plan struct {
	ready   bool         // the agent is on the line with somebody: it may be asked for
	over    bool         // the agent's part of the call has ended
	live    bool         // the agent is in the call, on the line or holding it
	lone    bool         // the agent is on the line, and nobody else is to be seen
	mode    string       // ModeParty, or ModeSession where that is wanted or the only way
	agent   call.Party   // zero unless live
	other   call.Party   // the one other participant, or of several the one from outside; zero if there is none or more than one
	streams []call.Party // what is asked for, in channel order
}

// makePlan finds out who is who. Ids say nothing: after an IVR, a queue or a transfer the agent is -3 or -4, so parties
// are told apart by their extension only. own are the supervisors' extension ids, hint the party that presence shows.
func makePlan(mode string, parties []partyState, a Agent, own ownSet, hint string) plan {
	agent, found := findAgent(parties, a.ID, hint)
	var others []partyState
	anyLive := false
	for _, p := range parties {
		if !live(p) || p.Supervising || own.has(p.ExtensionID) {
			continue
		}
		anyLive = true
		if p.ID != agent.ID {
			others = append(others, p)
		}
	}
	p := plan{mode: mode}
	switch {
	case !found:
		p.over = !anyLive
		return p
	case !live(agent):
		p.over = left(agent) || parked(agent)
		return p
	}
	p.live = true
	p.agent = call.Party{ID: agent.ID, Role: call.RoleAgent, Name: agent.Name, Number: agent.Number, Extension: a.Extension}
	far := others
	if len(far) > 1 { // a conference: the customer is the one from outside, if there is one
		far = slices.DeleteFunc(slices.Clone(others), func(o partyState) bool { return o.ExtensionID != "" })
	}
	if len(far) == 1 {
		o := far[0]
		p.other = call.Party{ID: o.ID, Role: call.RoleCustomer, Name: o.Name, Number: o.Number, Extension: o.Extension}
	}
	if len(others) > 1 {
		p.mode = ModeSession // party level is for at most two participants
	}
	p.lone = len(others) == 0
	p.ready = !p.lone && answered(agent)
	p.choose()
	return p
}

// choose fills in the streams that the mode means.
func (p *plan) choose() {
	if p.mode == ModeParty {
		p.streams = []call.Party{p.other, p.agent}
		return
	}
	p.streams = []call.Party{{Role: call.RoleMix}}
}

// findAgent picks the agent's party: of those with the agent's extension the live one, before the one presence names,
// before the newest. Without any, the party that presence names.
func findAgent(parties []partyState, extensionID, hint string) (partyState, bool) {
	var best partyState
	rank := 0
	for _, p := range parties {
		r := 0
		switch {
		case p.Supervising:
		case p.ExtensionID != "" && p.ExtensionID == extensionID:
			r = 2
			if p.ID == hint {
				r++
			}
			if live(p) {
				r += 2
			}
		case p.ExtensionID == "" && hint != "" && p.ID == hint:
			r = 1
		}
		if r > 0 && r >= rank {
			best, rank = p, r
		}
	}
	return best, rank > 0
}
