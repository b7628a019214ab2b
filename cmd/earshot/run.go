package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/earshot/earshot/cmd/earshot/internal/config"
	"github.com/earshot/earshot/console"
	"github.com/earshot/earshot/endpoint"
	"github.com/earshot/earshot/recorder"
)

type runCmd struct{}

// oneADir is what to do when another daemon works in the same folder.
const oneADir = "see `earshot status`; stop that one, or give this one a record.dir and a device of its own"

// Run is the daemon, until a signal.
func (runCmd) Run(ctx context.Context, c *cli, p *process) error {
	l, err := c.load(p)
	if err != nil {
		return err
	}
	log := newLog(l.Config.Log, p.err)
	d, err := newDaemon(l, log)
	if err != nil {
		return err
	}
	version, revision := buildVersion()
	log.Info("earshot started", "version", version, "revision", revision, "recordings", l.Config.Record.Dir, "console", d.consoleAddr())
	return d.run(ctx)
}

// daemon is an endpoint with its console and control socket.
type daemon struct {
	log     *slog.Logger
	ep      *endpoint.Endpoint
	console *console.Server  // nil: none
	control *console.Control // nil: none
}

// newDaemon opens everything that a daemon owns; nothing runs yet.
func newDaemon(l *config.Loaded, log *slog.Logger) (*daemon, error) {
	c := l.Config
	instance, err := instanceID(c.Record.Dir)
	if err != nil {
		return nil, &hinted{fmt.Errorf("record.dir: %w", err), "name a folder that this user may write to"}
	}
	ep, err := endpoint.New(endpointConfig(c, instance, log))
	if errors.Is(err, recorder.ErrInUse) {
		return nil, &hinted{err, oneADir}
	}
	if err != nil {
		return nil, err
	}
	d := &daemon{log: log, ep: ep}
	if d.control, err = console.NewControl(console.ControlConfig{Socket: c.SocketPath(), Backend: backend{ep}, Log: log}); err != nil {
		err = errors.Join(err, ep.Close())
		if errors.Is(err, console.ErrRunning) {
			return nil, &hinted{err, oneADir}
		}
		return nil, err
	}
	if c.Console.Listen == "off" {
		return d, nil
	}
	version, revision := buildVersion()
	d.console, err = console.New(console.Config{Listen: c.Console.Listen, Source: source{ep}, Version: version, Revision: revision, Log: log})
	switch {
	case err == nil:
	case l.Source("console.listen") == "default":
		// Nobody asked for this port by name: a neighbour that has it must not keep calls from being recorded.
		log.Warn("console not served", "err", err, "hint", "set console.listen to a free address, or to off")
		d.console = nil
	default:
		return nil, errors.Join(fmt.Errorf("console.listen: %w", err), d.control.Close(), ep.Close())
	}
	return d, nil
}

func (d *daemon) consoleAddr() string {
	if d.console == nil {
		return "off"
	}
	return d.console.Addr().String()
}

// run works until ctx ends; console and control serve until the last recording is sealed.
func (d *daemon) run(ctx context.Context) error {
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	serve := func(name string, f func(context.Context) error) {
		wg.Go(func() {
			if err := f(serving); err != nil {
				d.log.Error(name+" ended", "err", err)
			}
		})
	}
	serve("control socket", d.control.Run)
	if d.console != nil {
		serve("console", d.console.Run)
	}
	err := d.ep.Run(ctx)
	stop()
	wg.Wait()
	d.log.Info("earshot stopped")
	return err
}
