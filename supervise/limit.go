package supervise

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// group is one of RingCentral's purses of requests; each counts for itself.
type group uint8

const (
	groupAuth group = iota
	groupLight
	groupMedium
	groupHeavy
	groupCount
)

var groupNames = [groupCount]string{groupAuth: "auth", groupLight: "light", groupMedium: "medium", groupHeavy: "heavy"}

func (g group) String() string { return groupNames[g] }

// How much of a purse a request may find used, in percent: looking leaves the rest to joining, and a second attempt
// leaves it to first ones.
const (
	shareAll   = 100
	shareLook  = 80
	shareRetry = 90 // above what a pool of the right size uses (Size): or else a second attempt would wait until the rush is over
	shareAsk   = 40 // of people who look while calls are being joined
)

const (
	defaultWindow = 60 * time.Second
	// Without Retry-After: "wait >= 30 s, then 60" (RingCentral's rate limit guide).
	firstPenalty = 30 * time.Second
	nextPenalty  = 60 * time.Second
	maxPenalty   = 10 * time.Minute
	// penaltyMargin keeps a request from arriving in the penalty's last moment, which would start it again.
	penaltyMargin = 250 * time.Millisecond
	maxLimit      = 100_000
)

// documentedLimits are the requests per window of the documented plan, used until an answer names others or none.
var documentedLimits = [groupCount]int{groupAuth: 5, groupLight: 50, groupMedium: 40, groupHeavy: 10}

// limiter keeps requests inside the server's limits and out of its penalties. It is safe for concurrent use.
type limiter struct {
	mu     sync.Mutex // guards purses
	purses [groupCount]purse
}

type purse struct {
	limit   int
	window  time.Duration
	sent    []sending // within the window, oldest first; at most limit
	blocked time.Time // a penalty lasts until then
	strikes int       // penalties in a row without Retry-After
	told    bool      // limit is what an answer's headers named
	// others are requests that the server counts and we did not send: other programs of the same user and app, or ourselves
	// before a restart. They count for a window from their newest telling on.
	others   int
	othersAt time.Time
	mixed    bool // requests are, or were, under way side by side: an answer's count may lack some
}

// sending is one request. The server counts it from its arrival on, which is at the latest when its answer comes: until then
// it counts from when it left, and then from the answer on.
type sending struct {
	at       time.Time
	answered bool
}

// fresh drops what is older than the window.
func (p *purse) fresh(now time.Time) {
	for len(p.sent) > 0 && now.Sub(p.sent[0].at) >= p.window {
		p.sent = p.sent[1:]
	}
}

// land notes that a request was answered, or failed.
func (p *purse) land(now time.Time) {
	if i := slices.IndexFunc(p.sent, func(s sending) bool { return !s.answered }); i >= 0 {
		p.sent = append(slices.Delete(p.sent, i, i+1), sending{now, true})
	}
}

// underWay says whether a request has no answer yet.
func (p *purse) underWay() bool {
	return slices.ContainsFunc(p.sent, func(s sending) bool { return !s.answered })
}

// count takes what an answer says remains. What is under way and not counted yet makes others too few, never too many: so fewer
// than were told before are believed of a request that was alone only.
func (p *purse) count(now time.Time, remaining int) {
	p.fresh(now)
	others, under := p.limit-remaining-len(p.sent), p.underWay()
	if others >= p.others || now.Sub(p.othersAt) >= p.window || !under && !p.mixed {
		p.others, p.othersAt = max(0, others), now
	}
	p.mixed = p.mixed && under
}

// failed notes that a request got no answer.
func (l *limiter) failed(g group, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.purses[g].land(now)
}

func newLimiter() *limiter {
	l := &limiter{}
	for g := range l.purses {
		l.purses[g] = purse{limit: documentedLimits[g], window: defaultWindow}
	}
	return l
}

// busyError says that a request was not sent, because the budget or a penalty forbids it until then.
type busyError struct {
	group group
	until time.Time
}

func (e *busyError) Error() string {
	return fmt.Sprintf("request budget: group %s is used up for now", e.group)
}

