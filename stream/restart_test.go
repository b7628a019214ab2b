package stream

import (
	"testing"
	"time"
)

func TestRestartPolicy(t *testing.T) {
	type end struct {
		failed  bool
		ran     time.Duration
		wait    time.Duration
		again   bool
		givenUp bool
	}
	long := 2 * time.Minute
	for name, c := range map[string]struct {
		policy string
		most   int
		ends   []end
	}{
		"never":                    {RestartNever, 5, []end{{failed: true}}},
		"on failure, exit 0":       {RestartOnFailure, 5, []end{{}}},
		"on failure, exit 1":       {RestartOnFailure, 1, []end{{failed: true, wait: 500 * time.Millisecond, again: true}, {failed: true, givenUp: true}}},
		"always, exit 0":           {RestartAlways, 1, []end{{wait: 500 * time.Millisecond, again: true}, {givenUp: true}}},
		"none left from the start": {RestartAlways, 0, []end{{givenUp: true}}},
		"a steady one begins anew": {RestartAlways, 1, []end{{wait: 500 * time.Millisecond, again: true}, {ran: long, wait: 500 * time.Millisecond, again: true}}},
		"back-off doubles to 30 s": {RestartAlways, 9, []end{
			{wait: 500 * time.Millisecond, again: true}, {wait: time.Second, again: true}, {wait: 2 * time.Second, again: true},
			{wait: 4 * time.Second, again: true}, {wait: 8 * time.Second, again: true}, {wait: 16 * time.Second, again: true},
			{wait: 30 * time.Second, again: true}, {wait: 30 * time.Second, again: true},
		}},
	} {
		r := restarts{policy: c.policy, most: c.most, pace: defaultPace}
		for i, e := range c.ends {
			wait, again, givenUp := r.next(e.failed, e.ran)
			if wait != e.wait || again != e.again || givenUp != e.givenUp {
				t.Errorf("%s, end %d: got %v %v %v, want %+v", name, i, wait, again, givenUp, e)
			}
		}
	}
}
