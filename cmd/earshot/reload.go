package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/earshot/earshot/cmd/earshot/internal/config"
	"github.com/earshot/earshot/console"
	"github.com/earshot/earshot/endpoint"
)

type reloadCmd struct {
	JSON bool `help:"as JSON"`
}

// unchanged is what became of a configuration with mistakes.
const unchanged = "nothing has changed: the daemon goes on with the configuration that it had"

// Run has the running daemon read its configuration again, and says what came of it.
func (r reloadCmd) Run(ctx context.Context, c *cli, p *process) error {
	cl, err := dial(ctx, c, p)
	if bad := (config.Errors)(nil); errors.As(err, &bad) { // so bad that not even the socket is sure
		return &usageError{err: err, hint: unchanged}
	}
	if err != nil {
		return err
	}
	defer cl.Close() //nolint:errcheck // idle connections only
	done, err := cl.Reload(ctx)
	if errors.Is(err, console.ErrBadConfig) {
		return &usageError{err: err, hint: unchanged}
	}
	if err != nil {
		return err
	}
	if r.JSON {
		return json.NewEncoder(p.out).Encode(done)
	}
	switch {
	case len(done.Applied)+len(done.Restart) == 0:
		fmt.Fprintln(p.out, "nothing has changed")
	case len(done.Applied) > 0:
		fmt.Fprintln(p.out, "at work:", strings.Join(done.Applied, ", "))
	}
	if len(done.Restart) > 0 {
		fmt.Fprintln(p.out, "not at work before a restart (earshot run --takeover):", strings.Join(done.Restart, ", "))
	}
	return nil
}

// liveKeys are the settings that take effect while calls live. One that ends in a dot is a whole section.
var liveKeys = []string{
	"supervise.agents", "supervise.groups", "supervise.directions", "supervise.queues", "supervise.numbers", "supervise.not_numbers",
	"supervise.priority", "supervise.share", "supervise.schedule", "supervise.internal", "supervise.hook.", "timezone", "log.level",
} //nolint:gochecknoglobals // constant

func isLive(key string) bool {
	if strings.HasPrefix(key, "stream[") { // of calls to come
		return true
	}
	return slices.ContainsFunc(liveKeys, func(k string) bool { return key == k || strings.HasSuffix(k, ".") && strings.HasPrefix(key, k) })
}

// reloads is what a daemon needs to read its configuration again.
type reloads struct {
	// Set by run, then constant.
	read  func() (*config.Loaded, error) // nil: there is nothing to be read
	level *slog.LevelVar
	start *config.Loaded // what works of the keys that need a restart

	// mu guards the field below, and lets one reload go on at a time.
	mu   sync.Mutex
	live *config.Loaded // what works of the others
}

// badConfig is the configuration's mistakes in the console's words.
type badConfig struct{ error }

func (badConfig) Is(target error) bool { return target == console.ErrBadConfig }

// Reload reads the configuration again and applies what can be; see console.Operator.
func (d *daemon) Reload(ctx context.Context) (console.Reloaded, error) {
	r := &d.reloads
	done := console.Reloaded{Applied: []string{}, Restart: []string{}}
	if r.read == nil {
		return done, errors.New("this daemon has no configuration that could be read again")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	l, err := r.read()
	if err != nil {
		return done, badConfig{err}
	}
	for _, w := range l.Warnings {
		d.log.Warn("configuration", "reason", w)
	}
	for _, key := range config.Differ(r.start, l) {
		if !isLive(key) {
			done.Restart = append(done.Restart, key)
		}
	}
	for _, key := range config.Differ(r.live, l) {
		if isLive(key) {
			done.Applied = append(done.Applied, key)
		}
	}
	if err := d.apply(l, &done); err != nil {
		return done, badConfig{err}
	}
	if len(done.Applied) > 0 {
		d.ep.Note(ctx, "policy", endpoint.About{Why: "at work: " + strings.Join(done.Applied, ", ")})
	}
	d.log.Info("configuration reloaded", "applied", done.Applied, "restart", done.Restart)
	return done, nil
}

// apply puts the live keys to work.
func (d *daemon) apply(l *config.Loaded, done *console.Reloaded) error {
	if len(done.Applied) == 0 {
		return nil
	}
	cfg := endpointConfig(l.Config, "", d.log)
	if n := len(endpointConfig(d.reloads.start.Config, "", d.log).Supervisors); len(cfg.Supervisors) != n {
		// Another number of logins: whom they hear has to wait for them.
		done.Restart = append(done.Restart, done.Applied...)
		done.Applied = []string{}
		return nil
	}
	if err := d.ep.Reload(cfg.Supervisors, cfg.Stream.Consumers); err != nil {
		return err
	}
	d.reloads.level.Set(logLevel(l.Config.Log))
	d.reloads.live = l
	return nil
}

// reloadOnSignal reloads on each SIGHUP, until ctx ends.
func (d *daemon) reloadOnSignal(ctx context.Context) error {
	hups := make(chan os.Signal, 1)
	signal.Notify(hups, syscall.SIGHUP)
	defer signal.Stop(hups)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hups:
			if _, err := d.Reload(ctx); err != nil {
				d.log.Error("configuration not reloaded: the one at work stays", "err", err)
			}
		}
	}
}
