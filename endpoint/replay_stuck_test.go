package endpoint

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// lagging is a sink's word of how far it is behind.
type lagging func() time.Duration

func (l lagging) Held() time.Duration { return l() }

func TestAReplayGivesUpWhereNobodyTakesAnything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		slow := lagging(func() time.Duration { return 10*time.Second - time.Since(began)/10 })
		if err := catchUp(t.Context(), slow, replayPatience); err != nil || time.Since(began) < 40*time.Second {
			t.Errorf("one that takes a tenth: %v after %v", err, time.Since(began))
		}
		began = time.Now()
		stuck := lagging(func() time.Duration { return replayBuffer })
		if err := catchUp(t.Context(), stuck, replayPatience); err == nil || time.Since(began) > replayPatience+time.Second {
			t.Errorf("one that takes nothing: %v after %v", err, time.Since(began))
		}
		limited, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		defer cancel()
		if err := catchUp(limited, stuck, 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a pipe that nobody reads yet: %v", err)
		}
	})
}
