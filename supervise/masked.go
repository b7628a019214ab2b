package supervise

// masked says whether the policy's hook wants the call's audio held back. It holds for re-joins and for the sessions in which
// the call goes on, and nothing takes it back.
func (c *core) masked(id string) bool {
	for _, session := range c.chain(id) {
		if v := c.views[session]; v != nil && v.masked {
			return true
		}
	}
	return false
}

// Masked says whether the policy's hook wants the audio of the session's call held back.
func (s *Supervisor) Masked(session string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.core.masked(session)
}

// Consent says whether the policy's hook says that consent was given to record the session's call, and on what ground.
func (s *Supervisor) Consent(session string) (basis string, given bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range s.core.chain(session) {
		if v := s.core.views[id]; v != nil && v.consented {
			return v.basis, true
		}
	}
	return "", false
}

// Held says whether a monitored agent has put the session's call on hold, as RingCentral shows it.
func (s *Supervisor) Held(session string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.core.sessions[session]
	return x != nil && x.inCall && x.held
}
