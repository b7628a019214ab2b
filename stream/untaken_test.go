package stream

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot/earshot/call"
)

// breaks is a consumer whose connections take three messages each, and fail at the next.
type breaks struct {
	given atomic.Int64 // samples
}

type breaking struct {
	deaf
	of   *breaks
	left int
}

func (b *breaking) write(_ int64, octets []byte) error {
	if b.left--; b.left < 0 {
		return errLeft
	}
	b.of.given.Add(int64(len(octets) / 2))
	return nil
}

func (*breaking) finish(context.Context) error { return nil }

// TestWhatABrokenConnectionDidNotTakeIsTold: what a consumer got and what the call was told that it lost is the call, however often its connection breaks.
func TestWhatABrokenConnectionDidNotTakeIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b breaks
		var mu sync.Mutex
		lost := int64(0)
		dial := func(context.Context, *link) (session, error) {
			return &breaking{deaf{shut: make(chan struct{})}, &b, 3}, nil
		}
		h, sink, stop, ran := speaks(t, Consumer{}, time.Minute, dial, Options{Notify: func(e call.Event) {
			if e.Type == call.EventStreamDropped {
				mu.Lock()
				defer mu.Unlock()
				lost += e.Facts["samples"].(int64)
			}
		}})
		sink.End(call.Cause{})
		synctest.Wait()
		stop()
		<-ran
		mu.Lock()
		defer mu.Unlock()
		if got := b.given.Load(); got+lost != int64(time.Minute/sampleTime) || lost == 0 || h.Totals().DroppedSamples != lost {
			t.Errorf("given %d samples, told of %d as lost, and counted %d; want %d in all", got, lost, h.Totals().DroppedSamples, int64(time.Minute/sampleTime))
		}
	})
}
