package supervise

import (
	"net/http"
	"strconv"
	"time"
)

// modelLimits is how many requests RingCentral lets a login send, by its own count.
type modelLimits struct {
	limit   int           // of a login, in a minute; 0: any number
	own     []*limiter    // this life's
	counted [][]time.Time // by login
	blocked []time.Time   // by login: a penalty, in which nothing may be sent
	born    time.Time     // of this life
}

// ration makes up a limit, in half of the histories one that is felt.
func (m *model) ration() {
	l := &m.limits
	if m.chance(50) {
		l.limit = 8 + m.rnd.IntN(30)
	}
	l.counted, l.blocked = make([][]time.Time, len(m.pool.may)), make([]time.Time, len(m.pool.may))
}

// meter begins a life's own count: the answer to its first request, which reads the login's extension, says what is left.
func (m *model) meter() {
	l := &m.limits
	l.own, l.born = nil, m.now
	for login := range l.counted {
		l.own = append(l.own, newLimiter())
		if l.limit > 0 && !m.now.Before(l.blocked[login]) {
			l.counted[login] = append(l.counted[login], m.now)
			l.own[login].note(groupLight, http.StatusOK, m.rates(login), m.now)
		}
	}
}

// rates are the headers of an answer.
func (m *model) rates(login int) http.Header {
	l := &m.limits
	return http.Header{"X-Rate-Limit-Group": {"light"}, "X-Rate-Limit-Limit": {strconv.Itoa(l.limit)}, "X-Rate-Limit-Window": {"60"},
		"X-Rate-Limit-Remaining": {strconv.Itoa(max(0, l.limit-m.used(login)))}}
}

// used is what RingCentral counts of the last minute.
func (m *model) used(login int) int {
	c := &m.limits.counted[login]
	for len(*c) > 0 && m.now.Sub((*c)[0]) >= time.Minute {
		*c = (*c)[1:]
	}
	return len(*c)
}

// budgets are what the core is told before each tick.
func (m *model) budgets() (out []budget) {
	for _, l := range m.limits.own {
		out = append(out, l.budget(groupLight, m.now))
	}
	return out
}

// sends books a request; where the budget forbids it, it says until when.
func (m *model) sends(login, share int) (until time.Time, ok bool) {
	if m.limits.limit == 0 {
		return time.Time{}, true
	}
	d := m.limits.own[login].take(groupLight, share, m.now)
	return m.now.Add(d), d <= 0
}

// arrives counts a request at RingCentral. None may be over the limit, but for what a life sends that does not know yet what
// the one before had under way; and none may come in a penalty.
func (m *model) arrives(login int) (h http.Header, status int) {
	l := &m.limits
	switch {
	case l.limit == 0:
		return nil, http.StatusOK
	case m.now.Before(l.blocked[login]) && m.life == 0:
		m.fail("login %d: a request in a penalty", login)
	case m.used(login) < l.limit && !m.now.Before(l.blocked[login]):
		l.counted[login] = append(l.counted[login], m.now)
		return m.rates(login), http.StatusOK
	case m.life == 0 || m.now.Sub(l.born) > 2*time.Minute:
		m.fail("login %d: request %d of a minute, %d are allowed", login, m.used(login)+1, l.limit)
	}
	l.blocked[login] = m.now.Add(time.Minute)
	h = m.rates(login)
	h.Set("Retry-After", "60")
	return h, http.StatusTooManyRequests
}

// answered notes an answer, or that none came.
func (m *model) answered(login int, h http.Header, status int, o outcome) {
	switch {
	case h == nil:
	case o == outcomeUnclear:
		m.limits.own[login].failed(groupLight, m.now)
	default:
		m.limits.own[login].note(groupLight, status, h, m.now)
	}
}

// readBy is the login that reads a session.
func (m *model) readBy(id string) int {
	if s := m.c.sessions[id]; s != nil && s.device >= 0 {
		return m.pool.logins[s.device]
	}
	return 0
}
