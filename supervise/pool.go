package supervise

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/earshot/earshot/call"
)

const (
	// shunFor is how long a call stays away from a device that did not serve it, where there is another one.
	shunFor = time.Minute
	// maxPlaces are the devices that a call tries in a row before its request counts as refused.
	maxPlaces = 3
	// budgetPatience is how long a call may wait for a login's request budget before that is told.
	budgetPatience = 2 * time.Second
	// freeSettle is how long a dialog that ended still counts: RingCentral may count it a moment longer than we do, and a
	// request beyond its limit is granted and brings nothing.
	freeSettle = 500 * time.Millisecond
	// shortEvery is the time between two tellings that the pool is too small.
	shortEvery = time.Minute
)

// device is one of the pool, as far as decisions need it.
type device struct {
	login      int  // index into core.logins
	registered bool // at the newest tick
	room
	load  int         // dialogs that are up or asked for, or were a moment ago; counted by each tick
	freed []time.Time // when dialogs ended, those of the last freeSettle
}

// loginFacts is what is known of a supervisor's login.
type loginFacts struct {
	covers map[string]bool // ids of the extensions that it may listen to; nil: not known
	busy   time.Time       // its budget of light requests is used up until then
}

// ownSet are the supervisors' extension ids, as far as they are known.
type ownSet []string

func (o ownSet) has(id string) bool { return id != "" && slices.Contains(o, id) }

// equip makes the pool: for each device the index of its login, and how many dialogs it takes (0: to be learned).
func (c *core) equip(logins, dialogs []int) {
	c.devices, c.logins = nil, nil
	for i, l := range logins {
		c.devices = append(c.devices, &device{login: l, room: room{max: dialogs[i]}})
		for len(c.logins) <= l {
			c.logins = append(c.logins, &loginFacts{})
		}
	}
}

// enroll notes which devices are registered; one that came back gets another chance.
func (c *core) enroll(registered []bool) {
	c.registered = false
	for i, d := range c.devices {
		was := d.registered
		d.registered = i < len(registered) && registered[i]
		c.registered = c.registered || d.registered
		if d.registered && !was {
			d.room.until = time.Time{} // it was the flow, maybe, and not the device
			for _, s := range c.sessions {
				delete(s.shunned, i)
			}
		}
	}
}

// count counts the dialogs of each device.
func (c *core) count(now time.Time) {
	for _, d := range c.devices {
		d.freed = slices.DeleteFunc(d.freed, func(at time.Time) bool { return now.Sub(at) >= freeSettle })
		d.load = len(d.freed)
	}
	for _, s := range c.sessions {
		for _, j := range s.joins {
			if j.alive() && s.device >= 0 {
				c.devices[s.device].load++
			}
		}
	}
}

// up counts the dialogs of a device that are up.
func (c *core) up(dev int) (n int) {
	for _, s := range c.sessions {
		for _, j := range s.joins {
			if s.device == dev && j.dialogs > 0 {
				n++
			}
		}
	}
	return n
}

// coverage is how sure it is that a device's login may listen to the agent.
type coverage uint8

const (
	covered coverage = iota
	coverUnknown
	uncovered
)

func (c *core) coverage(d *device, a Agent) coverage {
	switch covers := c.logins[d.login].covers; {
	case covers == nil || a.ID == "":
		return coverUnknown
	case covers[a.ID]:
		return covered
	}
	return uncovered
}

// candidates are the devices that may take the session's dialogs. All of a call are on one device: RingCentral lets a
// supervisor listen on one only. Devices whose login may not listen to the agent are left for the case that there is no
// other: then RingCentral says so in its own words. Those of whose login it is not known are taken where the others have no room.
func (c *core) candidates(s *session) []int {
	if s.alive() && s.device >= 0 {
		return []int{s.device}
	}
	var may, others []int
	for i, d := range c.devices {
		if c.coverage(d, s.agent) == uncovered {
			others = append(others, i)
		} else {
			may = append(may, i)
		}
	}
	if len(may) > 0 {
		return may
	}
	return others
}

// preference is what speaks for a device.
type preference struct {
	shunned bool // it did not serve the call a moment ago
	cover   coverage
	load    int
}

func (p preference) before(o preference) bool {
	if p.shunned != o.shunned {
		return !p.shunned
	}
	return cmp.Or(cmp.Compare(p.cover, o.cover), cmp.Compare(p.load, o.load)) < 0
}

