package main

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/earshot/earshot/console"
)

type drainCmd struct {
	Wait bool `help:"return when the daemon has ended"`
}

// Run has the running daemon end with its last call.
func (d drainCmd) Run(ctx context.Context, c *cli, p *process) error {
	cl, err := dial(ctx, c, p)
	if err != nil {
		return err
	}
	defer cl.Close() //nolint:errcheck // idle connections only
	var left console.Draining
	err = cl.Drain(ctx, d.Wait, func(l console.Draining) {
		left = l
		fmt.Fprintf(p.out, "process %d takes no new calls; %d to end\n", l.PID, l.Calls)
	})
	if err != nil || !d.Wait {
		return err
	}
	awaitExit(ctx, left.PID)
	fmt.Fprintln(p.out, "ended, every recording is sealed")
	return nil
}

// exitWithin is how long a process that has sealed all may take to be gone.
const exitWithin = 5 * time.Second

// awaitExit waits until a process is gone that has said that it ends.
func awaitExit(ctx context.Context, pid int) {
	p, err := os.FindProcess(pid)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, exitWithin)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for p.Signal(syscall.Signal(0)) == nil {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Drain takes no new calls from now on; see console.Operator.
func (d *daemon) Drain() console.Draining {
	d.ep.Drain()
	_, calls := d.ep.Draining()
	return console.Draining{PID: os.Getpid(), Calls: calls}
}
