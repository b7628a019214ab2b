package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/earshot/earshot/console"
	"github.com/earshot/earshot/endpoint"
)

const (
	// giveWithin is how long a process that asked to take over may take to have all it needs.
	giveWithin = 2 * time.Minute
	// readyWithin is how long it may then take to work, before we do it again.
	readyWithin = time.Minute
	// freeEvery is how often it is told which calls we hold, if nothing tells us that they are others.
	freeEvery = 200 * time.Millisecond
	// backEvery is how often we try to have back what it holds.
	backEvery = time.Second
)

// HandOver leaves the daemon's work to another process; see console.Operator. Until that says that it works, all can be
// taken back.
func (d *daemon) HandOver(ctx context.Context, l *console.Link) {
	if !d.handing.CompareAndSwap(false, true) {
		_ = l.Send(console.Line{Type: console.LineNo, Why: "another process takes over already"})
		return
	}
	if o := d.ep.Status().Older; o != nil {
		what := fmt.Sprintf("has %d calls", len(o.Calls))
		if len(o.Calls) == 0 {
			what = "gives consumers what they missed"
		}
		_ = l.Send(console.Line{Type: console.LineNo, Why: fmt.Sprintf("process %d, whose work this one took over, still %s: wait for its end", o.PID, what)})
		d.handing.Store(false)
		return
	}
	err := l.Send(d.hello())
	if err == nil {
		limited, cancel := context.WithTimeout(ctx, giveWithin)
		_, err = l.Expect(limited, console.LineGive)
		cancel()
	}
	if err != nil { // it thought better of it, and we have not done anything yet
		d.log.Info("not taken over", "err", err)
		d.handing.Store(false)
		return
	}
	if err := d.give(ctx, l); err != nil {
		d.log.Error("the process that takes over failed: this one goes on", "err", err)
		_ = l.Send(console.Line{Type: console.LineNo, Why: "too late: this process works again"}) // it may be gone
		d.takeBack(ctx)
		d.handing.Store(false)
		return
	}
	d.ep.HandedOver()
	d.tell(ctx, l)
}

func (d *daemon) hello() console.Line {
	c := d.config.Config
	fit := d.ep.Fitness()
	h := console.Line{Type: console.LineHello, PID: os.Getpid(), Dir: c.Record.Dir, Registered: fit.Registered, Well: fit.Well}
	if abs, err := filepath.Abs(c.Record.Dir); err == nil {
		h.Dir = abs
	}
	if c.SIP.Transport == "udp" {
		h.UDP = c.SIP.Listen
	}
	return h
}

// give gives up all that two processes can't share, and waits until the other one works.
func (d *daemon) give(ctx context.Context, l *console.Link) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	if err := d.ep.GiveUp(ctx); err != nil {
		return err
	}
	if err := d.control.GiveUp(); err != nil {
		return err
	}
	if d.console != nil {
		if err := d.console.GiveUp(); err != nil {
			return err
		}
	}
	if err := l.Send(console.Line{Type: console.LineGiven, Calls: heldCalls(d.ep.Held())}); err != nil {
		return err
	}
	_, err := l.Expect(ctx, console.LineReady)
	return err
}

// takeBack works as before. Calls come first: that the other process still has the socket, say, must not keep them from being heard.
func (d *daemon) takeBack(ctx context.Context) {
	if err := d.ep.TakeBack(ctx); err != nil {
		d.log.Error("devices not registered again", "err", err)
	}
	tick := time.NewTicker(backEvery)
	defer tick.Stop()
	for told := false; ; told = true {
		err := errors.Join(d.ep.Claim(), d.control.TakeBack(), d.consoleBack())
		if err == nil {
			d.log.Info("all taken back")
			return
		}
		if !told {
			d.log.Error("not all could be taken back, tried again", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (d *daemon) consoleBack() error {
	if d.console == nil {
		return nil
	}
	return d.console.TakeBack()
}

// tell tells the process that works which calls we hold, each time they are others, until we end or it does.
func (d *daemon) tell(ctx context.Context, l *console.Link) {
	tick := time.NewTicker(freeEvery)
	defer tick.Stop()
	var told []console.HeldCall
	for first := true; ctx.Err() == nil; first = false {
		held := heldCalls(d.ep.Held())
		if first || !slices.EqualFunc(held, told, sameCall) {
			if err := l.Send(console.Line{Type: console.LineHeld, Calls: held}); err != nil {
				d.log.Warn("the process that took over is gone", "err", err, "hint", "start earshot again: this process ends with its last call")
				return
			}
			told = held
		}
		select {
		case <-ctx.Done():
		case <-d.ep.HeldChanged():
		case <-tick.C:
		}
	}
}

func heldCalls(in []endpoint.Held) []console.HeldCall {
	out := make([]console.HeldCall, len(in))
	for i, h := range in {
		out[i] = console.HeldCall{Call: h.Call, Sessions: h.Sessions, Dir: h.Dir}
	}
	return out
}

func sameCall(a, b console.HeldCall) bool {
	return a.Call == b.Call && a.Dir == b.Dir && slices.Equal(a.Sessions, b.Sessions)
}
