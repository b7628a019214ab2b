package supervise

import "time"

// Drain, when on, has nothing asked for but the calls that were asked for before: one of them that drops, or goes on in
// another session, is joined again. Others are left alone, as long as it is on.
func (s *Supervisor) Drain(on bool) {
	s.change(func(time.Time) { s.core.draining = on })
}

// Pending lists the sessions of which a request is under way, or was granted and its dialog is not up yet.
func (s *Supervisor) Pending() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for _, c := range s.core.sorted() {
		for _, j := range c.joins {
			if j.alive() && j.state != stateJoined {
				ids = append(ids, c.id)
				break
			}
		}
	}
	return ids
}

// Elsewhere names the calls that another process of ours hears, each by its sessions, the first one first. They are neither
// read nor asked for until they are not named any more; RingCentral allows one supervisor per call.
func (s *Supervisor) Elsewhere(calls [][]string) {
	s.change(func(now time.Time) { s.core.setElsewhere(now, calls) })
	s.hurry()
}

func (c *core) setElsewhere(now time.Time, calls [][]string) {
	c.theirs = map[string]bool{}
	for _, chain := range calls {
		for i, id := range chain {
			c.theirs[id] = true
			if i == 0 {
				continue
			}
			// A call that comes to us later keeps the name it began with.
			prev, v := c.viewOf(now, chain[i-1]), c.viewOf(now, id)
			if prev.next == "" && v.prev == "" && !c.before(prev.id, id) {
				prev.next, prev.nextAt, v.prev = id, now, prev.id
			}
			prev.wanted, v.wanted = true, true
		}
	}
}

// leaves says whether the session is to be left alone.
func (c *core) leaves(s *session) bool {
	if c.theirs[s.id] {
		s.heard = true // by the other process: it is no missed call
		return true
	}
	return c.draining && !c.begun(s)
}

// begun says whether the call was asked for, in this session or in one that it went through.
func (c *core) begun(s *session) bool {
	if s.asked || s.heard {
		return true
	}
	for _, id := range c.chain(s.id) {
		if v := c.views[id]; v != nil && v.heard {
			return true
		}
		if o := c.sessions[id]; o != nil && (o.asked || o.heard) {
			return true
		}
	}
	return false
}
