package recorder

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshot/earshot/call"
)

const (
	// writers is how many goroutines write what can't wait for the group sync, and seal.
	writers = 2
	// syncParallel is how many files are made durable at a time: a journal takes them in one commit.
	syncParallel = 8
	// wholeFiles recordings are made durable together: measured, one syncfs costs less of our time than 32 fdatasyncs.
	wholeFiles = 32
	// wholePause is how long files are synced one by one after the whole failed, or took longer than a Config.Sync.
	wholePause = time.Minute
	// endAfter is how long recordings may stay open after Run was told to end.
	endAfter = 8 * time.Second
	// endPoll is how often Run then looks.
	endPoll = 20 * time.Millisecond
)

// windowBytes is a window of two channels of 16 bit.
const windowBytes = windowSamples * 4

// kit is what a worker brings along: room for a window of a file, and an empty buffer that a recording gets for its full one. So what
// is written to next was read just now, and lies in the cache.
type kit struct {
	win   []byte
	empty *buffer
}

func newKit() *kit { return &kit{make([]byte, windowBytes), newBuffer()} }

// enqueue asks a writer to come; without room the next group sync does.
//
//earshot:hot
func (s *Store) enqueue(r *Recording) {
	select {
	case s.queue <- r:
	default:
	}
}

// loop starts the store's goroutines and waits for all of them.
func (s *Store) loop(ctx context.Context) {
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range writers {
		wg.Go(func() { s.write(stop) })
	}
	wg.Go(func() { s.syncAll(stop) })
	wg.Go(func() { s.watchRoom(stop) })
	if s.book != nil {
		wg.Go(func() { s.announceAll(stop) })
	}
	wg.Go(func() { s.watchDisk(stop) })
	wg.Go(func() { s.writeTranscripts(stop) })
	wg.Go(func() { s.finishLeftovers(ctx) })
	wg.Go(s.writeActs)
	wg.Go(func() { s.retryErasures(ctx) })
	<-ctx.Done()
	s.windUp()
	close(stop)
	s.endActs()
	wg.Wait()
}

// write is one of the writers.
func (s *Store) write(stop <-chan struct{}) {
	k := newKit()
	for {
		select {
		case r := <-s.queue:
			s.process(r, k, false, time.Time{})
		case <-stop:
			return
		}
	}
}

// syncAll makes all open recordings durable, again and again.
func (s *Store) syncAll(stop <-chan struct{}) {
	tick := time.NewTicker(s.cfg.Sync)
	defer tick.Stop()
	kits := make(chan *kit, syncParallel)
	for range syncParallel {
		kits <- newKit()
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		select {
		case <-tick.C:
			s.syncGroup(&wg, kits, stop)
		case <-stop:
			return
		}
	}
}

// syncGroup makes all open recordings durable, some at a time; where there are many each goroutine takes several. It doesn't wait for the last: one file that hangs must
// not keep the others from the next round, in which that one is passed over.
func (s *Store) syncGroup(wg *sync.WaitGroup, kits chan *kit, stop <-chan struct{}) {
	list := s.list()
	if len(list) == 0 {
		return
	}
	begun := time.Now()
	since := s.syncWhole(len(list))
	var left atomic.Int64
	left.Store(int64(len(list)))
	each := 1 + len(list)/wholeFiles
	for group := range slices.Chunk(list, each) {
		var k *kit
		select {
		case k = <-kits:
		case <-stop:
			return
		}
		wg.Go(func() {
			for _, r := range group {
				s.process(r, k, true, since)
			}
			kits <- k
			if left.Add(-int64(len(group))) == 0 {
				s.count.synced(time.Since(begun))
			}
		})
	}
}

// syncWhole makes the whole file system durable, where there are so many recordings that one call for all is cheaper than one for
// each, and tells since when; zero: each file is to be synced by itself. A file system that others keep busy is left alone
// for a while.
func (s *Store) syncWhole(open int) time.Time {
	now := time.Now()
	if open < wholeFiles || now.Before(s.wholeAgain) {
		return time.Time{}
	}
	s.syncing(now)
	err := s.cfg.through.Ask(s.lock, func() error { return syncfs(s.lock) })
	s.syncing(time.Time{})
	if err != nil {
		s.complain(fmt.Errorf("sync of the file system: %w", err), "")
		s.wholeAgain = now.Add(wholePause)
		return time.Time{}
	}
	if time.Since(now) > s.cfg.Sync {
		s.wholeAgain = now.Add(wholePause)
	}
	return now
}

// syncing notes since when the file system is made durable as a whole.
func (s *Store) syncing(since time.Time) {
	s.disk.mu.Lock()
	defer s.disk.mu.Unlock()
	s.disk.syncing = since
}

// openNow is how many recordings are open.
func (s *Store) openNow() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

func (s *Store) list() []*Recording {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*Recording, 0, len(s.open))
	for r := range s.open {
		out = append(out, r)
	}
	return out
}

// windUp waits for the open recordings, and ends those that nobody ends.
func (s *Store) windUp() {
	s.mu.Lock()
	s.closing.Store(true)
	s.mu.Unlock()
	tick := time.NewTicker(endPoll)
	defer tick.Stop()
	force := time.NewTimer(endAfter)
	defer force.Stop()
	for {
		waiting := 0
		for _, r := range s.list() {
			if r.waits() {
				waiting++
			}
		}
		if waiting == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-force.C:
			s.log.Warn("recordings still open, ended", slog.Int("recordings", waiting))
			for _, r := range s.list() {
				r.End(call.Cause{Code: call.CodeShutdown, Text: "the store was closed before the call ended"})
			}
		}
	}
}

// waits tells whether a recording has still to be sealed; one more try is made for those where it failed.
func (r *Recording) waits() bool {
	x := &r.inbox
	x.mu.Lock()
	wake := x.ended && !x.finished && !x.lastTry && !x.busy && !x.queued
	if wake {
		x.queued = true
		x.lastTry = x.sealed
	}
	waits := !x.finished && (!x.sealed || !x.lastTry || x.queued || x.busy)
	x.mu.Unlock()
	if wake {
		r.s.enqueue(r)
	}
	return waits
}

// gripeEvery is how often the store logs that it can't write.
const gripeEvery = time.Minute

// gripe holds back errors that repeat.
type gripe struct {
	mu   sync.Mutex
	last time.Time
	held int64
}

// pass tells whether a line is due, and for how many errors it stands; fresh: it is in any case.
func (g *gripe) pass(now time.Time, fresh bool) (int64, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held++
	if !fresh && !g.last.IsZero() && now.Sub(g.last) < gripeEvery {
		return 0, false
	}
	n := g.held
	g.last, g.held = now, 0
	return n, true
}
