package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/earshot/earshot/internal/attr"
	"github.com/earshot/earshot/internal/outbox"
	"github.com/earshot/earshot/recorder"
)

const (
	// sealedLength bounds the names that wait to be queued. Beyond, and where the queue can't be written, the folders are compared again.
	sealedLength = 4096
	// compareAgain is how long that waits.
	compareAgain = time.Minute
	// queueDir and doneDir lie in DIR/vault.
	queueDir = "queue"
	doneDir  = "done"
)

// Vault brings sealed recordings to an S3 server. Its methods are safe for concurrent use.
type Vault struct {
	// Set by New, then constant.
	cfg      Config
	log      *slog.Logger
	s3       *minio.Core
	clock    *clock
	throttle *throttle
	box      *outbox.Box
	done     *outbox.Ledger

	sealed chan string // names of folders
	again  atomic.Bool // the folders must be compared
	count  counters

	// mu guards the fields below.
	mu      sync.Mutex
	work    map[string]*upload // under way, by name
	erasing map[string]bool
	trouble Cause // what keeps everything out; empty: nothing
	text    string
	since   time.Time
}

// upload is one that is under way.
type upload struct {
	cancel context.CancelCauseFunc
	ended  chan struct{}
}

// New checks the settings and opens the queue. It does not ask the server: a vault that can't be reached must not keep calls from being recorded.
func New(cfg Config) (*Vault, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s3, clock, err := newClient(cfg)
	if err != nil {
		return nil, err
	}
	v := &Vault{
		cfg: cfg, log: cfg.Log, s3: s3, clock: clock, throttle: &throttle{bytesPerSecond: cfg.BytesPerSecond},
		sealed: make(chan string, sealedLength), work: map[string]*upload{}, erasing: map[string]bool{},
	}
	dir := filepath.Join(cfg.Dir, "vault")
	v.box, err = outbox.New(outbox.Config{
		Dir: filepath.Join(dir, queueDir), Workers: cfg.Workers, Log: cfg.Log,
		Retry: cfg.limits.retry, Down: cfg.limits.retry, RetryMax: 30 * cfg.limits.retry, DownMax: 30 * cfg.limits.retry,
	})
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	if v.done, err = outbox.OpenLedger(filepath.Join(dir, doneDir)); err != nil {
		return nil, errors.Join(fmt.Errorf("vault: %w", err), v.box.Close())
	}
	v.again.Store(true)
	return v, nil
}

// Close gives back what New opened, after Run has ended; until then Sealed and Erase work.
func (v *Vault) Close() error {
	v.clock.close()
	return errors.Join(v.box.Close(), v.done.Close())
}

// queued is an item's body.
type queued struct {
	Call string `json:"call"`
}

func callOf(it outbox.Item) string {
	var q queued
	_ = json.Unmarshal(it.Body, &q) // without it the call's id is not told
	return q.Call
}

// Sealed takes a recording that was sealed; it is what recorder.Config.Sealed calls, and never waits.
func (v *Vault) Sealed(res recorder.Result) {
	select {
	case v.sealed <- filepath.Base(res.Dir):
	default:
		v.again.Store(true)
	}
}

// Run uploads until ctx ends. What was sealed before that is in the queue when it returns.
func (v *Vault) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { v.fill(ctx) })
	err := v.box.Run(ctx, v.deliver)
	wg.Wait()
	return err
}

// fill puts what is sealed into the queue, and compares the folders with it: at the start, and where something may be missing.
func (v *Vault) fill(ctx context.Context) {
	retry := time.NewTimer(0)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			for len(v.sealed) > 0 {
				v.enqueue(<-v.sealed)
			}
			return
		case name := <-v.sealed:
			v.enqueue(name)
			continue
		case <-retry.C:
		}
		if v.again.CompareAndSwap(true, false) {
			if err := v.compare(ctx); err != nil && ctx.Err() == nil {
				v.log.Error("recordings not compared with the vault's queue", attr.Err(err))
				v.again.Store(true)
			}
		}
		retry.Reset(compareAgain)
	}
}

