package supervise

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// diagnoseEvery is the least time between two diagnoses of refusals that nobody waits for: each costs three requests.
const diagnoseEvery = 30 * time.Second

// looked stands before what was seen, in the text of a cause.
const looked = "; looked: "

// refusalText says what there is to see of a refusal that RingCentral's code does not explain.
func (s *Supervisor) refusalText(ctx context.Context, a actFailed) string {
	s.mu.Lock()
	x, due := s.core.sessions[a.session], time.Since(s.diagnosed) >= diagnoseEvery
	var agent Agent
	if x != nil {
		agent = x.agent
	}
	if due && x != nil {
		s.diagnosed = time.Now()
	}
	s.mu.Unlock()
	if !due || x == nil {
		return ""
	}
	return looked + strings.Join(s.diagnose(ctx, agent, a.session), "; ")
}

// explained tells a failure, with what was seen of it.
func (c *core) explained(a actFailed) {
	if s := c.sessions[a.session]; s != nil && s.cause.Code == a.cause.Code {
		s.cause = a.cause
	}
	c.emit(a)
}

// diagnose looks at what a refusal may be due to: the device's status and owner, the monitoring groups, and the session.
func (s *Supervisor) diagnose(ctx context.Context, agent Agent, session string) []string {
	var seen []string
	say := func(format string, args ...any) { seen = append(seen, fmt.Sprintf(format, args...)) }
	place, d, _ := s.deviceFor(agent, session)
	if newest, err := s.Device(ctx, place); err != nil {
		say("device: %v", err)
	} else {
		d = newest
		say("device %s of extension %s is %s", d.ID, d.Extension, d.Status)
	}
	login := s.logins[s.devices[place].login]
	switch covers, err := login.client.covers(ctx, d.ExtensionID, login.groups); {
	case err != nil:
		say("groups: %v", err)
	case covers[agent.ID]:
		say("a call monitoring group lets extension %s monitor agent %s", d.Extension, agent.Extension)
	default:
		say("no call monitoring group lets extension %s monitor agent %s: add both to one", d.Extension, agent.Extension)
	}
	parties, err := s.readSession(ctx, session)
	if err != nil {
		say("session: %v", err)
	}
	for _, p := range parties {
		switch {
		case p.Supervising && live(p) && p.ExtensionID != d.ExtensionID:
			say("extension id %s supervises this call, and RingCentral allows one supervisor", p.ExtensionID)
		case p.ExtensionID == agent.ID && !p.Supervising:
			say("the agent's party %s is %s", p.ID, or(p.Status, "in no state"))
		}
	}
	return seen
}
