package endpoint

import (
	"errors"
	"fmt"
)

// Reload changes whose calls are heard, and which of them: agents, groups and policy of each supervisor, in the order of New's.
// Calls that are heard stay. On an error nothing has changed, but for a supervisor before the one that it names.
func (e *Endpoint) Reload(supervisors []Supervisor) error {
	i := 0
	for _, r := range e.ears {
		if r.sup == nil {
			continue
		}
		if i == len(supervisors) {
			return fmt.Errorf("endpoint: reload: %d supervisors, want as many as there are", i)
		}
		s := supervisors[i].RingCentral
		if err := r.sup.Reload(s.Agents, s.Groups, s.Policy); err != nil {
			return err
		}
		i++
	}
	if i != len(supervisors) {
		return errors.New("endpoint: reload: more supervisors than there are")
	}
	return nil
}
