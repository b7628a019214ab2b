package supervise

import (
	"cmp"
	"slices"
	"time"
)

const (
	// reserveWindow is how far back demand is looked at: a purse's window.
	reserveWindow = defaultWindow
	// Of the requests that calls of a higher rank wanted in the last window, so many percent are kept for them in the next
	// one; of a purse, so many percent at least for those that policy names: nobody knows how many will come.
	reserveOfDemand = 130
	reserveOfPurse  = 20
	// leastKnown is the least time from which the demand of a whole window is reckoned, after the start.
	leastKnown = 10 * time.Second
	// budgetAgain is the least time until a budget that had no room is looked at again.
	budgetAgain = 20 * time.Millisecond
)

// budget is what a login's purse of light requests has, as the shell tells before each tick.
type budget struct {
	limit   int
	left    int          // requests that it lets through now
	frees   [2]time.Time // when it lets one through, and when two
	soonest time.Time    // when it lets one more through
}

// wish is what a call wanted of the purses, or got of one.
type wish struct {
	at       time.Time
	rank     int
	login    int // -1: wanted
	requests int
}

// afford notes the logins' budgets; nil: there is none to look at. What is under way may not have been taken from them yet.
func (c *core) afford(now time.Time, budgets []budget) {
	c.budgets = budgets
	for _, s := range c.sessions {
		for _, j := range s.joins {
			if j.inFlight && s.device >= 0 && c.devices[s.device].login < len(budgets) {
				budgets[c.devices[s.device].login].left--
			}
		}
	}
	old := 0
	for old < len(c.wishes) && now.Sub(c.wishes[old].at) >= reserveWindow {
		old++
	}
	c.wishes = append(c.wishes[:0], c.wishes[old:]...)
}

// turns gives the sessions in the order in which they are asked for: by rank, then those that had no turn yet, then the newest of
// those that wait. Were it the oldest, a pool that is too small would spend its requests on calls that are nearly over: all
// would wait, and of most only the end be heard.
func (c *core) turns() []*session {
	waits := func(s *session) int {
		if s.full || !s.roomAt.IsZero() {
			return 1
		}
		return 0
	}
	all := c.sorted()
	slices.SortStableFunc(all, func(a, b *session) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(waits(a), waits(b)), waits(a)*b.since.Compare(a.since))
	})
	return all
}

// affords says whether a login's budget has room for all requests of a call at once: half a call is worth little, and must stay
// on that login. Calls of a lower rank leave a part of it alone, for a purse that is empty stays so for a minute, whoever
// calls then. If not, again is when to look.
func (c *core) affords(now time.Time, login int, s *session, requests int) (ok bool, again time.Time) {
	if login >= len(c.budgets) {
		return true, time.Time{}
	}
	b := &c.budgets[login]
	if b.left < requests {
		return false, later(b.frees[max(0, min(requests, len(b.frees))-1)], now.Add(budgetAgain))
	}
	if b.left-requests < c.reserve(now, s.rank, login, b.limit) {
		return false, later(b.soonest, now.Add(budgetAgain))
	}
	return true, time.Time{}
}

// reserve is how many requests of a login's purse are to be left for ranks above: their share, less what they had of it.
func (c *core) reserve(now time.Time, rank, login, limit int) int {
	if rank == 0 {
		return 0
	}
	wanted, had := 0, 0
	for _, w := range c.wishes {
		switch {
		case w.rank >= rank:
		case w.login < 0:
			wanted += w.requests
		case w.login == login:
			had += w.requests
		}
	}
	n, known := len(c.logins), min(reserveWindow, max(leastKnown, now.Sub(c.wishedAt)))
	kept := (int(time.Duration(wanted*reserveOfDemand/100)*reserveWindow/known) + n - 1) / n
	if rank >= len(c.policy.Priority) {
		kept = max(kept, limit*reserveOfPurse/100)
	}
	return max(0, kept-had)
}

// wants notes, once, what a call wants of the purses; got that a login gave it a request.
func (c *core) wants(now time.Time, s *session, requests int) {
	if !s.counts && requests > 0 && c.budgets != nil {
		s.counts = true
		if c.wishedAt.IsZero() {
			c.wishedAt = now
		}
		c.wishes = append(c.wishes, wish{now, s.rank, -1, requests})
	}
}

func (c *core) got(now time.Time, s *session, login int) {
	if login < len(c.budgets) {
		c.budgets[login].left--
		c.wishes = append(c.wishes, wish{now, s.rank, login, 1})
	}
}

// budgets reads what the logins' purses have.
func (s *Supervisor) budgets(now time.Time) []budget {
	out := make([]budget, len(s.logins))
	for i, l := range s.logins {
		out[i] = l.client.limits.budget(groupLight, now)
	}
	return out
}

// budget tells what a purse has.
func (l *limiter) budget(g group, now time.Time) budget {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := &l.purses[g]
	live := p.sent
	for len(live) > 0 && now.Sub(live[0].at) >= p.window {
		live = live[1:]
	}
	b := budget{limit: p.limit, left: p.limit - len(live)}
	if now.Sub(p.othersAt) < p.window {
		b.left -= p.others
	}
	others := p.othersAt.Add(p.window)
	b.frees, b.soonest = [2]time.Time{others, others}, others
	if len(live) > 0 {
		b.soonest = live[0].at.Add(p.window)
	}
	for i := range b.frees {
		if at := i - b.left; at >= 0 && at < len(live) {
			b.frees[i] = live[at].at.Add(p.window)
		}
	}
	if now.Before(p.blocked) {
		b.left, b.frees, b.soonest = 0, [2]time.Time{p.blocked, p.blocked}, p.blocked
	}
	return b
}
