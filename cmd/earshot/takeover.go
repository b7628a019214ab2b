package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"time"

	"github.com/earshot/earshot/cmd/earshot/internal/config"
	"github.com/earshot/earshot/console"
	"github.com/earshot/earshot/endpoint"
)

const (
	// helloWithin is how long the running process may take to say who it is.
	helloWithin = 10 * time.Second
	// warmWithin is how long logins, SIP accounts and the first look at the calls may take.
	warmWithin = time.Minute
	// givenWithin is how long the running process may take to give: it waits 10 s for INVITEs.
	givenWithin = 30 * time.Second
	// registeredWithin is how long the devices may take to be registered.
	registeredWithin = 30 * time.Second
)

// asBefore is what became of a take-over that failed.
const asBefore = "the earshot that runs goes on as before"

// errWithdrawn is why a process ends whose predecessor works again.
var errWithdrawn = errors.New("takeover: the process that ran before works again")

// predecessor is the process to take over from.
type predecessor struct {
	link *console.Link
	pid  int
	fit  endpoint.Fitness
	gone bool // it has ended
}

// close ends the link; a nil predecessor has none.
func (o *predecessor) close() error {
	if o == nil {
		return nil
	}
	return o.link.Close()
}

// findPredecessor asks the running process whether it can hand over; nil: none runs.
func findPredecessor(ctx context.Context, c config.Config) (*predecessor, error) {
	if runtime.GOOS != "linux" {
		return nil, &usageError{err: errors.New("run --takeover: only Linux keeps two processes from each other's recordings")}
	}
	cl, err := console.Dial(ctx, c.SocketPath())
	if none := (*console.NotRunningError)(nil); errors.As(err, &none) {
		return nil, nil //nolint:nilnil // none runs
	}
	if err != nil {
		return nil, err
	}
	link, err := cl.TakeOver(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, helloWithin)
	defer cancel()
	hello, err := link.Expect(ctx, console.LineHello)
	if err == nil {
		err = fits(hello, c)
	}
	if err != nil {
		return nil, &hinted{errors.Join(err, link.Close()), asBefore}
	}
	return &predecessor{link: link, pid: hello.PID, fit: endpoint.Fitness{Registered: hello.Registered, Well: hello.Well}}, nil
}

// fits tells what keeps two processes from living side by side.
func fits(hello console.Line, c config.Config) error {
	ours, err := os.Stat(c.Record.Dir)
	theirs, old := os.Stat(hello.Dir)
	if err != nil || old != nil || !os.SameFile(ours, theirs) {
		return fmt.Errorf("record.dir: process %d records to %s, this one would to %s: a call would have its parts in two folders", hello.PID, hello.Dir, c.Record.Dir)
	}
	if c.SIP.Transport != "udp" || c.SIP.Listen == "" || hello.UDP == "" {
		return nil
	}
	at, _ := netip.ParseAddrPort(c.SIP.Listen)
	if was, _ := netip.ParseAddrPort(hello.UDP); at.Port() != 0 && at.Port() == was.Port() {
		return fmt.Errorf("sip.listen: process %d needs %s for its calls until the last has ended: leave sip.listen empty, name another port, or `earshot drain` and start then",
			hello.PID, hello.UDP)
	}
	return nil
}

// takeOver works in the place of a process that ends with its last call.
func (d *daemon) takeOver(ctx context.Context, o *predecessor) error {
	err := d.work(ctx, func(ctx context.Context, also also) error {
		if err := d.begin(ctx, o, also); err != nil {
			return &hinted{err, asBefore}
		}
		return nil
	})
	// Last, when nothing of ours is left, registration, socket or lock: from here on the other may take all back.
	return errors.Join(err, o.close())
}

// begin prepares, has the other process give, and works.
func (d *daemon) begin(ctx context.Context, o *predecessor, also also) error {
	if err := within(ctx, warmWithin, o.fit, d.ep.Warm); err != nil {
		return err
	}
	held, err := o.give(ctx)
	if err != nil {
		return err
	}
	if err := d.open(); err != nil {
		return err
	}
	d.serve(ctx, also)
	if err := d.ep.TakeOver(o.pid, held); err != nil {
		return err
	}
	if err := within(ctx, registeredWithin, o.fit, d.ep.Registered); err != nil {
		return err
	}
	if !o.gone {
		o.gone = o.link.Send(console.Line{Type: console.LineReady}) != nil
	}
	d.ep.Settle()
	d.greet()
	if o.gone {
		d.ep.OlderGone()
		return nil
	}
	d.log.Info("taken over", "from", o.pid, "calls", len(held))
	also("older process", func(ctx context.Context) error { return d.follow(ctx, o) })
	return nil
}

func within(ctx context.Context, limit time.Duration, fit endpoint.Fitness, f func(context.Context, endpoint.Fitness) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return f(ctx, fit)
}

// give has the other process give, and tells what it keeps. One that ends meanwhile leaves all.
func (o *predecessor) give(ctx context.Context) ([]endpoint.Held, error) {
	if err := o.link.Send(console.Line{Type: console.LineGive}); err != nil {
		return nil, o.lost(ctx, err)
	}
	ctx, cancel := context.WithTimeout(ctx, givenWithin)
	defer cancel()
	line, err := o.link.Expect(ctx, console.LineGiven)
	if err != nil {
		return nil, o.lost(ctx, err)
	}
	return held(line), nil
}

// lost tells whether an error of the link is more than the end of the other process.
func (o *predecessor) lost(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, console.ErrRefused) {
		return err
	}
	o.gone, o.pid = true, 0
	return nil
}

// follow hears which calls the other process holds, until it has ended.
func (d *daemon) follow(ctx context.Context, o *predecessor) error {
	for {
		line, err := o.link.Receive(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			d.log.Info("the older process has ended", "pid", o.pid)
			d.ep.OlderGone()
			return nil
		case line.Type == console.LineHeld:
			d.ep.Older(o.pid, held(line))
		case line.Type == console.LineNo:
			d.quit(errWithdrawn)
			return fmt.Errorf("%w: %s", errWithdrawn, line.Why)
		}
	}
}

func held(line console.Line) []endpoint.Held {
	out := make([]endpoint.Held, len(line.Calls))
	for i, h := range line.Calls {
		out[i] = endpoint.Held{Call: h.Call, Sessions: h.Sessions, Dir: h.Dir}
	}
	return out
}
