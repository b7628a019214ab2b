package ringsim

import (
	"fmt"
	"time"
)

// Listen has a human supervisor, by extension number, listen to the call on a phone of his own, as with RingCentral's own app: he
// has the call's one supervisor's place until leave is called, or the call ends. It is refused where the place is taken, or
// where no group lets him.
func (c *Call) Listen(number string) (leave func(), err error) {
	s, se := c.sim, c.session
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	x, agent := s.cfg.Account.byNumber(number), se.agent
	var phone *Device
	for i := range s.cfg.Account.Devices {
		if d := &s.cfg.Account.Devices[i]; x != nil && d.Extension == x.ID {
			phone = d
		}
	}
	switch {
	case x == nil || phone == nil:
		return nil, fmt.Errorf("ringsim: listen: extension %s: want one with a device", number)
	case !se.ended.IsZero():
		return nil, fmt.Errorf("ringsim: listen: %w", ErrCallEnded)
	case agent.extension == nil || !s.cfg.Account.maySupervise(x.ID, agent.extension.ID):
		return nil, fmt.Errorf("ringsim: listen: no group lets extension %s monitor the agent", number)
	}
	if fail := s.oneSupervisor(se, phone, nil); fail != nil {
		return nil, fmt.Errorf("ringsim: listen: the call is supervised already")
	}
	p := se.add(&party{
		role: RoleSupervisor, direction: outbound, extension: x, state: stateAnswered, reason: reasonSupervising, answered: now,
		from:        endpoint{phone: x.Number, name: x.Name, extension: x.ID, device: phone.ID},
		to:          endpoint{phone: agent.extension.Number, name: agent.extension.Name, extension: agent.extension.ID},
		supervision: &supervision{agent: agent, device: phone, supervisor: x, answered: true},
	}, s.world.random)
	p.supervision.party = p
	s.tellLocked(se, p, now)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if p.live() {
			s.changeLocked(se, p, stateDisconnected, "", time.Now())
		}
	}, nil
}
