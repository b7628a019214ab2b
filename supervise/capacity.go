package supervise

import (
	"fmt"
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

// room is how many dialogs the device takes, as far as that is known. RingCentral documents no number: beyond it requests
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

// dialogs counts those that are up, and those that were asked for.
func (c *core) dialogs() (up, all int) {
	for _, s := range c.sessions {
		for _, j := range s.joins {
			if j.dialogs > 0 {
				up++
			}
			if j.alive() {
				all++
			}
		}
	}
	return up, all
}

// noInviteCame learns from a grant that no INVITE followed.
func (c *core) noInviteCame(now time.Time) {
	up, _ := c.dialogs()
	c.room.without++
	if c.room.max > 0 || up == 0 || c.room.without < learnAfter {
		return
	}
	c.room.learned = up
	c.room.until = now.Add(backoff(learnedFirst, learnedMost, c.room.tries))
	c.room.tries++
	c.emit(actLearned{up})
}

// inviteCame learns from an INVITE.
func (c *core) inviteCame() {
	c.room.without = 0
	if up, _ := c.dialogs(); up >= c.room.learned {
		c.room.until, c.room.tries = time.Time{}, 0 // it takes more than was thought
	}
}

// fits says whether the device has room for some dialogs more; where not, that is told once.
func (c *core) fits(now time.Time, s *session, more int) bool {
	limit := c.room.limit(now)
	_, all := c.dialogs()
	s.full = limit > 0 && all+more > limit
	if !s.full {
		return true
	}
	cause := call.Cause{Code: call.CodeNoCapacity, Text: fmt.Sprintf("the device has %d of %d dialogs, and this call needs %d more", all, limit, more)}
	if s.cause.Code != call.CodeNoCapacity {
		s.cause, s.told = cause, true
		c.emit(actFailed{session: s.id, agent: s.agent.Extension, cause: cause})
	}
	return false
}

// rival says whether another supervisor listens to the call: a person, as RingCentral lets one listen only.
func (c *core) rival(v *view) bool {
	for _, p := range v.parties {
		if p.Supervising && live(p.partyState) && p.ExtensionID != "" && c.own != "" && p.ExtensionID != c.own {
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
