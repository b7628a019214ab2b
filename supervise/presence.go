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
	known   map[string]Agent    // by id: the extensions that were found
	queues  map[string]string   // number by id, of the account's call queues
	devices map[string]bool     // ids of extensions that are no people: queues, menus, park locations
	groups  map[string][]string // ids and names of the configured groups that brought an agent in, by the agent's id
}

// agent gives the monitored agent with that extension id.
func (s agentSet) agent(id string) (Agent, bool) {
	if id == "" || !s.ids[id] {
		return Agent{}, false
	}
	if a, ok := s.known[id]; ok {
		return a, true
	}
	return Agent{ID: id}, true
}

// found keeps agents whose ids presence showed.
func (s agentSet) found(agents []Agent) {
	for _, a := range agents {
		s.ids[a.ID], s.known[a.ID] = true, a
	}
}

func (s agentSet) has(e extensionRef) bool {
	return (e.Number != "" && s.numbers[string(e.Number)]) || (e.ID != "" && s.ids[string(e.ID)])
}

// agentCall is one call of a monitored agent as presence shows it.
type agentCall struct {
	agent     Agent
	session   string
	party     string
	held      bool
	started   time.Time
	direction string     // empty: not told
	customer  call.Party // as far as presence knows; no id
}

// snapshot is one complete look at the account's presence.
type snapshot struct {
	taken time.Time // when it was asked for: what happened since may be missing
	calls []agentCall
	any   map[string]bool // all parties that are shown
	// inside are the account's extensions that are shown in a session, by id, the supervisor left out.
	inside map[string][]string
	// agents are monitored extensions whose id was not known: where the list of extensions can't be read, say.
	agents []Agent
}

// maxCalls bounds what one look can make us keep.
const maxCalls = 10_000

// makeSnapshot keeps of the presence records what concerns the monitored agents and the supervisor.
func makeSnapshot(records []presenceRecord, agents agentSet, own ownSet, taken time.Time) snapshot {
	s := snapshot{taken: taken, any: map[string]bool{}, inside: map[string][]string{}}
	for _, r := range records {
		mine := own.has(string(r.Extension.ID))
		wanted := agents.has(r.Extension) && !mine // nobody can supervise himself
		if a := (Agent{string(r.Extension.Number), string(r.Extension.ID), string(r.Extension.Name)}); wanted && a.ID != "" && agents.known[a.ID].ID == "" {
			s.agents = append(s.agents, a)
		}
		for _, a := range r.ActiveCalls {
			if a.PartyID.id() != "" && len(s.any) < maxCalls {
				s.any[string(a.PartyID)] = true
			}
			c, ok := a.agentCall()
			if ok && !mine && len(s.inside) < maxCalls {
				s.inside[c.session] = append(s.inside[c.session], string(r.Extension.ID))
			}
			if ok && wanted && len(s.calls) < maxCalls {
				c.agent = Agent{Extension: string(r.Extension.Number), ID: string(r.Extension.ID), Name: string(r.Extension.Name)}
				if n := agents.known[c.agent.ID].Name; c.agent.Name == "" {
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
	if a.SessionID.id() == "" || (!held && !strings.EqualFold(string(a.Telephony), "CallConnected")) {
		return agentCall{}, false
	}
	c := agentCall{session: string(a.SessionID), party: a.PartyID.id(), held: held, started: parseTime(string(a.Start))}
	c.customer = call.Party{Role: call.RoleCustomer, Name: a.FromName.short(), Number: a.From.short()}
	if strings.EqualFold(string(a.Direction), "Inbound") {
		c.direction = DirectionInbound
	}
	if strings.EqualFold(string(a.Direction), "Outbound") {
		c.direction = DirectionOutbound
		c.customer.Name, c.customer.Number = a.ToName.short(), a.To.short()
	}
	return c, true
}
