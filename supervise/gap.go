package supervise

import (
	"slices"
	"time"
)

// RingCentral numbers the events of a session, and the account's feed brings all of them. A number that stays away is a lost
// event, and seldom the only one: presence is looked at, which shows the calls of which nothing was told.

const (
	// gapWait is how long a number may be overtaken by later ones.
	gapWait = time.Second
	// lostFirst and lostMost are the times between two looks because of lost events; they double while the looks find
	// nothing, for nobody knows whether RingCentral uses each number.
	lostFirst = 15 * time.Second
	lostMost  = 4 * time.Minute
	// followedFor is how long silence of the feed means that nothing has changed.
	followedFor = time.Minute
	maxAhead    = 16
	maxGaps     = 256
)

// numbers are those of a session's events.
type numbers struct {
	next  int64     // all before it came, as far as is known; 0: none came yet
	ahead []int64   // that came, in order; none is next
	since time.Time // when the gap was seen; zero: there is none
}

// came takes a number, and says whether one before it is missing.
func (n *numbers) came(number int64) (gap bool) {
	switch at, known := slices.BinarySearch(n.ahead, number); {
	case number <= 0:
	case n.next == 0:
		n.next = number + 1 // what was before the feed, nobody told
	case number < n.next || known:
	case number > n.next && len(n.ahead) < maxAhead:
		n.ahead = slices.Insert(n.ahead, at, number)
	case number > n.next:
		n.pass()
	default:
		n.next++
		for len(n.ahead) > 0 && n.ahead[0] == n.next {
			n.next, n.ahead = n.next+1, n.ahead[1:]
		}
	}
	return len(n.ahead) > 0
}

// pass gives up what is missing.
func (n *numbers) pass() {
	if len(n.ahead) > 0 {
		n.next = n.ahead[len(n.ahead)-1] + 1
	}
	n.ahead, n.since = nil, time.Time{}
}

// losses is what the core knows of lost events.
type losses struct {
	gaps  []*view   // sessions of whose events one is missing
	due   bool      // a look is due because of it
	at    time.Time // the newest such look
	every time.Duration
}

// number notes the number of an event.
func (c *core) number(now time.Time, v *view, number int64) {
	if c.feed.account && v.numbers.came(number) && v.numbers.since.IsZero() && len(c.losses.gaps) < maxGaps {
		v.numbers.since = now
		c.losses.gaps = append(c.losses.gaps, v)
	}
}

// lost finds the events that stay away, has presence looked at because of them, and says when to come back.
func (c *core) lost(now time.Time) (next time.Time) {
	l := &c.losses
	l.gaps = slices.DeleteFunc(l.gaps, func(v *view) bool {
		switch n := &v.numbers; {
		case len(n.ahead) == 0:
			n.since = time.Time{}
		case now.Sub(n.since) < gapWait:
			next = earlier(next, n.since.Add(gapWait))
			return false
		default:
			l.due = true
			n.pass()
		}
		return true
	})
	if !l.due {
		return next
	}
	if at := l.at.Add(l.every); now.Before(at) {
		return earlier(next, at)
	}
	l.due, l.at, l.every = false, now, min(max(2*l.every, lostFirst), lostMost)
	c.emit(actLost{})
	return next
}

// found notes that a look showed a call of which no event told: looking for lost events is worth it.
func (l *losses) found() { l.every = lostFirst }

// followed says whether what is known of a session is what RingCentral knows, although it was told a while ago: the account's
// feed brings each change, and none is missing. A call that waits for its turn is then not read anew, which would cost what it waits for.
func (c *core) followed(now time.Time, s *session) bool {
	v := c.views[s.id]
	return s.settled() && now.Sub(s.freshAt) < followedFor && c.feed.account && !c.feed.since.IsZero() && !c.feed.silent && s.byFeed && !s.freshAt.Before(c.feed.since) &&
		v != nil && len(v.numbers.ahead) == 0
}
