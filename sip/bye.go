package sip

import (
	"context"
	"sync"
	"time"

	"github.com/earshot/earshot/call"
	gosip "github.com/emiago/sipgo/sip"
)

// Bye ends the dialog: BYE on the present flow, and Leg.Ended with cause c. It returns when that is done, or with ctx's
// error; the dialog ends all the same. A dialog that is over gives an error.
func (d *Dialog) Bye(ctx context.Context, c call.Cause) error {
	select {
	case <-d.done:
		return errGone
	default:
	}
	b := &bye{cause: c, limit: time.Now().Add(d.a.cfg.tune.registerLimit)}
	if c.Code == call.CodeShutdown {
		b.limit = time.Now().Add(d.a.cfg.tune.unregLimit)
	}
	if at, ok := ctx.Deadline(); ok && at.Before(b.limit) {
		b.limit = at
	}
	select {
	case d.mail <- mail{kind: mailBye, bye: b}:
	case <-d.done:
		return errGone
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-d.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hangUp is a Bye of our own making.
func (d *Dialog) hangUp(c call.Cause) {
	d.wantBye(&bye{cause: c, limit: time.Now().Add(d.a.cfg.tune.unregLimit)})
}

// replacedBy ends the dialog that RFC 3891 says is replaced.
func (d *Dialog) replacedBy(by *Dialog) {
	b := &bye{cause: call.Cause{Code: call.CodeReplaced, Text: "by " + clean(by.key.callID, maxText)}}
	b.limit = time.Now().Add(d.a.cfg.tune.registerLimit)
	d.post(mail{kind: mailBye, bye: b})
}

func (d *Dialog) wantBye(b *bye) {
	d.byes = append(d.byes, b)
	if d.byeLimit.IsZero() || b.limit.Before(d.byeLimit) {
		d.byeLimit = b.limit
	}
	d.tryBye()
}

// tryBye sends our BYE as soon as it can arrive: not before the ACK (RFC 3261 section 15), and on a new flow not before
// the far side knows it.
func (d *Dialog) tryBye() {
	if len(d.byes) == 0 || d.byeSent || d.ended || d.ack != nil || d.own.busy {
		return
	}
	f := d.a.current()
	if f == nil {
		return
	}
	if f.identity() != d.route && d.own.again.IsZero() {
		d.reinvite(whyHeal)
		return
	}
	d.sendBye(f)
}

func (d *Dialog) sendBye(f *flow) {
	d.byeSent = true
	req := d.inDialog(gosip.BYE, f, d.nextSeq())
	if c := d.byes[0].cause; c.Code == call.CodeSessionExpired {
		req.AppendHeader(gosip.NewHeader("Reason", `SIP;cause=408;text="session expired"`))
	}
	d.authorize(req)
	ctx, limit := d.own.ctx, d.byeLimit
	d.a.wg.Go(func() {
		ctx, cancel := context.WithDeadline(ctx, limit)
		defer cancel()
		// Whatever the answer is, but a challenge of our registrar: the call is over for us.
		res, err := d.a.do(ctx, f, req, d.direct)
		d.deliver(mail{kind: mailResult, result: ownResult{bye: true, res: res, err: err}})
	})
}

// byeGivenUp ends the dialog although nobody answered our BYE, or none could be sent.
func (d *Dialog) byeGivenUp() {
	if f := d.a.current(); f != nil && !d.byeSent {
		req := d.inDialog(gosip.BYE, f, d.nextSeq())
		d.a.address(f, req, d.direct)
		_ = d.a.ua.TransportLayer().WriteMsg(req)
	}
	d.end(d.byes[0].cause)
}

// endAll says BYE to every dialog, at most so many at once, within one limit for all.
func (a *Account) endAll(c call.Cause) {
	ctx, cancel := context.WithTimeout(context.Background(), a.cfg.tune.byeLimit)
	defer cancel()
	var wg sync.WaitGroup
	slots := make(chan struct{}, maxByes)
	for _, d := range a.calls.all() {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			_ = d.Bye(ctx, c)
		})
	}
	wg.Wait()
	// Whoever is left gets a BYE whose answer is not waited for.
	for _, d := range a.calls.all() {
		d.deliver(mail{kind: mailBye, bye: &bye{cause: c, limit: time.Now()}})
	}
}

// maxByes at once at shutdown.
const maxByes = 50
