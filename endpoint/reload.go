package endpoint

import "fmt"

// Reload changes whose calls are heard, and which of them: agents, groups and policy of each supervisor, in the order of New's.
// Calls that are heard stay. On an error nothing has changed, but for a supervisor before the one that it names.
func (e *Endpoint) Reload(supervisors []Supervisor) error {
	if len(supervisors) != len(e.pools) {
		return fmt.Errorf("endpoint: reload: got %d supervisors, want %d", len(supervisors), len(e.pools))
	}
	for i, p := range e.pools {
		s := supervisors[i].RingCentral
		if err := p.sup.Reload(s.Agents, s.Groups, s.Policy); err != nil {
			return err
		}
	}
	return nil
}
