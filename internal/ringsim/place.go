package ringsim

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrOccupied says that a call is supervised already: it has one supervisor at a time.
var ErrOccupied = errors.New("ringsim: the call is supervised already")

// aHuman is who listens with a phone of their own and is nobody of the account's lists.
var aHuman = Extension{ID: "62226599016", Number: "199", Name: "Human Supervisor"} //nolint:gochecknoglobals // constant

// Occupy lets a human take the supervisor's place of a call, as with *80 on a phone: whoever asks to supervise it is refused
// until Vacate, the end of the call, or the agent's leaving. supervisor is an extension number of the account; empty for
// somebody whom no list shows.
func (c *Call) Occupy(supervisor string) error {
	return c.do("occupy", func(s *Sim, se *session, now time.Time) error {
		x := &aHuman
		if supervisor != "" {
			if x = s.cfg.Account.byNumber(supervisor); x == nil {
				return fmt.Errorf("extension %s: unknown", supervisor)
			}
		}
		if len(se.supervisors()) > 0 {
			return ErrOccupied
		}
		d := &Device{ID: s.firstDevice(x), Extension: x.ID, Type: "HardPhone"}
		p := se.add(&party{
			role: RoleSupervisor, direction: outbound, extension: x,
			from: endpoint{phone: x.Number, name: x.Name, extension: x.ID, device: d.ID}, to: se.agent.ends(),
			supervision: &supervision{agent: se.agent, device: d, supervisor: x, answered: true, human: true},
		}, s.world.random)
		p.supervision.party = p
		s.changeLocked(se, p, stateAnswered, reasonSupervising, now)
		return nil
	})
}

// Vacate lets the human of [Call.Occupy] hang up.
func (c *Call) Vacate() error {
	now := time.Now()
	c.sim.mu.Lock()
	defer c.sim.mu.Unlock()
	if !c.session.freeLocked(c.sim, func(*supervision) bool { return true }, now) {
		return fmt.Errorf("call %s: vacate: no human supervises it", c.session.id)
	}
	return nil
}

// freeLocked sends the humans away whom gone chooses, and tells whether there was one.
func (se *session) freeLocked(s *Sim, gone func(*supervision) bool, now time.Time) bool {
	humans := slices.DeleteFunc(se.supervisors(), func(sv *supervision) bool { return !sv.human || !gone(sv) })
	for _, sv := range humans {
		s.changeLocked(se, sv.party, stateDisconnected, "", now)
	}
	return len(humans) > 0
}
