package recorder

import (
	"errors"
	"fmt"
	"time"

	"github.com/earshot/earshot/recorder/evidence"
)

const (
	// clockJump is how far the time of the log may go on without a leaf: the daily prune writes one, so a longer step is a pause of earshot, or a clock that is wrong.
	clockJump = 31 * 24 * time.Hour
	// clockBack is how far the time may go back: a clock that is being set.
	clockBack = time.Hour
	// actClock is the act of who says that the clock is right.
	actClock = "clock"
)

// ErrClock is why nothing is erased by its time: the clock can't be right, or was not.
var ErrClock = errors.New("the clock may be wrong")

// stamp is a time that the log names; sure: somebody said then that the clock is right.
type stamp struct {
	at   time.Time
	sure bool
}

// plausible tells whether a clock fits what the log was written by, oldest first. A step over clockJump is doubted, also after leaves that were written behind it, until somebody says that the clock is right or
// it goes back to where it was.
func plausible(log []stamp, now time.Time) error {
	if len(log) == 0 {
		return nil
	}
	believed := log[0].at
	var doubted time.Time // the clock's after a step
	for _, s := range append(log[1:], stamp{at: now}) {
		switch {
		case s.sure:
			believed, doubted = s.at, time.Time{}
		case s.at.After(believed.Add(clockJump)):
			doubted = s.at
		case s.at.After(believed):
			believed, doubted = s.at, time.Time{}
		case doubted.IsZero():
		case s.at.After(believed.Add(-clockBack)):
			doubted = time.Time{} // it was set right
		}
	}
	switch {
	case now.Before(believed.Add(-clockBack)):
		return fmt.Errorf("%w: it shows %s, and the newest that is known is of %s", ErrClock, now.UTC().Format(time.RFC3339), believed.UTC().Format(time.RFC3339))
	case !doubted.IsZero():
		return fmt.Errorf("%w: it shows %s, after %s nothing is known", ErrClock, now.UTC().Format(time.RFC3339), believed.UTC().Format(time.RFC3339))
	}
	return nil
}

// checkClock holds the clock against the evidence log; where there is none, against the newest recording.
func (c *Catalog) checkClock(now time.Time) error {
	leaves, err := evidence.Tail(c.dir)
	if err != nil && !errors.Is(err, evidence.ErrNoLog) {
		return err
	}
	var log []stamp
	for _, l := range leaves {
		log = append(log, stamp{l.Time, l.Type == evidence.LeafAct && l.Act == actClock})
	}
	if len(log) == 0 {
		if newest, ok := c.newest(); ok {
			log = append(log, stamp{at: newest})
		}
	}
	return plausible(log, now)
}

// newest gives when the newest recording began, by its name.
func (c *Catalog) newest() (time.Time, bool) {
	days, _ := c.days()
	for i := len(days) - 1; i >= 0; i-- {
		names, _ := c.recordings(days[i])
		for n := len(names) - 1; n >= 0; n-- {
			if started, _, ok := splitName(trimPartial(names[n])); ok {
				return started, true
			}
		}
	}
	return time.Time{}, false
}
