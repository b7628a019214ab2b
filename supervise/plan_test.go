package supervise

import (
	"testing"

	"github.com/earshot/earshot/call"
)

func TestWhoIsWho(t *testing.T) {
	const A, H, D = "Answered", "Hold", "Disconnected"
	agent := Agent{ID: "7", Extension: "108"}
	p := func(id, ext, status string) partyState { return partyState{ID: id, ExtensionID: ext, Status: status} }
	sup := func(id, ext string) partyState {
		return partyState{ID: id, ExtensionID: ext, Status: A, Supervising: true}
	}
	for _, c := range []struct {
		name     string
		mode     string
		parties  []partyState
		hint     string
		want     string // ready, wait, over
		wantMode string
		agent    string
		customer string
	}{
		{"inbound", ModeParty, []partyState{p("-1", "", A), p("-2", "7", A)}, "", "ready", ModeParty, "-2", "-1"},
		{"outbound: the agent is -1", ModeParty, []partyState{p("-1", "7", A), p("-2", "", A)}, "", "ready", ModeParty, "-1", "-2"},
		{"queue: the agent is -4", ModeParty, []partyState{p("-1", "", A), p("-2", "500", D), p("-3", "7", D), p("-4", "7", A)}, "", "ready", ModeParty, "-4", "-1"},
		{"the newest of two live ones", ModeParty, []partyState{p("-1", "", A), p("-2", "7", A), p("-12", "7", A)}, "", "ready", ModeSession, "-12", "-1"},
		{"the one presence names", ModeParty, []partyState{p("-1", "", A), p("-2", "7", A), p("-12", "7", A)}, "-2", "ready", ModeSession, "-2", "-1"},
		{"an agent without extension id", ModeParty, []partyState{p("-1", "", A), p("-2", "", A)}, "-2", "ready", ModeParty, "-2", "-1"},
		{"an internal call", ModeParty, []partyState{p("-1", "9", A), p("-2", "7", A)}, "", "ready", ModeParty, "-2", "-1"},
		{"our own parties don't count", ModeParty, []partyState{p("-1", "", A), p("-2", "7", A), sup("-3", "8"), p("-4", "8", A)}, "", "ready", ModeParty, "-2", "-1"},
		{"another supervisor doesn't count", ModeParty, []partyState{p("-1", "", A), p("-2", "7", A), sup("-3", "55")}, "", "ready", ModeParty, "-2", "-1"},
		{"three talk", ModeParty, []partyState{p("-1", "", A), p("-2", "7", A), p("-3", "9", A)}, "", "ready", ModeSession, "-2", "-1"},
		{"three talk, two from outside", ModeParty, []partyState{p("-1", "", A), p("-2", "7", A), p("-3", "", A)}, "", "ready", ModeSession, "-2", ""},
		{"session mode", ModeSession, []partyState{p("-1", "", A), p("-2", "7", A)}, "", "ready", ModeSession, "-2", "-1"},
		{"the agent still rings", ModeParty, []partyState{p("-1", "", A), p("-2", "7", "Proceeding")}, "", "wait", "", "", ""},
		{"the agent holds", ModeParty, []partyState{p("-1", "", A), p("-2", "7", H)}, "", "wait", "", "-2", "-1"},
		{"the customer holds", ModeParty, []partyState{p("-1", "", H), p("-2", "7", A)}, "", "ready", ModeParty, "-2", "-1"},
		{"nobody else yet", ModeParty, []partyState{p("-1", "", "Setup"), p("-2", "7", A)}, "", "wait", "", "-2", ""},
		{"no agent yet", ModeParty, []partyState{p("-1", "", A), p("-2", "500", A)}, "", "wait", "", "", ""},
		{"the agent has left", ModeParty, []partyState{p("-1", "", A), p("-2", "7", D), p("-3", "9", A)}, "", "over", "", "", ""},
		{"the agent has gone to another session", ModeParty, []partyState{p("-1", "", "Gone"), p("-2", "7", "Gone")}, "", "over", "", "", ""},
		{"all have left", ModeParty, []partyState{p("-1", "", D)}, "", "over", "", "", ""},
		{"nobody at all", ModeParty, nil, "", "over", "", "", ""},
	} {
		got := makePlan(c.mode, c.parties, agent, ownSet{"8"}, c.hint)
		is := "wait"
		if got.ready {
			is = "ready"
		} else if got.over {
			is = "over"
		}
		if is != c.want || got.agent.ID != c.agent || got.other.ID != c.customer || (c.wantMode != "" && got.mode != c.wantMode) {
			t.Errorf("%s: got %s %s agent %q customer %q, want %s %s %q %q", c.name, is, got.mode, got.agent.ID, got.other.ID, c.want, c.wantMode, c.agent, c.customer)
		}
		if !got.ready {
			continue
		}
		roles := []call.Role{call.RoleCustomer, call.RoleAgent}
		if got.mode == ModeSession {
			roles = []call.Role{call.RoleMix}
		}
		for i, r := range roles {
			if len(got.streams) != len(roles) || got.streams[i].Role != r {
				t.Errorf("%s: got streams %+v, want roles %v", c.name, got.streams, roles)
				break
			}
		}
	}
}
