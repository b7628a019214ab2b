package supervise

import (
	"time"

	"github.com/earshot/earshot/call"
)

const (
	// A learned limit is tried anew after a while, each time later.
	learnedFirst = time.Minute
	learnedMost  = 10 * time.Minute
	// learnAfter grants in a row without an INVITE, while dialogs are up, are taken for a device that is full.
	learnAfter = 2
	// occupiedEvery is the time between two readings of a call whose place another supervisor holds, where no event tells
	// that he left.
	occupiedEvery = 15 * time.Second
)

// room is how many dialogs a device takes, as far as that is known. RingCentral documents no number: beyond it requests
// are granted, and no INVITE comes.
type room struct {
	max     int       // configured; 0: to be learned
	learned int       // 0: nothing
	until   time.Time // learned counts until then
	tries   int       // how often it was learned
	without int       // grants without an INVITE since the newest INVITE
}

// limit gives the number of dialogs, 0 where none is known.
func (r *room) limit(now time.Time) int {
	if r.max > 0 {
		return r.max
	}
	if now.Before(r.until) {
		return r.learned
	}
	return 0
}

// noInviteCame learns from a grant that no INVITE followed.
func (c *core) noInviteCame(now time.Time, dev int) {
	if dev < 0 {
		return
	}
	d, up := c.devices[dev], c.up(dev)
	d.without++
	c.emit(actProbe{dev})
	if d.max > 0 || up == 0 || d.without < learnAfter {
		return
	}
	d.learned = up
	d.until = now.Add(backoff(learnedFirst, learnedMost, d.tries))
	d.tries++
	c.emit(actLearned{dev, up})
}

// inviteCame learns from an INVITE.
func (c *core) inviteCame(dev int) {
	if dev < 0 {
		return
	}
	d := c.devices[dev]
	d.without = 0
	if c.up(dev) >= d.learned {
		d.until, d.tries = time.Time{}, 0 // it takes more than was thought
	}
}

// rival says whether another supervisor listens to the call: a person, as RingCentral lets one listen only.
func (c *core) rival(v *view) bool {
	for _, p := range v.parties {
		if p.Supervising && live(p.partyState) && p.ExtensionID != "" && len(c.own) > 0 && !c.own.has(p.ExtensionID) {
			return true
		}
	}
	return false
}

// occupied takes a refusal, which RingCentral's codes do not explain: it is another supervisor's doing if one is there.
func (c *core) occupied(now time.Time, s *session) bool {
	v := c.views[s.id]
	if v == nil || !c.rival(v) {
		return false
	}
	cause := call.Cause{Code: call.CodeOccupied, Text: "another supervisor listens to this call, and RingCentral allows one"}
	if !s.occupied {
		s.occupied, s.cause, s.told = true, cause, true
		c.emit(actFailed{session: s.id, agent: s.agent.Extension, cause: cause})
	}
	s.dirty, s.readAt = true, now.Add(occupiedEvery)
	return true
}

// vacated has the joins asked for at once when the other supervisor has left.
func (c *core) vacated(now time.Time, s *session, v *view) {
	c.handed(now, s, v)
	if !s.occupied {
		return
	}
	if c.rival(v) {
		s.dirty, s.readAt = true, now.Add(occupiedEvery)
		return
	}
	s.occupied, s.dirty = false, false
	for _, j := range s.joins {
		if j.unclear { // what became of it only a reading tells
			s.dirty, s.readAt = true, now
		}
		if !j.alive() && j.cause.Code != call.CodeReleased {
			j.tally = tally{}
			j.retry(now)
		}
	}
}
