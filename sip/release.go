package sip

import (
	"context"
	"time"
)

// parkedFor is how often a released registration wakes up, for nothing.
const parkedFor = 24 * time.Hour

// order is what a user of the account wants of its registrar loop.
type order struct {
	kind regKind
	done chan<- struct{} // closed when it is done, and to be seen in State
}

// Release leaves the registration to another process that has the same instance id: no REGISTER goes out any more, and none
// that un-registers, which would take away the other's binding (RFC 5626 section 5.1: one binding per instance and reg-id). The flow
// stays and is kept alive, and made anew if it dies, for the dialogs and what INVITEs still come on it. It returns when no
// REGISTER is under way, or with ctx's error.
func (a *Account) Release(ctx context.Context) error { return a.command(ctx, regRelease) }

// Resume takes a released registration up again: a REGISTER goes out at once. It returns before its answer.
func (a *Account) Resume(ctx context.Context) error { return a.command(ctx, regResume) }

// command hands an order to the registrar loop. For an account that has ended there is nothing to do.
func (a *Account) command(ctx context.Context, kind regKind) error {
	done := make(chan struct{})
	select {
	case a.orders <- order{kind, done}:
	case <-a.regDone:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-done:
	case <-a.regDone:
	}
	return nil
}

// obey tells who gave the newest order that it is done.
func (a *Account) obey() {
	if a.obeyed != nil {
		close(a.obeyed)
		a.obeyed = nil
	}
}

// release lets go of the registration. A flow that is up stays up; one that is not is dialled when its time has come.
func (r *registrar) release(ev regEvent) regAction {
	r.released = true
	if r.flowUp {
		return r.park(ev)
	}
	return r.wait()
}

// park keeps a flow without a registration. Nothing judges it but its pongs.
func (r *registrar) park(ev regEvent) regAction {
	r.status, r.code = regReleased, 0
	r.wake = ev.now.Add(parkedFor)
	return r.wait()
}

// resume registers again, with new patience.
func (r *registrar) resume(ev regEvent) regAction {
	if !r.released {
		return r.wait()
	}
	r.released, r.fails, r.rejects = false, 0, 0
	if r.flowUp {
		return r.register()
	}
	return r.dial()
}
