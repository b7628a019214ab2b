package supervise

import "time"

// leaverReadings are how often a call that another process of ours has let go of is read because RingCentral still shows our
// party on the line: dialog and party end in any order, and whoever asks in between is refused. They take as long as a 409 is
// asked again.
const leaverReadings = 4

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

// Abandoned tells that the other process is gone and ended no dialog: nothing is waited for, what it heard is asked for at once.
func (s *Supervisor) Abandoned() {
	s.change(func(time.Time) { s.core.theirs = nil })
	s.hurry()
}

func (c *core) setElsewhere(now time.Time, calls [][]string) {
	before := c.theirs
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
	for id := range before {
		if s := c.sessions[id]; s != nil && !c.theirs[id] {
			s.dirty, s.readAt, s.leaver = true, now, leaverReadings
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

// leaving says whether our party of a dialog in the other process is still on the line, and has the session read again soon.
func (c *core) leaving(now time.Time, s *session, parties []partyState) bool {
	if s.leaver == 0 {
		return false
	}
	if s.leaver--; s.leaver == 0 || len(c.strays(s, parties)) == 0 {
		s.leaver = 0
		return false
	}
	s.dirty, s.readAt = true, now.Add(notReadyFirst<<(leaverReadings-1-s.leaver))
	return true
}
