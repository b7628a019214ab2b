package sip

import (
	"context"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// ackLife is how long the far side repeats a 2xx, in T1 (RFC 3261 section 13.3.1.4).
const ackLife = 64

// repeatACK acknowledges our last re-INVITE on f, if the flow that it left on is another and died: its 2xx or our ACK may be
// lost with it, and until it has an ACK the far side would refuse the next re-INVITE with 491 and repeat its 2xx where we are no
// more. An ACK to a 2xx that never was is passed over (RFC 3261 section 17), and all of ours carried their offer.
func (d *Dialog) repeatACK(f *flow) {
	if !d.own.granted || d.own.flow == f || time.Since(d.own.sent) > ackLife*d.a.cfg.tune.t1+d.a.cfg.tune.reinviteLimit {
		return
	}
	ack := d.inDialog(gosip.ACK, f, d.own.seq)
	d.a.address(f, ack, d.direct)
	_ = d.a.ua.TransportLayer().WriteMsg(ack)
}

// whileFlowLives cancels an INVITE that waits for its answer when the flow dies: nobody would hear it.
func (a *Account) whileFlowLives(ctx context.Context, stop context.CancelCauseFunc) {
	f := a.current()
	if f == nil {
		return
	}
	a.wg.Go(func() {
		select {
		case <-f.down:
			stop(errCancelled)
		case <-ctx.Done():
		}
	})
}
