package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"

	"github.com/earshot/earshot/cmd/earshot/internal/config"
	"github.com/earshot/earshot/console"
	"github.com/earshot/earshot/endpoint"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/recorder/catalog"
	"github.com/earshot/earshot/recorder/evidence"
)

type runCmd struct {
	Takeover bool `help:"take over from the earshot that runs, in the middle of its calls; where none runs, just start"`
}

// freeListen is what to do when the console's address is another's.
const freeListen = "set console.listen to a free address, or to off"

// oneADir is what to do when another daemon works in the same folder.
const oneADir = "see `earshot status`; stop that one, take over from it with `earshot run --takeover`, or give this one a record.dir and a device of its own"

// Run is the daemon, until a signal.
func (r runCmd) Run(ctx context.Context, c *cli, p *process) error {
	l, err := c.load(p)
	if err != nil {
		return err
	}
	level := new(slog.LevelVar)
	level.Set(logLevel(l.Config.Log))
	log := newLogAt(level, l.Config.Log, p.err)
	again := func() (*config.Loaded, error) { return config.Load(c.input(p)) }
	var older *predecessor
	if r.Takeover {
		if older, err = findPredecessor(ctx, l.Config); err != nil {
			return err
		}
	}
	d, err := newDaemon(l, log, older != nil)
	if err != nil {
		return errors.Join(err, older.close())
	}
	d.systemd = notifier(p.env, os.Getpid(), log)
	d.reloads = reloads{read: again, level: level, start: l, live: l}
	if older != nil {
		return d.takeOver(ctx, older)
	}
	if err := d.open(); err != nil {
		return errors.Join(err, d.ep.Close())
	}
	d.greet()
	return d.run(ctx)
}

// openDaemon makes a daemon that has all it owns; nothing runs yet.
func openDaemon(l *config.Loaded, log *slog.Logger) (*daemon, error) {
	d, err := newDaemon(l, log, false)
	if err != nil {
		return nil, err
	}
	if err := d.open(); err != nil {
		return nil, errors.Join(err, d.ep.Close())
	}
	return d, nil
}

// greet says that the daemon works.
func (d *daemon) greet() {
	version, revision := buildVersion()
	d.log.Info("earshot started", "version", version, "revision", revision, "recordings", d.config.Config.Record.Dir, "console", d.consoleAddr())
}

// daemon is an endpoint with its console and control socket.
type daemon struct {
	log     *slog.Logger
	config  *config.Loaded // as it started
	ep      *endpoint.Endpoint
	catalog *catalog.DB
	feed    *console.Feed
	console *console.Server  // nil: none
	control *console.Control // nil: not yet
	systemd *systemd
	reloads reloads
	handing atomic.Bool // another process takes over, or tries to
	quit    context.CancelCauseFunc
}

// newDaemon makes the endpoint; nothing runs yet. On standby the folder is another daemon's still.
func newDaemon(l *config.Loaded, log *slog.Logger, standby bool) (*daemon, error) {
	c := l.Config
	instance, err := instanceID(c.Record.Dir)
	if err != nil {
		return nil, &hinted{fmt.Errorf("record.dir: %w", err), "name a folder that this user may write to"}
	}
	cfg := endpointConfig(c, instance, log)
	cfg.Standby = standby
	list, err := catalog.New(catalog.Config{Dir: c.Record.Dir, Log: log})
	if err != nil {
		return nil, err
	}
	cfg.Record.Changed = list.Changed
	feed := console.NewFeed()
	cfg.Told = feed.Publish
	ep, err := endpoint.New(cfg)
	if errors.Is(err, evidence.ErrNoKey) {
		return nil, &hinted{err, "record.key_file names the private key that signs: `openssl genpkey -algorithm ed25519 -out FILE` makes one; without the setting one is made beside the recordings (docs/keys.md)"}
	}
	if errors.Is(err, recorder.ErrInUse) {
		return nil, &hinted{err, oneADir}
	}
	if err != nil {
		return nil, err
	}
	return &daemon{log: log, config: l, ep: ep, catalog: list, feed: feed, systemd: &systemd{log: log}}, nil
}

// open takes the control socket and the console's port.
func (d *daemon) open() error {
	c := d.config.Config
	var err error
	d.control, err = console.NewControl(console.ControlConfig{Socket: c.SocketPath(), Backend: backend{d.ep, c.Record}, Operator: d, Log: d.log})
	if errors.Is(err, console.ErrRunning) {
		return &hinted{err, oneADir}
	}
	if err != nil || c.Console.Listen == "off" {
		return err
	}
	version, revision := buildVersion()
	d.console, err = console.New(console.Config{Listen: c.Console.Listen, Source: source{d.ep}, Version: version, Revision: revision, Log: d.log,
		Backend: backend{d.ep, c.Record}, Token: c.Console.Auth.Token, Feed: d.feed, CertFile: c.Console.TLS.CertFile, KeyFile: c.Console.TLS.KeyFile,
	})
	switch {
	case err == nil:
	case d.config.Source("console.listen") == "default":
		// Nobody asked for this port by name: a neighbour that has it must not keep calls from being recorded.
		d.log.Warn("console not served", "err", err, "hint", freeListen)
		d.console = nil
	default:
		return &hinted{errors.Join(fmt.Errorf("console.listen: %w", err), d.control.Close()), freeListen}
	}
	return nil
}

func (d *daemon) consoleAddr() string {
	if d.console == nil {
		return "off"
	}
	return d.console.Addr().String()
}

// run works until ctx ends, or the last call of a daemon that drains.
func (d *daemon) run(ctx context.Context) error {
	return d.work(ctx, func(ctx context.Context, also also) error { d.serve(ctx, also); return nil })
}

// also runs something beside the endpoint, until all is sealed.
type also func(name string, f func(context.Context) error)

// serve has console, control socket and signals answered, and systemd told, until all is sealed; working ends before.
func (d *daemon) serve(working context.Context, run also) {
	run("control socket", d.control.Run)
	if d.console != nil {
		run("console", d.console.Run)
	}
	run("reload on SIGHUP", d.reloadOnSignal)
	d.lives(run)
	run("systemd", func(ctx context.Context) error { return d.systemd.run(ctx, working, d.health) })
}

// work runs the endpoint until ctx ends, and what begin adds until the last recording is sealed. An error of begin ends all.
func (d *daemon) work(ctx context.Context, begin func(context.Context, also) error) error {
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	working, quit := context.WithCancelCause(ctx)
	defer quit(nil)
	d.quit = quit
	var wg sync.WaitGroup
	ended := make(chan error, 1)
	wg.Go(func() {
		err := d.ep.Run(working)
		quit(errEnded)
		ended <- err
	})
	err := begin(working, func(name string, f func(context.Context) error) {
		wg.Go(func() {
			if err := f(serving); err != nil {
				d.log.Error(name+" ended", "err", err)
			}
		})
	})
	if err != nil {
		quit(err)
	}
	err = errors.Join(err, <-ended)
	stop()
	wg.Wait()
	if why := context.Cause(working); errors.Is(why, errWithdrawn) {
		err = errors.Join(err, why)
	}
	d.log.Info("earshot stopped")
	return err
}

// errEnded is why nothing is waited for any more.
var errEnded = errors.New("the daemon has ended")
