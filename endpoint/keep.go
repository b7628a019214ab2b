package endpoint

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshot/earshot/internal/attr"
	"github.com/earshot/earshot/internal/outbox"
	"github.com/earshot/earshot/internal/webhook"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/recorder/vault"
)

// The events that services are told of.
const (
	EventSealed      = "recording.sealed"  // a recording is finished, on this machine's disk
	EventVaulted     = "recording.vaulted" // it is whole in the vault, and verified
	EventFailed      = "recording.failed"  // it can't go there: it is not as it was sealed, or gone
	EventVaultFailed = "vault.failed"      // the vault takes nothing
)

// Events are all that a webhook may ask for.
func Events() []string { return []string{EventSealed, EventVaulted, EventFailed, EventVaultFailed} }

// keeper does what comes after a recording is sealed: it goes to the vault, and services are told.
type keeper struct {
	// Set by newKeeper, then constant.
	dir   string
	log   *slog.Logger
	vault *vault.Vault   // nil: none
	hooks *webhook.Hooks // nil: none
	told  *outbox.Ledger // what services were told of; nil: no hooks
	// keepLocal is how long audio stays here that the vault has; nil: for ever.
	keepLocal *vault.Period

	sealed chan recorder.Result
	again  atomic.Bool // folders must be compared with what was told
}

const (
	// sealedLength bounds the recordings that wait to be told; beyond, the folders are compared.
	sealedLength = 4096
	// tellAgain is how long that waits.
	tellAgain = time.Minute
	// tellDays is how many days back a recording that was not told of is looked for.
	tellDays = 7
	// sinceName marks since when services are told.
	sinceName = "since"
)

// newKeeper opens vault and hooks. nil: neither is configured, or nothing is recorded.
func newKeeper(cfg Config) (*keeper, error) {
	if cfg.Record == nil || cfg.Vault == nil && len(cfg.Webhooks) == 0 {
		return nil, nil //nolint:nilnil // there is nothing to keep
	}
	k := &keeper{dir: cfg.Record.Dir, log: cfg.Log, sealed: make(chan recorder.Result, sealedLength)}
	if err := k.openHooks(cfg.Webhooks, cfg.Agent); err != nil {
		return nil, err
	}
	if cfg.Vault == nil {
		return k, nil
	}
	c := *cfg.Vault
	k.keepLocal = c.KeepLocal
	c.Dir, c.Log, c.Vaulted, c.Failed = k.dir, cfg.Log, k.vaulted, k.failed
	var err error
	if k.vault, err = vault.New(c); err != nil {
		return nil, errors.Join(err, k.close())
	}
	return k, nil
}

func (k *keeper) openHooks(hooks []Webhook, agent string) (err error) {
	if len(hooks) == 0 {
		return nil
	}
	c := webhook.Config{Dir: filepath.Join(k.dir, "webhooks"), Hooks: hooks, Agent: cmp.Or(agent, "earshot"), Log: k.log}
	if k.hooks, err = webhook.New(c); err != nil {
		return err
	}
	if k.told, err = outbox.OpenLedger(filepath.Join(c.Dir, "told")); err != nil {
		return errors.Join(fmt.Errorf("webhooks: %w", err), k.hooks.Close())
	}
	k.again.Store(true)
	return nil
}

// close gives back what newKeeper opened; nil has nothing.
func (k *keeper) close() error {
	if k == nil {
		return nil
	}
	var errs error
	if k.vault != nil {
		errs = k.vault.Close()
	}
	if k.hooks != nil {
		errs = errors.Join(errs, k.hooks.Close(), k.told.Close())
	}
	return errs
}

// moving says which recordings' audio leaves this disk; false: none does.
func (k *keeper) moving() (recorder.MoveConfig, bool) {
	if k == nil || k.vault == nil || k.keepLocal == nil {
		return recorder.MoveConfig{}, false
	}
	return recorder.MoveConfig{Vault: k.vault, Leaves: k.keepLocal.After}, true
}

