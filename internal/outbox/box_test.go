package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot/earshot/internal/outbox"
)

func box(t *testing.T, c outbox.Config) *outbox.Box {
	t.Helper()
	b, err := outbox.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func put(t *testing.T, b *outbox.Box, key string) {
	t.Helper()
	if added, err := b.Put(key, []byte(`{"n":1}`)); err != nil || !added {
		t.Fatalf("Put(%s): %v, %v, want added", key, added, err)
	}
}

func key(n int) string { return fmt.Sprintf("20261123T101500Z_%06d", n) }

// peer is the other side: it is there or not, and knows what it got and when it was asked.
type peer struct {
	mu    sync.Mutex
	away  bool
	sour  map[string]bool // keys that it does not take
	got   map[string]int
	asked []time.Time
	keys  []string
	held  int
	most  int // at the same time
}

func newPeer() *peer { return &peer{sour: map[string]bool{}, got: map[string]int{}} }

var errAway = errors.New("away")

func (p *peer) take(_ context.Context, it outbox.Item) outbox.Verdict {
	p.mu.Lock()
	p.held++
	p.most = max(p.most, p.held)
	p.asked = append(p.asked, time.Now())
	p.keys = append(p.keys, it.Key)
	p.mu.Unlock()
	time.Sleep(10 * time.Millisecond)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held--
	switch {
	case p.away:
		return outbox.Verdict{State: outbox.Down, Err: errAway}
	case p.sour[it.Key]:
		return outbox.Verdict{State: outbox.Later, Err: errors.New("sour")}
	}
	p.got[it.Key]++
	return outbox.Verdict{}
}

func (p *peer) set(away bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away, p.asked, p.keys, p.most = away, nil, nil, 0
}

// run runs a box in the bubble; the function given back ends it.
func run(t *testing.T, b *outbox.Box, p *peer) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx, p.take) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

func TestAnOutageOfDaysLosesAndDoublesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		p := newPeer()
		p.set(true)
		const items = 50
		for day := range 5 { // each day another process
			b := box(t, outbox.Config{Dir: dir, Workers: 4})
			stop := run(t, b, p)
			for i := range items / 5 {
				put(t, b, key(day*1000+i))
			}
			time.Sleep(24 * time.Hour)
			synctest.Wait()
			if n := b.Stats().Length; n != (day+1)*items/5 {
				t.Errorf("day %d: %d wait, want %d", day, n, (day+1)*items/5)
			}
			if d := b.Stats().Down; !errors.Is(d, errAway) {
				t.Errorf("day %d: down: %v, want %v", day, d, errAway)
			}
			stop()
		}
		// One look every 2.5 to 5 minutes, whatever waits, and a few more at each start.
		if n, most := len(p.asked), 5*(24*60*2/5+20); n > most || n < 5*24*12/2 {
			t.Errorf("asked %d times in five days, want some %d", n, most)
		}
		b := box(t, outbox.Config{Dir: dir, Workers: 4})
		p.set(false)
		stop := run(t, b, p)
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		stop()
		if p.most != 4 {
			t.Errorf("%d at the same time, want the 4 workers", p.most)
		}
		for i := range items {
			if k := key(i/10*1000 + i%10); p.got[k] != 1 {
				t.Errorf("%s came %d times, want once", k, p.got[k])
			}
		}
		if s := b.Stats(); s.Length != 0 || s.Down != nil || !s.Oldest.IsZero() {
			t.Errorf("stats: %+v, want nothing", s)
		}
	})
}

func TestWhileTheOtherSideIsAwayOneItemAtATimeAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := box(t, outbox.Config{Dir: t.TempDir(), Workers: 8})
		p := newPeer()
		for i := range 50 {
			put(t, b, key(i))
		}
		p.set(true)
		stop := run(t, b, p)
		time.Sleep(time.Second / 2) // all workers have found out
		synctest.Wait()
		if len(p.asked) != 8 {
			t.Fatalf("asked %d times, want once by each of the 8 workers", len(p.asked))
		}
		p.set(true)
		time.Sleep(time.Hour)
		synctest.Wait()
		if p.most != 1 {
			t.Errorf("%d asked at the same time, want 1", p.most)
		}
		for i := 1; i < len(p.asked); i++ {
			if d := p.asked[i].Sub(p.asked[i-1]); d < 500*time.Millisecond || i > 12 && d < 2*time.Minute {
				t.Errorf("asked again after %v", d)
			}
		}
		// No item is the only one to ask: one that the other side stumbles over would hold up all.
		if p.keys[0] == p.keys[1] {
			t.Errorf("%s asked twice in a row", p.keys[0])
		}
		stop()
	})
}

func TestAnItemThatIsNotTakenHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := box(t, outbox.Config{Dir: t.TempDir()})
		p := newPeer()
		p.sour[key(0)] = true
		for i := range 20 {
			put(t, b, key(i))
		}
		stop := run(t, b, p)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if len(p.got) != 19 || len(p.keys) != 20 {
			t.Errorf("%d came in %d tries, want 19 in 20", len(p.got), len(p.keys))
		}
		if s := b.Stats(); s.Length != 1 || s.Down != nil || !s.Oldest.Equal(time.Date(2026, 11, 23, 10, 15, 0, 0, time.UTC)) {
			t.Errorf("stats: %+v", s)
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if n := len(p.keys) - 20; n < 90 || n > 200 { // 15 min apart at last, less up to half
			t.Errorf("tried %d times in a day", n)
		}
		stop()
	})
}

func TestAKeyIsPutOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		a, b := box(t, outbox.Config{Dir: dir}), box(t, outbox.Config{Dir: dir})
		put(t, a, key(1))
		for _, x := range []*outbox.Box{a, b} {
			if added, err := x.Put(key(1), []byte(`{}`)); added || err != nil {
				t.Errorf("Put again: %v, %v, want neither", added, err)
			}
		}
		if !b.Has(key(1)) || b.Has(key(2)) {
			t.Error("Has is wrong")
		}
		for _, k := range []string{"", ".x", "a/b", "..", string(make([]byte, 300))} {
			if _, err := a.Put(k, []byte(`{}`)); err == nil {
				t.Errorf("Put(%.20q): no error", k)
			}
		}
	})
}

// TestWhatAnotherProcessPutIsDelivered: while one process takes over from another, both put and one delivers.
func TestWhatAnotherProcessPutIsDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		older, newer := box(t, outbox.Config{Dir: dir}), box(t, outbox.Config{Dir: dir})
		p, q := newPeer(), newPeer()
		stopOlder := run(t, older, p)
		synctest.Wait()
		stopNewer := run(t, newer, q)
		put(t, newer, key(1))
		time.Sleep(time.Minute)
		synctest.Wait()
		if p.got[key(1)] != 1 || len(q.got) != 0 {
			t.Errorf("the older got %v, the newer %v", p.got, q.got)
		}
		stopOlder()
		put(t, newer, key(2))
		time.Sleep(time.Minute)
		synctest.Wait()
		if q.got[key(2)] != 1 {
			t.Errorf("the newer got %v", q.got)
		}
		stopNewer()
	})
}

func TestManyItemsTakeLittleMemory(t *testing.T) {
	dir := t.TempDir()
	first := filepath.Join(dir, key(0))
	if err := os.WriteFile(first, []byte(`{"queued":"2026-11-23T10:15:00Z","tries":0,"body":{}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	const items = 30_000 // links are counted as files are, and fit any file system that has them
	for i := 1; i < items; i++ {
		if err := os.Link(first, filepath.Join(dir, key(i))); err != nil {
			t.Fatal(err)
		}
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	b := box(t, outbox.Config{Dir: dir})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	tried := make(chan struct{}, 1)
	go func() {
		done <- b.Run(ctx, func(context.Context, outbox.Item) outbox.Verdict {
			select {
			case tried <- struct{}{}:
			default:
			}
			return outbox.Verdict{State: outbox.Down, Err: errAway, After: time.Hour}
		})
	}()
	<-tried
	runtime.GC()
	runtime.ReadMemStats(&after)
	if n := b.Stats().Length; n != items {
		t.Errorf("%d wait, want %d", n, items)
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 2<<20 {
		t.Errorf("the heap grew by %d octets for %d items", grown, items)
	}
	cancel()
	<-done
}

func TestAFileThatIsNoItemIsPutAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, key(0)), []byte(`{"queued"`), 0o600); err != nil {
			t.Fatal(err)
		}
		b := box(t, outbox.Config{Dir: dir})
		put(t, b, key(1))
		p := newPeer()
		stop := run(t, b, p)
		time.Sleep(time.Hour) // the file is from 2026, and here it is 2000
		synctest.Wait()
		stop()
		if len(p.got) != 1 || p.got[key(1)] != 1 {
			t.Errorf("came: %v", p.got)
		}
		if _, err := os.Stat(filepath.Join(dir, ".unreadable", key(0))); err != nil {
			t.Error(err)
		}
	})
}

func TestAnEndInTheMiddleIsNoFailedTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		b := box(t, outbox.Config{Dir: dir})
		put(t, b, key(1))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- b.Run(ctx, func(ctx context.Context, _ outbox.Item) outbox.Verdict {
				<-ctx.Done()
				return outbox.Verdict{State: outbox.Down, Err: ctx.Err()}
			})
		}()
		synctest.Wait()
		cancel()
		<-done
		again := box(t, outbox.Config{Dir: dir})
		var tries []int
		ctx, cancel = context.WithCancel(t.Context())
		go func() {
			done <- again.Run(ctx, func(_ context.Context, it outbox.Item) outbox.Verdict {
				tries = append(tries, it.Tries)
				return outbox.Verdict{}
			})
		}()
		time.Sleep(time.Second)
		synctest.Wait()
		cancel()
		<-done
		if len(tries) != 1 || tries[0] != 0 {
			t.Errorf("tries: %v, want one that knows of none before", tries)
		}
	})
}
