package endpoint

import (
	"context"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/attr"
)

const (
	// desertedAfter is how long nothing must have come on a leg of a call that RingCentral shows no more, before it is ended.
	desertedAfter = 5 * time.Second
	// desertedBye bounds how long an answer to our BYE is waited for: nobody may be there.
	desertedBye = 2 * time.Second
)

// endDeserted ends the legs whose BYE was lost. RingCentral sends one once, on the flow that there is: while that is cut it is
// lost for good, and RingCentral's session timer runs for four hours.
func (c *Call) endDeserted(ctx context.Context) {
	if c.mode == "" || c.shown() {
		return
	}
	c.mu.Lock()
	legs := append([]*leg(nil), c.legs...)
	c.mu.Unlock()
	for _, l := range legs {
		if l.Silence() < desertedAfter {
			continue
		}
		c.e.log.Info("leg deserted", attr.Call(c.id), attr.Leg(l.id))
		ctx, cancel := context.WithTimeout(ctx, desertedBye)
		_ = l.bye(ctx, call.Cause{Code: call.CodeHangup, Text: "RingCentral shows the call no more, and nothing comes: its BYE was lost"}) // it ends in any case
		cancel()
	}
}

// overtaken is the cause of a leg's end. Who hangs up while our 200 is on its way may never acknowledge it: then the call ended,
// and no ACK was lost.
func overtaken(c call.Cause, shown bool) call.Cause {
	if c.Code != call.CodeNoACK || shown {
		return c
	}
	return call.Cause{Code: call.CodeHangup, Text: "RingCentral shows the call no more: it ended while our answer was on its way"}
}