// take takes a recording that was sealed; it never waits.
func (k *keeper) take(res recorder.Result) {
	if k.vault != nil {
		k.vault.Sealed(res)
	}
	if k.hooks == nil {
		return
	}
	select {
	case k.sealed <- res:
	default:
		k.again.Store(true)
	}
}

// run works until ctx ends, which is after the last recording was sealed.
func (k *keeper) run(ctx context.Context) {
	var wg sync.WaitGroup
	start := func(name string, f func(context.Context) error) {
		wg.Go(func() {
			if err := f(ctx); err != nil {
				k.log.Error(name+" ended", attr.Err(err))
			}
		})
	}
	if k.vault != nil {
		start("vault", k.vault.Run)
	}
	if k.hooks != nil {
		start("webhooks", k.hooks.Run)
		start("webhooks", k.tellAll)
	}
	wg.Wait()
	if err := k.close(); err != nil {
		k.log.Error("vault not closed", attr.Err(err))
	}
}

// startKeeping starts it; the function given back ends it, when the last recording is sealed, and waits for that.
func (e *Endpoint) startKeeping(ctx context.Context) (stop func()) {
	if e.keep == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	wg.Go(func() { e.keep.run(ctx) })
	return func() {
		cancel()
		wg.Wait()
	}
}

// vaultedData is what services are told of a recording in the vault.
type vaultedData struct {
	Folder   string     `json:"folder"`
	Call     string     `json:"call"`
	Part     int        `json:"part"`
	Bucket   string     `json:"bucket"`
	Prefix   string     `json:"prefix"`
	Bytes    int64      `json:"bytes"`
	Until    *time.Time `json:"locked_until,omitempty"`
	Manifest string     `json:"manifest_sha256"`
}

func (k *keeper) vaulted(v vault.Vaulted) {
	d := vaultedData{Folder: v.Folder, Call: v.Call, Part: v.Part, Bucket: v.Bucket, Prefix: v.Prefix, Bytes: v.Bytes, Manifest: v.Manifest}
	if !v.Until.IsZero() {
		d.Until = &v.Until
	}
	// By the recording, not by now: told again after a crash it is the same message.
	at, _ := time.Parse(outbox.Stamp, path.Base(v.Folder)[:len(outbox.Stamp)])
	k.tell(EventVaulted, at, v.Folder+"\x00"+v.Manifest, d)
}

// failedData is what services are told of a failure. The text stays here: it may name addresses.
type failedData struct {
	Folder string `json:"folder,omitempty"`
	Call   string `json:"call,omitempty"`
	Cause  string `json:"cause"`
	Hint   string `json:"hint"`
}

func (k *keeper) failed(f vault.Failure) {
	kind, at := EventVaultFailed, time.Now()
	if f.Folder != "" {
		kind = EventFailed
		at, _ = time.Parse(outbox.Stamp, path.Base(f.Folder)[:len(outbox.Stamp)])
	}
	k.tell(kind, at, f.Folder+"\x00"+string(f.Cause), failedData{f.Folder, f.Call, string(f.Cause), f.Hint})
}

func (k *keeper) tell(kind string, at time.Time, what string, data any) {
	if k.hooks == nil {
		return
	}
	if err := k.hooks.Tell(kind, at, what, data); err != nil {
		k.log.Error("services not told", slog.String("event", kind), attr.Err(err))
	}
}

// Vault is where recordings go; nil: none is configured. Its Erase takes one out.
func (e *Endpoint) Vault() *vault.Vault {
	if e.keep == nil {
		return nil
	}
	return e.keep.vault
}

// status tells how that goes.
func (k *keeper) status(s *Status) {
	if k == nil {
		return
	}
	if k.vault != nil {
		v := k.vault.Status()
		s.Vault = &v
	}
	if k.hooks != nil {
		s.Webhooks = k.hooks.Status()
	}
}
