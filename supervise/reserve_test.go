package supervise

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// afford gives the script's only login a budget, of which nothing frees for a minute.
func (s *script) afford(limit, left int) {
	free := s.now.Add(time.Minute)
	s.c.afford(s.now, []budget{{limit: limit, left: left, frees: [2]time.Time{free, free}, soonest: free}})
}

// TestACallIsNotAskedForByHalves: a budget with one request left would have one party heard, and the other a minute later.
func TestACallIsNotAskedForByHalves(t *testing.T) {
	s := newPool(t, ModeParty, []int{0}, []int{0})
	s.afford(50, 1)
	s.begin("1")
	s.want("wanted 1, wanted 1 c1, failed 1 no_capacity, short")
	if d := s.next.Sub(s.now); d != time.Minute {
		t.Errorf("next tick: got in %s, want when the budget frees", d)
	}
	s.afford(50, 2)
	s.want("ask 1 c1 @0, ask 1 a1 @0")
}

// TestLowerRanksLeaveTheHigherTheirRequests: a purse that others have emptied stays empty for a minute.
func TestLowerRanksLeaveTheHigherTheirRequests(t *testing.T) {
	s := newPool(t, ModeParty, []int{0}, []int{0})
	s.c.policy.Priority = []string{DirectionOutbound}
	limit, left := 10, 10
	ask := func(id, event string) (asked bool) {
		s.afford(limit, left)
		s.event(id, 2, "c"+id+" - Answered"+map[string]string{"": " out"}[event])
		s.event(id, 3, "a"+id+" 7 Answered"+event)
		s.c.tick(s.now, s.regs...)
		for _, a := range s.c.take() {
			if ask, ok := a.(actAsk); ok {
				left, asked = left-1, true
				s.c.asked(s.now, ask.session, ask.party, "o"+ask.party, outcomeDone, time.Time{}, nil)
			}
		}
		return asked
	}
	for i := range 5 {
		if got, want := ask(fmt.Sprint("low", i), ""), i < 4; got != want {
			t.Errorf("call %d of those that come last: asked %v, want %v: 20 %% of 10 requests are kept", i, got, want)
		}
	}
	if !ask("high", " out") {
		t.Error("a call that comes first is not asked for, with two requests left")
	}
	s.now = s.now.Add(reserveWindow)
	limit, left = 20, 16
	for i := range 3 {
		if !ask(fmt.Sprint("high", i), " out") {
			t.Errorf("call %d of those that come first: not asked for", i)
		}
	}
	for i, want := range []bool{true, true, true, true, false} {
		if got := ask(fmt.Sprint("later", i), ""); got != want {
			t.Errorf("call %d of those that come last: asked %v, want %v: of 130 %% of six requests the first had six", i, got, want)
		}
	}
}

func TestBudgetSaysWhenItFrees(t *testing.T) {
	l, now := newLimiter(), time.Now()
	for i := range 50 {
		if d := l.take(groupLight, shareAll, now.Add(time.Duration(i)*time.Second)); d != 0 {
			t.Fatalf("request %d has to wait %s", i, d)
		}
	}
	b := l.budget(groupLight, now.Add(50*time.Second))
	if b.limit != 50 || b.left != 0 || !b.frees[0].Equal(now.Add(time.Minute)) || !b.frees[1].Equal(now.Add(61*time.Second)) {
		t.Errorf("full purse: got %+v, want 50, 0, and one each second from the 60th on", b)
	}
	if b = l.budget(groupLight, now.Add(60*time.Second)); b.left != 1 || !b.frees[1].Equal(now.Add(61*time.Second)) {
		t.Errorf("a minute later: got %+v, want 1 left, and two in a second", b)
	}
}

// TestARequestCountsFromItsAnswerOn: the server counts it from its arrival, and one that was slow on its way would have the
// fifty-first of a minute answered with 429, which costs a minute without any.
func TestARequestCountsFromItsAnswerOn(t *testing.T) {
	l, now := newLimiter(), time.Unix(1000, 0)
	one := http.Header{"X-Rate-Limit-Group": {"light"}, "X-Rate-Limit-Limit": {"1"}, "X-Rate-Limit-Window": {"60"}}
	for what, answered := range map[string]func(at time.Time){
		"answered": func(at time.Time) { l.note(groupLight, 200, one, at) },
		"failed":   func(at time.Time) { l.failed(groupLight, at) },
	} {
		now = now.Add(time.Hour)
		l.note(groupLight, 200, one, now)
		if d := l.take(groupLight, shareAll, now); d != 0 {
			t.Fatalf("%s: the first waits %s", what, d)
		}
		answered(now.Add(5 * time.Second))
		if d := l.take(groupLight, shareAll, now.Add(time.Minute)); d != 5*time.Second {
			t.Errorf("%s: a minute after it left the next waits %s, want 5s", what, d)
		}
	}
}

// TestTheNewestOfEqualsIsAskedForFirst: where the pool is too small, the oldest would be joined when they are nearly over.
func TestTheNewestOfEqualsIsAskedForFirst(t *testing.T) {
	s := newPool(t, ModeSession, []int{0}, []int{0})
	for _, id := range []string{"1", "2", "3"} {
		s.afford(50, 0)
		s.begin(id)
		s.want(map[string]string{
			"1": "wanted 1, wanted 1 c1, failed 1 no_capacity, short", "2": "wanted 2, wanted 2 c2, failed 2 no_capacity",
			"3": "wanted 3, wanted 3 c3, failed 3 no_capacity",
		}[id])
		s.after(time.Second)
	}
	s.afford(50, 2)
	s.want("ask 3 @0, ask 2 @0")
}
