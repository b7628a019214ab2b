package supervise

import (
	"slices"
	"time"

	"github.com/earshot/earshot/call"
)

// place says whose the supervisor's place of a call is: RingCentral has one per call.
type place uint8

const (
	placeOurs  place = iota // asked for as policy says
	placeGiven              // a user gave it up, and nobody has taken it yet
	placeTaken              // a human has it: when he leaves, it is ours again
)

const (
	givenText = "given up by hand: nothing is asked for until a human has taken the place and left it again"
	handText  = "the supervisor's place was given up by hand"
	takenText = "given up by hand: a human listens, and when he leaves earshot does"
)

// release gives the place up. What is wanted is not asked for any more; dialogs that are up, and INVITEs that come, are
// endpoint's to end.
func (c *core) release(now time.Time, s *session) {
	w := &c.viewOf(now, s.id).will
	if old := c.willOf(s.id); old != nil {
		*w = *old // forced stays: once the place is free again the call is heard
	}
	w.place = placeGiven
	s.released, s.occupied, s.suspect, s.told = true, false, false, true
	s.cause = call.Cause{Code: call.CodeReleased, Text: givenText}
	s.lookAt = now.Add(occupiedEvery)
	s.hinder(now, handText)
	for _, j := range s.joins {
		if j.state == stateWanted || j.state == stateFailed {
			j.giveUp(s.cause, time.Time{})
		}
	}
	c.emit(actReleased{s.id, s.agent.Extension, s.cause})
}

// obey brings a session to what a user said of its call: it may have begun in another session.
func (c *core) obey(s *session) {
	w := c.willOf(s.id)
	if w == nil {
		return
	}
	if w.place != placeOurs && !s.released { // nobody misses it
		s.released, s.told = true, true
		s.cause = call.Cause{Code: call.CodeReleased, Text: givenText}
	}
	if len(s.joins) == 0 && w.mode != "" {
		s.mode = w.mode
	}
}

// given says whether the place of the call was given up by hand and is not ours yet: an INVITE that comes is refused.
func (c *core) given(id string) bool {
	w := c.willOf(id)
	return w != nil && w.place != placeOurs
}

// handed follows the place of a released call: a human takes it, and when he leaves it is ours again. One who came and went
// between two readings is not seen, where events don't tell of him.
func (c *core) handed(now time.Time, s *session, v *view) {
	w := c.willOf(s.id)
	if w == nil || !s.released {
		return
	}
	rival := c.rival(v)
	switch {
	case rival && w.place == placeGiven:
		w.place = placeTaken
		s.cause = call.Cause{Code: call.CodeReleased, Text: takenText}
		c.emit(actHanded{s.id, s.agent.Extension, false})
	case !rival && w.place == placeTaken:
		w.place = placeOurs
		c.regain(now, s)
		c.emit(actHanded{s.id, s.agent.Extension, true})
	}
}

// regain has a released call asked for again.
func (c *core) regain(now time.Time, s *session) {
	s.released, s.lookAt, s.cause = false, time.Time{}, call.Cause{}
	for _, j := range s.joins {
		if !j.alive() {
			j.tally, j.cause = tally{}, call.Cause{}
			j.retry(now)
		}
	}
}

// lookOut reads a released session from time to time: who has its place, only a reading tells where no event does.
func (c *core) lookOut(now time.Time, s *session) {
	if !s.released || !c.given(s.id) || s.reading || !s.inCall || s.alive() {
		return
	}
	if s.lookAt.IsZero() {
		s.lookAt = now.Add(occupiedEvery)
	}
	if !now.Before(s.lookAt) {
		s.lookAt = now.Add(occupiedEvery)
		c.readNow(now, s)
	}
}

// quit ends the waiting for the join of a released call.
func (c *core) quit(s *session, j *join) {
	j.unclear = false
	j.giveUp(s.cause, time.Time{})
}

// Release gives the supervisor's place up to a human: of the call that a session belongs to, or of an agent's calls, by
// extension number or id. Nothing is asked for until a human has taken the place and left it again, or Supervise is called for
// the call. It gives the sessions; their dialogs are the caller's to end.
func (s *Supervisor) Release(session, agent string) []string {
	var released []string
	s.change(func(now time.Time) {
		for _, x := range s.core.sorted() {
			if session != "" && !slices.Contains(s.core.chain(x.id), session) {
				continue
			}
			if agent != "" && agent != x.agent.Extension && agent != x.agent.ID || !x.inCall && !x.alive() {
				continue
			}
			if !x.released {
				s.core.release(now, x)
			}
			released = append(released, x.id)
		}
	})
	return released
}

// Give is Release for sessions whose place another process of ours gave up: it holds also for those that are not known yet.
func (s *Supervisor) Give(sessions []string) {
	s.change(func(now time.Time) {
		for _, id := range sessions {
			if x := s.core.sessions[id]; x != nil && !x.released {
				s.core.release(now, x)
			} else if x == nil {
				s.core.viewOf(now, id).will.place = placeGiven
			}
		}
	})
}

// Given lists the sessions whose place a user gave up, and it is not ours again.
func (s *Supervisor) Given() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for _, x := range s.core.sorted() {
		if x.released && s.core.given(x.id) {
			ids = append(ids, x.id)
		}
	}
	return ids
}

// Released says whether a user has given up the call of a session, and the place is not ours again.
func (s *Supervisor) Released(session string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.core.given(session)
}
