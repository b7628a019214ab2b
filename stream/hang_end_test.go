package stream

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot/earshot/call"
)

// TestTheEndOfTheProcessWaitsForNoConnectionThatHangs: in a write, or after the call's end in its last words, which may begin just before.
func TestTheEndOfTheProcessWaitsForNoConnectionThatHangs(t *testing.T) {
	for name, room := range map[string]int{"in a write": 0, "in its last words": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dial := func(context.Context, *link) (session, error) {
					return &deaf{room: room, limit: defaultPace.write, shut: make(chan struct{})}, nil
				}
				h, sink, stop, ran := speaks(t, Consumer{}, time.Second, dial, Options{})
				sink.End(call.Cause{})
				synctest.Wait()
				began := time.Now()
				stop()
				<-ran
				if took := time.Since(began); took > 2*h.pace.hurry {
					t.Errorf("Run ended %v after its context, want %v at most", took, 2*h.pace.hurry)
				}
			})
		})
	}
}
