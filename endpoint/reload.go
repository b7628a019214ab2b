package endpoint

import (
	"fmt"

	"github.com/earshot/earshot/stream"
)

// Reload changes whose calls are heard, and which of them: agents, groups and policy of each of Config.Supervisors, in their
// order; and the consumers of calls to come. Calls that are heard stay, with their consumers. On an error nothing has changed,
// but for supervisors before the one that it concerns, and the consumers.
func (e *Endpoint) Reload(supervisors []Supervisor, consumers []stream.Consumer) error {
	if len(supervisors) != len(e.pools) {
		return fmt.Errorf("endpoint: reload: got %d supervisors, want %d", len(supervisors), len(e.pools))
	}
	if err := e.cfg.checkCatchUp(consumers); err != nil {
		return err
	}
	if err := e.hub.Reload(consumers); err != nil {
		return err
	}
	for i, p := range e.pools {
		s := supervisors[i].RingCentral
		if err := p.sup.Reload(s.Agents, s.Groups, s.Policy); err != nil {
			return err
		}
	}
	return nil
}
