package supervise

import "time"

const (
	// reserveWindow is how far back demand is looked at: a purse's window.
	reserveWindow = defaultWindow
	// Of the requests that calls of a higher rank wanted in the last window, so many percent are kept for them in the next
	// one; and so many percent of a purse at least: nobody knows how many will come.
	reserveOfDemand = 130
	reserveOfPurse  = 20
)

// budget is what a login's purse of light requests has, as the shell tells before each tick.
type budget struct {
	limit int
	left  int          // requests that it lets through now
	frees [2]time.Time // when it lets one through, and when two
}

// wish is what a call wanted of the purses, or got of one.
type wish struct {
	at       time.Time
	rank     int
	login    int // -1: wanted
	requests int
}

// afford notes the logins' budgets; nil: there is none to look at.
func (c *core) afford(now time.Time, budgets []budget) {
	c.budgets = budgets
	old := 0
	for old < len(c.wishes) && now.Sub(c.wishes[old].at) >= reserveWindow {
		old++
	}
	c.wishes = append(c.wishes[:0], c.wishes[old:]...)
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
		return false, later(b.frees[min(requests, len(b.frees))-1], now.Add(time.Millisecond))
	}
	if s.rank == 0 {
		return true, time.Time{}
	}
	most, used := b.limit-c.reserve(s.rank, b.limit), 0
	for _, w := range c.wishes {
		if w.login == login && w.rank >= s.rank {
			used += w.requests
		}
	}
	if used+requests <= most {
		return true, time.Time{}
	}
	for _, w := range c.wishes { // oldest first
		if w.login == login && w.rank >= s.rank {
			if used -= w.requests; used+requests <= most {
				return false, w.at.Add(reserveWindow)
			}
		}
	}
	return false, now.Add(budgetPatience) // the higher ranks need it all, for the time being
}

// reserve is how many requests of a login's purse are kept for ranks above.
func (c *core) reserve(rank, limit int) int {
	wanted := 0
	for _, w := range c.wishes {
		if w.login < 0 && w.rank < rank {
			wanted += w.requests
		}
	}
	n := len(c.logins)
	return min(limit, max((wanted*reserveOfDemand/100+n-1)/n, limit*reserveOfPurse/100))
}

// wants notes, once, what a call wants of the purses; got that a login gave it a request.
func (c *core) wants(now time.Time, s *session, requests int) {
	if !s.counts && requests > 0 && c.budgets != nil {
		s.counts = true
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
	b.frees = [2]time.Time{others, others}
	for i := range b.frees {
		if at := i - b.left; at >= 0 && at < len(live) {
			b.frees[i] = live[at].at.Add(p.window)
		}
	}
	if now.Before(p.blocked) {
		b.left, b.frees = 0, [2]time.Time{p.blocked, p.blocked}
	}
	return b
}
