package outbox

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/earshot/earshot/internal/attr"
)

// State is what became of a delivery.
type State int

// The states.
const (
	Done  State = iota // the item is owed no more
	Later              // the other side is there, and did not take this one
	Down               // the other side is not there, or takes nothing: no other is tried meanwhile
)

// Verdict is what a delivery came to.
type Verdict struct {
	State State
	Err   error         // why not
	After time.Duration // not before, with Later and Down, an hour at most; 0: as configured
}

const (
	// lookEvery is how often the folder is looked into: another process may have put something in.
	lookEvery = 30 * time.Second
	// lookShare bounds the time that looking takes: of a folder with very many items it is done less often.
	lookShare = 100
	// ownEvery is how often the lock is tried that another process holds.
	ownEvery = 5 * time.Second
	lockName = ".lock"
)

// own takes the box's lock, when another process gives it back; nil: ctx ended before.
func (b *Box) own(ctx context.Context) (*os.File, error) {
	f, err := b.root.OpenFile(lockName, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(ownEvery)
	defer tick.Stop()
	for {
		err := lockFile(f)
		if err == nil {
			return f, nil
		}
		select {
		case <-ctx.Done():
			return nil, f.Close()
		case <-tick.C:
		}
	}
}

type result struct {
	item Item
	v    Verdict
	gone bool // it could not be read, or was removed
	cut  bool // Run was told to end meanwhile: it is as if it had not been tried
}

// runner is what Run needs.
type runner struct {
	b       *Box
	deliver func(context.Context, Item) Verdict
	results chan result // room for all workers
	wg      sync.WaitGroup
	looked  time.Time
	took    time.Duration
}

func (r *runner) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		wait := r.start(ctx)
		timer.Reset(min(wait, lookEvery))
		select {
		case <-ctx.Done():
		case <-r.b.wake:
		case <-timer.C:
		case res := <-r.results:
			r.finish(res)
		}
	}
	r.wg.Wait()
	close(r.results)
	for res := range r.results {
		r.finish(res)
	}
}

// start has all delivered that may be, and gives how long nothing more is due.
func (r *runner) start(ctx context.Context) time.Duration {
	r.look()
	for {
		now := time.Now()
		r.b.mu.Lock()
		key, wait := r.b.state.take(now, r.b.cfg.Workers)
		r.b.mu.Unlock()
		if key == "" {
			return wait
		}
		r.wg.Go(func() { r.results <- r.one(ctx, key) })
	}
}

func (r *runner) one(ctx context.Context, key string) result {
	it, err := r.b.load(key)
	if errors.Is(err, fs.ErrNotExist) {
		return result{item: Item{Key: key}, gone: true}
	}
	if err != nil {
		// It is not what we wrote: kept for who wants to look, out of the way.
		r.b.log.Error("outbox item not readable, put aside", "item", key, attr.Err(err))
		r.b.setAside(key)
		return result{item: Item{Key: key}, gone: true}
	}
	v := r.deliver(ctx, it)
	v.After = min(v.After, mostAfter)
	return result{item: it, v: v, cut: ctx.Err() != nil && v.State != Done}
}

// look looks into the folder if that is due.
func (r *runner) look() {
	b, now := r.b, time.Now()
	b.mu.Lock()
	due := b.state.more && len(b.state.next) == 0 || now.Sub(r.looked) >= max(lookEvery, lookShare*r.took)
	b.mu.Unlock()
	if !due {
		return
	}
	r.looked = now
	b.files.Lock()
	defer b.files.Unlock()
	next, length, oldest, err := b.scan(now)
	r.took = time.Since(now)
	if err != nil {
		b.log.Error("outbox not searched", attr.Err(err))
		b.mu.Lock()
		b.state.more = false // at the next look, not at once
		b.mu.Unlock()
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	s := &b.state
	s.next, s.length, s.oldest, s.more = nil, length, oldest, length > len(next)
	for _, e := range next {
		s.add(e, false)
	}
}

// finish takes a delivery's verdict.
func (r *runner) finish(res result) {
	b, now, key := r.b, time.Now(), res.item.Key
	if res.cut {
		return
	}
	remove := !res.gone && res.v.State == Done
	var due time.Time
	if !res.gone && !remove {
		due = now.Add(r.wait(res))
		b.postpone(res.item, due)
	}
	if remove {
		b.files.Lock()
		err := b.root.Remove(key)
		b.files.Unlock()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			b.log.Error("outbox not written", "item", key, attr.Err(err))
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	s := &b.state
	delete(s.work, key)
	if res.gone {
		s.drop(key)
		return
	}
	if res.v.State == Down {
		s.missed(now, res.v.Err, max(b.cfg.Down, res.v.After), max(b.cfg.DownMax, res.v.After))
	} else {
		s.reached()
	}
	if remove {
		s.drop(key)
		return
	}
	s.add(entry{key: key, due: due}, false)
}

// wait is how long an item that failed waits.
func (r *runner) wait(res result) time.Duration {
	c, n := r.b.cfg, res.item.Tries
	d := backoff(n+1, c.Retry, c.RetryMax)
	if len(c.Schedule) > 0 {
		d = c.Schedule[min(n, len(c.Schedule)-1)]
		d += spread(d) / 5
	}
	return max(d, res.v.After)
}

// setAside keeps what can't be read in a folder of its own.
func (b *Box) setAside(key string) {
	b.files.Lock()
	defer b.files.Unlock()
	err := b.root.MkdirAll(".unreadable", dirMode)
	if err == nil {
		err = b.root.Rename(key, ".unreadable/"+key)
	}
	if err != nil {
		b.log.Error("outbox not written", "item", key, attr.Err(err))
	}
}

// Stats is a box at a glance.
type Stats struct {
	Length int
	Oldest time.Time // of the oldest item, as its key says; zero: none
	// Down says why nothing is tried at the moment, since when, and until when; nil: the other side is there, as far as known.
	Down  error
	Since time.Time
	Next  time.Time
}

// Stats gives what is known without looking into the folder.
func (b *Box) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := &b.state
	out := Stats{Length: s.length, Down: s.why, Since: s.since}
	if s.down > 0 {
		out.Next = s.notUntil
	}
	if !s.more && len(s.work) == 0 { // all that there is stands in next
		s.oldest = ""
		for _, e := range s.next {
			if s.oldest == "" || e.key < s.oldest {
				s.oldest = e.key
			}
		}
	}
	if s.length > 0 {
		out.Oldest = stampOf(s.oldest)
	}
	return out
}

// Stamp is how a key begins.
const Stamp = "20060102T150405Z"

func stampOf(key string) time.Time {
	if len(key) < len(Stamp) {
		return time.Time{}
	}
	t, _ := time.Parse(Stamp, key[:len(Stamp)])
	return t
}
