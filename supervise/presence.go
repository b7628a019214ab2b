package supervise

import (
	"strings"
	"time"

	"github.com/earshot/earshot/call"
)

// agentSet is whose calls are wanted, by extension number and by id.
type agentSet struct {
	numbers map[string]bool
	ids     map[string]bool
	names   map[string]string // by id, where known
}

func (s agentSet) has(e extensionRef) bool {
	return (e.Number != "" && s.numbers[string(e.Number)]) || (e.ID != "" && s.ids[string(e.ID)])
}

// agentCall is one call of a monitored agent as presence shows it.
type agentCall struct {
	agent    Agent
	session  string
	party    string
	held     bool
	started  time.Time
	customer call.Party // as far as presence knows; no id
}

// snapshot is one complete look at the account's presence.
type snapshot struct {
	taken time.Time // when it was asked for: what happened since may be missing
	calls []agentCall
	any   map[string]bool // all parties that are shown
}

// maxCalls bounds what one look can make us keep.
const maxCalls = 10_000

// makeSnapshot keeps of the presence records what concerns the monitored agents and the supervisor.
func makeSnapshot(records []presenceRecord, agents agentSet, own string, taken time.Time) snapshot {
	s := snapshot{taken: taken, any: map[string]bool{}}
	for _, r := range records {
		mine := own != "" && string(r.Extension.ID) == own
		wanted := agents.has(r.Extension) && !mine // nobody can supervise himself
		for _, a := range r.ActiveCalls {
			if a.PartyID != "" && len(s.any) < maxCalls {
				s.any[string(a.PartyID)] = true
			}
			if c, ok := a.agentCall(); ok && wanted && len(s.calls) < maxCalls {
				c.agent = Agent{Extension: string(r.Extension.Number), ID: string(r.Extension.ID), Name: string(r.Extension.Name)}
				if n := agents.names[c.agent.ID]; c.agent.Name == "" {
					c.agent.Name = n
				}
				s.calls = append(s.calls, c)
			}
		}
	}
	return s
}

// agentCall gives the call if somebody talks in it, or holds it.
func (a activeCall) agentCall() (agentCall, bool) {
	held := strings.EqualFold(string(a.Telephony), "OnHold")
	if a.SessionID == "" || (!held && !strings.EqualFold(string(a.Telephony), "CallConnected")) {
		return agentCall{}, false
	}
	c := agentCall{session: string(a.SessionID), party: string(a.PartyID), held: held, started: parseTime(string(a.Start))}
	c.customer = call.Party{Role: call.RoleCustomer, Name: string(a.FromName), Number: string(a.From)}
	if strings.EqualFold(string(a.Direction), "Outbound") {
		c.customer.Name, c.customer.Number = string(a.ToName), string(a.To)
	}
	return c, true
}
