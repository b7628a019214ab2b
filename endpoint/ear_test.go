package endpoint

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// busy is an error that knows when to try again.
type busy struct{ at time.Time }

func (busy) Error() string      { return "busy" }
func (b busy) Again() time.Time { return b.at }

func TestSIPAccountIsAskedForWhenTheBudgetAllowsIt(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		err   error
		tries int
		want  time.Duration
	}{
		{errors.New("reset"), 0, time.Second},
		{errors.New("reset"), 99, time.Minute},
		{fmt.Errorf("login: %w", busy{now.Add(57 * time.Second)}), 1, 57 * time.Second},
		{busy{now.Add(4 * time.Second)}, 99, 4 * time.Second},
		{busy{now.Add(-time.Second)}, 9, time.Second},
		{busy{now.Add(time.Hour)}, 0, time.Minute},
	} {
		if got := infoWait(c.err, c.tries, now); got != c.want {
			t.Errorf("infoWait(%v, %d): %v, want %v", c.err, c.tries, got, c.want)
		}
	}
}
