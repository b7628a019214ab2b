package endpoint

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// errLast is why Run ended by itself.
var errLast = errors.New("the last call has ended")

// shift says how far the end of this process's work has come.
type shift struct {
	draining atomic.Bool // no new calls, and the end with the last one
	lent     atomic.Bool // another process was given the devices, or is about to be
	over     atomic.Bool // and works: there is no way back
	trial    atomic.Bool // this is that process, and the other may take all back
	changed  chan struct{}
}

// nudge tells that other calls are held than before.
func (s *shift) nudge() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// turn is the devices' right to register.
type turn struct {
	mu    sync.Mutex
	given bool
	wait  chan struct{} // closed when it is given; nil: nobody waits
}

func (t *turn) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.given = true
	if t.wait != nil {
		close(t.wait)
		t.wait = nil
	}
}

func (t *turn) take() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.given = false
}

// await waits for the turn; false: ctx ended.
func (t *turn) await(ctx context.Context) bool {
	for {
		t.mu.Lock()
		if t.given {
			t.mu.Unlock()
			return ctx.Err() == nil
		}
		if t.wait == nil {
			t.wait = make(chan struct{})
		}
		wait := t.wait
		t.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return false
		}
	}
}

// Drain takes no new calls from now on: nothing is asked for that was not asked for before, and INVITEs that nobody asked
// for are refused. Calls go on, and are joined again when they drop. Run ends with the last of them.
func (e *Endpoint) Drain() {
	if e.shift.draining.Swap(true) {
		return
	}
	e.log.Info("draining: no new calls, the end comes with the last one")
	e.drainSupervisors(true)
}

// Draining tells whether Drain was called, and how many calls are left.
func (e *Endpoint) Draining() (on bool, calls int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.shift.draining.Load(), len(e.calls)
}

func (e *Endpoint) drainSupervisors(on bool) {
	for _, p := range e.pools {
		p.sup.Drain(on)
	}
}

// closed tells whether an INVITE that nobody asked for is refused, unless it is of that call.
func (e *Endpoint) closed(id string) bool {
	if !e.shift.draining.Load() && !e.shift.over.Load() {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.calls[id] == nil
}

// awaitEnd waits until no call is left, and none may come, after Drain or HandedOver, and no consumer is still to get audio of one: stream bounds how long each may take. false: ctx ended first.
func (e *Endpoint) awaitEnd(ctx context.Context) bool {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for told := false; ; {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
		over := e.shift.over.Load()
		pending := len(e.pending())
		if over && pending == 0 {
			e.hush()
		}
		e.mu.Lock()
		left := len(e.calls) + pending
		e.mu.Unlock()
		if left > 0 || e.shift.lent.Load() && !over || !over && !e.shift.draining.Load() {
			continue
		}
		consumers := len(e.hub.Live())
		if consumers == 0 {
			e.log.Info("the last call has ended")
			return true
		}
		if !told {
			e.log.Info("the last call has ended, and consumers are still to get what they missed", slog.Int("consumers", consumers))
			told = true
		}
	}
}

// pending lists the sessions that are being asked for.
func (e *Endpoint) pending() (sessions []string) {
	for _, p := range e.pools {
		if !p.hushed() {
			sessions = append(sessions, p.sup.Pending()...)
		}
	}
	return sessions
}

// until waits for a condition that nobody announces.
func until(ctx context.Context, ok func() bool) bool {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			return ok()
		case <-tick.C:
		}
	}
	return true
}

// pollEvery is how often until looks.
const pollEvery = 10 * time.Millisecond

// shiftStatus adds what there is to say of the end of one process's work and the beginning of another's.
func (e *Endpoint) shiftStatus(s *Status) {
	on, calls := e.Draining()
	s.Draining = on
	if on {
		text := fmt.Sprintf("no new calls; the end comes with the last of %d", calls)
		if n := len(e.hub.Live()); calls == 0 && n > 0 {
			text = fmt.Sprintf("no new calls; the end comes when consumers have what they missed of the last ones: %d left", n)
		}
		s.Checks = append(s.Checks, Check{Name: "draining", Text: text})
	}
	s.Older = e.olderStatus()
}
