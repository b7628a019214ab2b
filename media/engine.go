package media

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/earshot/earshot/call"
)

// ErrNoPort: every port of the range is taken. The caller has no room for a call more.
var ErrNoPort = errors.New("no free port")

// ErrEnded: the engine, timeline or track has ended.
var ErrEnded = errors.New("has ended")

// Engine owns the shards, and with them all ports, tracks and timelines of the process.
type Engine struct {
	// Set by New, then constant.
	cfg    Config
	start  time.Time
	shards []*shard
	ports  *portPool
	habits habits
}

// New checks the configuration. It starts nothing: nothing moves before Run.
func New(cfg Config) (*Engine, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	e := &Engine{cfg: cfg, start: time.Now()}
	e.ports = newPortPool(cfg.PortMin, cfg.PortMax)
	for range cfg.Shards {
		e.shards = append(e.shards, newShard(e))
	}
	return e, nil
}

// Run sweeps until ctx ends; then every timeline that is left is closed with CodeShutdown, its sinks are ended, the ports
// closed, and Run returns. Run is called once.
func (e *Engine) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, s := range e.shards {
		wg.Go(func() { s.run(ctx) })
	}
	wg.Wait()
	return nil
}

// Now is the time since the engine's start on the monotonic clock: the clock of frames, batches and states.
func (e *Engine) Now() time.Duration { return time.Since(e.start) }

// Wall is the wall time of a moment on the engine's clock, UTC, by what the wall clock says at this call: after a clock
// step it differs from an earlier answer.
func (e *Engine) Wall(d time.Duration) time.Time {
	now := time.Now()
	return now.Round(0).Add(d - now.Sub(e.start)).UTC()
}

// ArchiveWindow is Config.ArchiveWindow, or its default.
func (e *Engine) ArchiveWindow() time.Duration { return e.cfg.ArchiveWindow }

// NewTimeline makes a call's timeline on the shard that has the fewest; its sample 0 is now. Safe for concurrent use.
func (e *Engine) NewTimeline(info call.Info) (*Timeline, error) {
	best := e.shards[0]
	for _, s := range e.shards[1:] {
		if s.timelines.Load() < best.timelines.Load() {
			best = s
		}
	}
	t := &Timeline{engine: e, shard: best, live: newLiveTimeline(best, info, e.Now())}
	if !best.mail.put(post{kind: postTimeline, line: t.live}) {
		return nil, ErrEnded
	}
	best.timelines.Add(1)
	return t, nil
}

// SweepAge is the time since the newest sweep of the shard that is furthest behind; negative before Run's first sweeps. Safe for
// concurrent use.
func (e *Engine) SweepAge() time.Duration {
	oldest := int64(-1)
	for _, s := range e.shards {
		at := s.sweptAt.Load()
		if at == 0 {
			return -1
		}
		if oldest < 0 || at < oldest {
			oldest = at
		}
	}
	return max(0, e.Now()-time.Duration(oldest))
}

// WorstSweep is the longest time between two sweeps of a shard since the last call of WorstSweep. Safe for concurrent use; for one
// caller, who looks at a window of its own.
func (e *Engine) WorstSweep() time.Duration {
	worst := int64(0)
	for _, s := range e.shards {
		worst = max(worst, s.worst.Swap(0))
	}
	return time.Duration(worst)
}

// Totals sums up all shards as of their newest sweeps. Safe for concurrent use.
func (e *Engine) Totals() Totals {
	var t Totals
	for _, s := range e.shards {
		s.addTotals(&t)
	}
	return t
}

// advertised is the address that Track.Local tells.
func (e *Engine) advertised(bound netip.AddrPort, route netip.Addr) netip.AddrPort {
	switch {
	case e.cfg.AdvertiseIP.IsValid():
		return netip.AddrPortFrom(e.cfg.AdvertiseIP, bound.Port())
	case bound.Addr().IsUnspecified():
		return netip.AddrPortFrom(route, bound.Port())
	}
	return bound
}
