package stream

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot/earshot/call"
)

// crawler takes a message each four seconds, which no write's limit minds, and after so many breaks; 0: never.
type crawler struct {
	deaf
	takes int
}

func (c *crawler) write(int64, []byte) error {
	t := time.NewTimer(4 * time.Second)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.shut:
		return errLeft
	}
	if c.takes--; c.takes == 0 {
		return errLeft
	}
	return nil
}

// TestACallsEndIsOverForASlowConsumerTooAfterAWhile: ten minutes, as the docs say, and the seconds that everything has to end in. Who drains the process waits for it.
func TestACallsEndIsOverForASlowConsumerTooAfterAWhile(t *testing.T) {
	fine := 20 * time.Millisecond
	for name, c := range map[string]struct {
		Consumer
		takes int // of the first connection; the others fail
	}{
		"live":                     {Consumer: Consumer{Buffer: time.Minute, Message: fine}},
		"catching up":              {Consumer: Consumer{CatchUp: true, Message: fine}},
		"breaks at the end of it":  {Consumer: Consumer{CatchUp: true}, takes: 164},
		"breaks, and is there yet": {Consumer: Consumer{Buffer: time.Minute, Message: fine}, takes: 160},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var dials atomic.Int64
				h, sink, stop, ran := speaks(t, c.Consumer, 70*time.Second, func(context.Context, *link) (session, error) {
					if dials.Add(1) > 1 && c.CatchUp {
						return nil, errLeft
					}
					return &crawler{deaf{shut: make(chan struct{})}, c.takes}, nil
				}, Options{Archive: quietArchive{}})
				sink.End(call.Cause{})
				ended := time.Now()
				for len(h.Live()) > 0 && time.Since(ended) < time.Hour {
					time.Sleep(time.Second)
				}
				if d := time.Since(ended); d < time.Minute || d > catchUpWithin+time.Minute { // its grace here, and the longest wait before it is dialled again
					t.Errorf("its consumer had %v", d)
				}
				stop()
				<-ran
			})
		})
	}
}