func (v *Vault) enqueue(name string) {
	if !folderName.MatchString(name) {
		return
	}
	v.mu.Lock()
	gone := v.erasing[name]
	v.mu.Unlock()
	if gone {
		return
	}
	_, id, _ := cutName(name)
	body, err := json.Marshal(queued{Call: id})
	if err == nil {
		_, err = v.box.Put(name, body)
	}
	if err != nil {
		v.log.Error("recording not queued for the vault, tried again", slog.String("folder", name), attr.Err(err))
		v.again.Store(true)
	}
}

// deliver brings one recording to the vault.
func (v *Vault) deliver(ctx context.Context, it outbox.Item) outbox.Verdict {
	ctx, end, ok := v.begin(ctx, it.Key)
	if !ok {
		return outbox.Verdict{} // it is being erased
	}
	defer end()
	last, err := v.last(it.Key)
	switch {
	case err != nil:
		return v.fail(ctx, it, trouble(CauseLocal, "%w", err))
	case last.Erased != nil:
		return outbox.Verdict{}
	case last.Vaulted != nil && v.covers(it.Key, last): // a crash came before the item was taken away
		v.tell(last)
		return outbox.Verdict{}
	}
	rec, err := v.load(it.Key)
	if err != nil && !v.here(it.Key) && v.decided(it.Key) {
		return outbox.Verdict{} // it was erased, and we are not asked for our copy yet
	}
	if err != nil {
		return v.fail(ctx, it, err)
	}
	defer rec.close()
	done, err := v.bring(ctx, rec)
	if errors.Is(context.Cause(ctx), errErased) {
		return outbox.Verdict{}
	}
	if err != nil {
		return v.fail(ctx, it, err)
	}
	v.works()
	if err := v.done.Add(dayOf(it.Key), done); err != nil {
		return v.fail(ctx, it, trouble(CauseLocal, "vaulted, and not noted: %w", err))
	}
	v.count.vaulted.Add(1)
	v.log.Info("recording vaulted", attr.Call(rec.manifest.Call.ID), slog.String("folder", it.Key), slog.String("bucket", v.cfg.Bucket))
	v.tell(done)
	return outbox.Verdict{}
}

// covers tells whether a recording has no file here that was not brought with it: its transcript comes after its seal, and may come after its upload.
func (v *Vault) covers(name string, last entry) bool {
	rec, err := v.load(name)
	if err != nil {
		return true // there is nothing to bring
	}
	defer rec.close()
	for _, p := range rec.files {
		if !slices.ContainsFunc(last.Objects, func(o Object) bool { return path.Base(o.Key) == p.name }) {
			return len(last.Objects) == 0 // noted before objects were
		}
	}
	return true
}

// tell tells that a recording is in the vault.
func (v *Vault) tell(e entry) {
	if v.cfg.Vaulted == nil {
		return
	}
	out := Vaulted{Folder: e.Folder, Call: e.Call, Part: e.Part, Bucket: e.Bucket, Prefix: e.Prefix, Manifest: e.Manifest, Bytes: e.Bytes}
	if e.Until != nil {
		out.Until = *e.Until
	}
	v.cfg.Vaulted(out)
}

// errErased ends the upload of a recording that is to be gone.
var errErased = errors.New("vault: the recording is erased")

// begin takes a name for an upload; false: it is being erased.
func (v *Vault) begin(ctx context.Context, name string) (context.Context, func(), bool) {
	ctx, cancel := context.WithCancelCause(ctx)
	u := &upload{cancel, make(chan struct{})}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.erasing[name] {
		cancel(errErased)
		return ctx, nil, false
	}
	v.work[name] = u
	return ctx, func() {
		v.mu.Lock()
		delete(v.work, name)
		v.mu.Unlock()
		close(u.ended)
		cancel(nil)
	}, true
}
