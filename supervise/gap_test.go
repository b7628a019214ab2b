package supervise

import (
	"fmt"
	"testing"
	"time"
)

// looks ticks and counts the looks that are wanted because of lost events.
func (s *script) looks() (n int) {
	s.next = s.c.tick(s.now, s.reg)
	for _, a := range s.c.take() {
		if _, ok := a.(actLost); ok {
			n++
		}
	}
	return n
}

func TestEventThatStaysAwayHasPresenceLookedAt(t *testing.T) {
	s := newFed(t, ModeParty, true)
	s.event("s1", 2, "c1 - Setup")
	s.event("s1", 4, "a1 7 Proceeding")
	if n := s.looks(); n != 0 {
		t.Errorf("%d looks at once, want none: it may be overtaken", n)
	}
	s.event("s1", 3, "c1 - Proceeding")
	s.after(gapWait)
	if n := s.looks(); n != 0 {
		t.Errorf("%d looks although it came, want none", n)
	}
	s.event("s1", 6, "a1 7 Disconnected")
	s.looks()
	if d := s.next.Sub(s.now); d != gapWait {
		t.Errorf("next tick in %s, want in %s", d, gapWait)
	}
	s.after(gapWait)
	if n := s.looks(); n != 1 {
		t.Errorf("%d looks, want one", n)
	}
	s.after(time.Hour)
	if n := s.looks(); n != 0 {
		t.Errorf("%d looks for the same event, want none", n)
	}
}

// TestLooksForLostEventsGrowRareWhereTheyFindNothing: nobody knows whether RingCentral uses each number.
func TestLooksForLostEventsGrowRareWhereTheyFindNothing(t *testing.T) {
	count := func(finding bool) (n int) {
		s := newFed(t, ModeParty, true)
		for i := range 600 {
			id := fmt.Sprint("s", i)
			s.event(id, 2, "c"+id+" - Setup")
			s.event(id, 5, "c"+id+" - Proceeding")
			s.after(time.Second)
			if got := s.looks(); got > 0 {
				n += got
				s.c.losses.at = s.now
				if finding {
					s.look(fmt.Sprintf("x%d a%d", i, i))
				}
			}
		}
		return n
	}
	if n := count(false); n < 4 || n > 8 {
		t.Errorf("ten minutes of gaps and nothing found: %d looks, want some 6", n)
	}
	if n := count(true); n < 35 || n > 41 {
		t.Errorf("ten minutes of gaps and a call found each time: %d looks, want one each 15 s", n)
	}
}

func TestGapsOfAnAgentsOwnFeedAreNoLoss(t *testing.T) {
	s := newFed(t, ModeParty, false)
	s.event("s1", 3, "a1 7 Proceeding")
	s.event("s1", 7, "a1 7 Disconnected")
	s.after(time.Minute)
	if n := s.looks(); n != 0 {
		t.Errorf("%d looks, want none: the other parties' numbers are not told", n)
	}
}
