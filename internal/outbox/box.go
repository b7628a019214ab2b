package outbox

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/earshot/earshot/internal/attr"
)

const (
	fileMode = 0o600
	dirMode  = 0o700
	// tempPrefix begins the name of a file that is being written.
	tempPrefix = ".tmp-"
	// tempAge is when such a file is nobody's any more.
	tempAge = time.Hour
	// maxKey keeps names below what file systems take.
	maxKey = 200
	// maxBody bounds an item.
	maxBody = 64 << 10
)

// Config holds a box's settings.
type Config struct {
	// Dir is the box's folder; made if missing. Required.
	Dir string
	// Workers deliver at the same time; default 1, at most 64.
	Workers int
	// Retry is how long an item that failed waits first, doubled each time up to RetryMax; default 10 s and 15 min.
	Retry, RetryMax time.Duration
	// Schedule, where set, are the waits between an item's tries instead; the last one holds for all later ones.
	Schedule []time.Duration
	// Down is how long nothing is tried after the other side was not there, doubled each time up to DownMax; default 1 s and 5 min.
	Down, DownMax time.Duration
	// Log takes what goes wrong with the files; nil discards.
	Log *slog.Logger
}

func (c *Config) check() error {
	if c.Dir == "" {
		return errors.New("outbox: dir: empty, want a directory")
	}
	if c.Workers == 0 {
		c.Workers = 1
	}
	if c.Workers < 1 || c.Workers > 64 {
		return fmt.Errorf("outbox: workers: got %d, want 1 to 64", c.Workers)
	}
	for _, d := range []struct {
		at    *time.Duration
		usual time.Duration
	}{{&c.Retry, 10 * time.Second}, {&c.RetryMax, 15 * time.Minute}, {&c.Down, time.Second}, {&c.DownMax, 5 * time.Minute}} {
		if *d.at == 0 {
			*d.at = d.usual
		}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Item is something owed.
type Item struct {
	Key    string
	Queued time.Time // when it was put
	Tries  int       // that failed
	Body   []byte
}

// stored is an item's file.
type stored struct {
	Queued time.Time       `json:"queued"`
	Tries  int             `json:"tries"`
	Body   json.RawMessage `json:"body"`
}

// Box is a queue in a folder. Its methods are safe for concurrent use.
type Box struct {
	// Set by New, then constant.
	cfg  Config
	root *os.Root
	log  *slog.Logger

	wake chan struct{} // size 1

	// files is held while files are made or taken away, and while the folder is looked through. Lock order: files, then mu.
	files sync.Mutex

	// mu guards the fields below.
	mu     sync.Mutex
	state  sched
	closed bool
}

// New makes the folder. Nothing runs yet.
func New(cfg Config) (*Box, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Dir, dirMode); err != nil {
		return nil, fmt.Errorf("outbox: %w", err)
	}
	root, err := os.OpenRoot(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("outbox: %w", err)
	}
	return &Box{cfg: cfg, root: root, log: cfg.Log, wake: make(chan struct{}, 1), state: sched{more: true}}, nil
}

// Close gives the folder back, after Run has ended: until then, and between, Put works. It is safe twice.
func (b *Box) Close() error {
	b.mu.Lock()
	was := b.closed
	b.closed = true
	b.mu.Unlock()
	if was {
		return nil
	}
	return b.root.Close()
}

func checkKey(key string) error {
	if key == "" || len(key) > maxKey || strings.HasPrefix(key, ".") || strings.ContainsAny(key, "/\\\x00") {
		return fmt.Errorf("outbox: key %.40q: want a plain file name of at most %d octets", key, maxKey)
	}
	return nil
}

// Put adds an item, durably, unless one of its key is there; body is JSON. It writes to the disk, so it may be held up by it.
func (b *Box) Put(key string, body []byte) (added bool, err error) {
	if err := checkKey(key); err != nil {
		return false, err
	}
	if len(body) > maxBody {
		return false, fmt.Errorf("outbox: %s: %d octets, want at most %d", key, len(body), maxBody)
	}
	now := time.Now()
	b.files.Lock()
	defer b.files.Unlock()
	if _, err = b.root.Lstat(key); err == nil {
		return false, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = b.write(key, stored{Queued: now.UTC(), Body: body}, now, true)
	}
	if err != nil {
		return false, fmt.Errorf("outbox: %w", err)
	}
	b.mu.Lock()
	b.state.add(entry{key: key, due: now}, true)
	b.mu.Unlock()
	b.rouse()
	return true, nil
}

// Has tells whether an item waits.
func (b *Box) Has(key string) bool {
	_, err := b.root.Lstat(key)
	return err == nil
}

// Remove takes an item away, whatever became of it. One that is being delivered is not called back.
func (b *Box) Remove(key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	b.files.Lock()
	defer b.files.Unlock()
	err := b.root.Remove(key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	b.mu.Lock()
	b.state.drop(key)
	b.mu.Unlock()
	return b.sync()
}

// rouse has Run look again.
func (b *Box) rouse() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// write puts an item's file in its place; the caller holds files.
func (b *Box) write(key string, s stored, due time.Time, durable bool) error {
	raw, err := json.Marshal(s)
	if err != nil {
		return err
	}
	temp := tempPrefix + rand.Text()
	f, err := b.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	_, err = f.Write(append(raw, '\n'))
	if err == nil && durable {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = b.root.Chtimes(temp, due, due)
	}
	if err == nil {
		err = b.root.Rename(temp, key)
	}
	if err != nil {
		return errors.Join(err, b.root.Remove(temp))
	}
	if durable {
		return b.sync()
	}
	return nil
}

func (b *Box) sync() error {
	d, err := b.root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// load reads an item. fs.ErrNotExist: somebody took it away.
func (b *Box) load(key string) (Item, error) {
	raw, err := b.root.ReadFile(key)
	if err != nil {
		return Item{}, err
	}
	var s stored
	if err := json.Unmarshal(raw, &s); err != nil {
		return Item{}, fmt.Errorf("outbox: %s: %w", key, err)
	}
	return Item{Key: key, Queued: s.Queued, Tries: s.Tries, Body: s.Body}, nil
}

// postpone writes that an item failed and when it is due again. What can't be written is remembered until the end of the process.
func (b *Box) postpone(it Item, due time.Time) {
	b.files.Lock()
	defer b.files.Unlock()
	if _, err := b.root.Lstat(it.Key); err != nil {
		return // it was removed meanwhile
	}
	if err := b.write(it.Key, stored{Queued: it.Queued, Tries: it.Tries + 1, Body: it.Body}, due, false); err != nil {
		b.log.Error("outbox not written", "item", it.Key, attr.Err(err))
	}
}

// Run delivers what is due until ctx ends, and waits for what is under way, which sees ctx end. Deliver is called by up to Config.Workers
// goroutines, for one key by one at a time.
func (b *Box) Run(ctx context.Context, deliver func(context.Context, Item) Verdict) error {
	lock, err := b.own(ctx)
	if err != nil {
		return err
	}
	if lock == nil {
		return nil // it was another process's to the end
	}
	defer lock.Close() //nolint:errcheck // nothing was written to it
	r := &runner{b: b, deliver: deliver, results: make(chan result, b.cfg.Workers)}
	r.run(ctx)
	return nil
}