// place chooses the device for so many dialogs more: one that the call was not turned away from before one that did, one whose
// login is known to cover the agent before one of which that is not known, then the one with the fewest dialogs. Where there is none, it tells why and when to look again; zero: when something happens.
func (c *core) place(now time.Time, s *session, more int) (dev int, again time.Time) {
	dev = -1
	var best preference
	total, limits := 0, 0
	var busy time.Time
	s.deaf = true
	for _, i := range c.candidates(s) {
		d := c.devices[i]
		if !d.registered {
			continue
		}
		s.deaf = false
		limit := d.limit(now)
		total, limits = total+d.load, limits+limit
		if limit > 0 && d.load+more > limit {
			again = earlier(again, d.until)
			if len(d.freed) > 0 {
				again = earlier(again, d.freed[0].Add(freeSettle))
			}
			continue
		}
		if until := c.logins[d.login].busy; now.Before(until) {
			busy = earlier(busy, until)
			continue
		}
		if ok, until := c.affords(now, d.login, s, more); !ok {
			busy = earlier(busy, until)
			continue
		}
		p := preference{shunned: now.Before(s.shunned[i]), cover: c.coverage(d, s.agent), load: d.load}
		if dev < 0 || p.before(best) {
			dev, best = i, p
		}
	}
	switch {
	case dev >= 0:
		return dev, time.Time{}
	case s.deaf:
		s.hinder(now, "no device was registered whose supervisor may listen to this agent")
		return -1, now.Add(registeredAgain)
	case !busy.IsZero():
		s.hinder(now, "the supervisors' request budget was used up")
		if busy.Sub(now) > budgetPatience {
			c.short(now, s, fmt.Sprintf("the supervisors' request budget is used up for %s", busy.Sub(now).Round(time.Second)))
		}
		return -1, busy
	}
	c.short(now, s, fmt.Sprintf("the devices have %d of %d dialogs, and this call needs %d more", total, limits, more))
	return -1, again
}

// short tells that the pool is too small for a call: of each call once, and of the pool once in a while.
func (c *core) short(now time.Time, s *session, text string) {
	s.full = true
	s.hinder(now, text)
	if s.cause.Code != call.CodeNoCapacity {
		s.cause, s.told = call.Cause{Code: call.CodeNoCapacity, Text: text}, true
		c.emit(actFailed{session: s.id, agent: s.agent.Extension, cause: s.cause})
	}
	c.lacking++
	if now.Sub(c.shortAt) >= shortEvery {
		c.shortAt = now
		c.emit(actShort{text})
	}
}

// shun keeps the session away from its device for a while, and says whether there is another one to try.
func (c *core) shun(now time.Time, s *session) bool {
	if s.device < 0 || s.alive() {
		return false
	}
	if s.shunned == nil {
		s.shunned = map[int]time.Time{}
	}
	s.shunned[s.device] = now.Add(shunFor)
	if s.places++; s.places >= maxPlaces {
		s.places = 0
		return false
	}
	for _, i := range c.candidates(s) {
		if c.devices[i].registered && !now.Before(s.shunned[i]) {
			return true
		}
	}
	return false
}

// elsewhere has the session's joins asked for anew, on another device.
func (s *session) elsewhere(now time.Time) {
	for _, j := range s.joins {
		if !j.alive() && !j.extra && j.cause.Code != call.CodeReleased {
			j.quick, j.firstAsk = 0, time.Time{}
			j.retry(now)
		}
	}
}

// busy takes a request that the login's budget did not let through: another login may have room. A repeated request
// leaves part of the budget to first ones, so its refusal says nothing about these.
func (c *core) busy(now time.Time, s *session, j *join, until time.Time) {
	if s.device < 0 || j.asks > 1 {
		j.retry(until)
		return
	}
	l := c.logins[c.devices[s.device].login]
	l.busy = later(l.busy, until)
	j.asks = max(0, j.asks-1) // it was not sent
	j.retry(now)
}

// turnedAway takes a refusal. Where another device may serve the call it is asked there, else the join is given up until
// next.
func (c *core) turnedAway(now time.Time, s *session, j *join, err error, next time.Time) {
	from := s.device
	j.enter(stateWanted) // not alive any more: its place is free
	if c.shun(now, s) {
		c.emit(actTurned{session: s.id, agent: s.agent.Extension, device: from, err: err})
		s.elsewhere(now)
		return
	}
	c.fail(s, j, refusal(err), err, next)
}

// cover notes whom a login may listen to; nil: not known.
func (c *core) cover(login int, covers map[string]bool) { c.logins[login].covers = covers }

// lent says what the pool has and lacks, for Status.
func (c *core) lent(now time.Time, i int) (dialogs, limit int) {
	d := c.devices[i]
	for _, s := range c.sessions {
		for _, j := range s.joins {
			if s.device == i && j.alive() {
				dialogs++
			}
		}
	}
	return dialogs, d.limit(now)
}