// Again is when the budget allows the request.
func (e *busyError) Again() time.Time { return e.until }

// take books one request, or says how long to wait before asking again.
func (l *limiter) take(g group, share int, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := &l.purses[g]
	if wait := p.blocked.Sub(now); wait > 0 {
		return wait
	}
	p.fresh(now)
	n := max(1, p.limit*share/100)
	if now.Sub(p.othersAt) < p.window {
		n -= p.others
	}
	if n <= 0 {
		return p.othersAt.Add(p.window).Sub(now)
	}
	if len(p.sent) >= n {
		return p.sent[len(p.sent)-n].at.Add(p.window).Sub(now)
	}
	p.mixed = p.mixed || p.underWay()
	p.sent = append(p.sent, sending{at: now})
	return 0
}

// wait is take for a caller that can wait up to patience; beyond it the answer is a *busyError.
func (l *limiter) wait(ctx context.Context, g group, share int, patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for {
		now := time.Now()
		d := l.take(g, share, now)
		if d <= 0 {
			return nil
		}
		if now.Add(d).After(deadline) {
			return &busyError{group: g, until: now.Add(d)}
		}
		t := time.NewTimer(d)
		select {
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		case <-t.C:
		}
	}
}

// left is how many requests a purse lets through at once, as far as is known.
func (l *limiter) left(g group, share int, now time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := &l.purses[g]
	if now.Before(p.blocked) {
		return 0
	}
	n := max(1, p.limit*share/100)
	if now.Sub(p.othersAt) < p.window {
		n -= p.others
	}
	for _, s := range p.sent {
		if now.Sub(s.at) < p.window {
			n--
		}
	}
	return max(0, n)
}

// spacing is the time between two requests that use the given share of a purse evenly.
func (l *limiter) spacing(g group, share int) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.purses[g].window / time.Duration(max(1, l.purses[g].limit*share/100))
}

// note learns from an answer's headers: the plan's limits, and the penalty of a 429.
func (l *limiter) note(asked group, status int, h http.Header, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.purses[asked].land(now)
	g, named := asked, false
	for i, name := range groupNames {
		if strings.EqualFold(strings.TrimSpace(h.Get("X-Rate-Limit-Group")), name) {
			g, named = group(i), true
		}
	}
	p := &l.purses[g]
	if n, ok := headerInt(h, "X-Rate-Limit-Limit"); ok && n > 0 && n <= maxLimit {
		p.limit, p.told, named = n, true, true
	}
	if n, ok := headerInt(h, "X-Rate-Limit-Window"); ok && n > 0 && n <= 3600 {
		p.window = time.Duration(n) * time.Second
	}
	if n, ok := headerInt(h, "X-Rate-Limit-Remaining"); ok && n >= 0 && n <= p.limit {
		p.count(now, n)
	}
	if status != http.StatusTooManyRequests {
		if p.strikes = 0; !named && status < 300 {
			p.limit = maxLimit // a server that names no limits has none, or tells by 429: the simulator, say
		}
		return
	}
	d, ok := retryAfter(h, now)
	if !ok {
		d = firstPenalty
		if p.strikes++; p.strikes > 1 {
			d = nextPenalty
		}
	}
	until := now.Add(d + penaltyMargin)
	for i := range l.purses {
		// A 429 without X-Rate-Limit headers is another limit: of the account, the address or the whole service.
		if (group(i) == g || !named) && until.After(l.purses[i].blocked) {
			l.purses[i].blocked = until
		}
	}
}

func headerInt(h http.Header, name string) (int, bool) {
	n, err := strconv.Atoi(strings.TrimSpace(h.Get(name)))
	return n, err == nil
}

// retryAfter reads the header of RFC 9110 section 10.2.3: seconds or a date. It is believed up to maxPenalty: a date of a clock
// that is wrong must not end a login's work for years.
func retryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.Atoi(v); err == nil && n >= 0 {
		return time.Duration(min(n, int(maxPenalty/time.Second))) * time.Second, true
	}
	if t, err := http.ParseTime(v); err == nil {
		return min(max(0, t.Sub(now)), maxPenalty), true
	}
	return 0, false
}
