package supervise

import (
	"slices"
	"time"
)

// Reload changes agents, groups and policy; they take effect within moments. Calls that are heard or asked for stay,
// others are judged anew. On an error nothing changes.
func (s *Supervisor) Reload(agents, groups []string, p Policy) error {
	if err := p.check(); err != nil {
		return err
	}
	s.mu.Lock()
	s.wantAgents, s.wantGroups = slices.Clone(agents), slices.Clone(groups)
	s.mu.Unlock()
	s.change(func(now time.Time) { s.core.setPolicy(now, p) })
	select {
	case s.reload <- struct{}{}:
	default:
	}
	return nil
}

// configuredAgents gives the agents and groups as configured.
func (s *Supervisor) configuredAgents() (agents, groups []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wantAgents, s.wantGroups
}
