package endpoint

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// The new process: Warm, TakeOver, Registered, Settle, then Older each time the old one holds other calls, and OlderGone.

// older is the process that we took over from. Endpoint.mu guards it.
type older struct {
	pid  int // 0: none
	held []Held
}

// hears tells whether the older process hears that session.
func (o *older) hears(session string) bool {
	for _, h := range o.held {
		for _, id := range h.Sessions {
			if id == session {
				return true
			}
		}
	}
	return false
}

// OlderStatus is an older process that still has calls.
type OlderStatus struct {
	PID   int      `json:"pid"`
	Calls []string `json:"calls"`
}

// Warm waits until an Endpoint on Standby that runs has all it needs but the devices: SIP accounts, logins, agents, and a
// first look at the calls. The error says what is missing when ctx ends.
func (e *Endpoint) Warm(ctx context.Context) error {
	if until(ctx, func() bool { return len(e.missing()) == 0 }) {
		return nil
	}
	return fmt.Errorf("not ready to take over: %s", strings.Join(e.missing(), "; "))
}

// missing lists what keeps the devices from being registered.
func (e *Endpoint) missing() (texts []string) {
	for _, r := range e.ears {
		if r.sip() == nil {
			r.mu.Lock()
			texts = append(texts, "sip: "+r.why)
			r.mu.Unlock()
		}
	}
	for _, c := range e.Status().Checks {
		if c.Name == "ringcentral" && !c.OK {
			texts = append(texts, c.Name+": "+c.Text)
		}
	}
	return texts
}

// TakeOver begins the work of an Endpoint on Standby: the recordings' lock is taken, the devices register, calls are asked
// for that the older process does not hold. On an error nothing has begun.
func (e *Endpoint) TakeOver(pid int, held []Held) error {
	if err := e.Claim(); err != nil {
		return err
	}
	e.Older(pid, held)
	e.turn.give()
	return nil
}

// Registered waits until every device is registered. The error says which is not when ctx ends.
func (e *Endpoint) Registered(ctx context.Context) error {
	ok := func() bool {
		for _, d := range e.Status().Devices {
			if !d.Registered {
				return false
			}
		}
		return true
	}
	if until(ctx, ok) {
		return nil
	}
	var errs []error
	for _, d := range e.Status().Devices {
		if !d.Registered {
			errs = append(errs, fmt.Errorf("device %s not registered: %s %s", d.Device, d.Status, d.Reason))
		}
	}
	return errors.Join(errs...)
}

// Settle tells that the older process does not come back: from here on this one answers for what is missed.
func (e *Endpoint) Settle() { e.shift.trial.Store(false) }

// Older tells which calls the older process holds. A call that it held and does not hold any more is asked for.
func (e *Endpoint) Older(pid int, held []Held) {
	e.mu.Lock()
	before := e.older
	e.older = older{pid, held}
	for _, h := range before.held {
		for _, id := range h.Sessions {
			// From here on it may be missed again.
			if w, ok := e.wanted[id]; ok && !e.older.hears(id) && e.calls[h.Call] == nil {
				w.heard = false
				e.wanted[id] = w
			}
		}
	}
	var chains [][]string
	for _, h := range held {
		chains = append(chains, h.Sessions)
		for _, id := range h.Sessions {
			if w, ok := e.wanted[id]; ok {
				w.heard = true
				e.wanted[id] = w
			}
		}
	}
	e.mu.Unlock()
	for _, p := range e.pools {
		p.sup.Elsewhere(chains)
	}
}

// OlderGone tells that the older process has ended, however it did: what it held is free, and what it left is finished.
func (e *Endpoint) OlderGone() {
	e.Older(0, nil)
	if e.store != nil {
		e.store.Recover()
	}
}

func (e *Endpoint) isElsewhere(session string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.older.hears(session)
}

func (e *Endpoint) olderStatus() *OlderStatus {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.older.pid == 0 {
		return nil
	}
	s := &OlderStatus{PID: e.older.pid, Calls: []string{}}
	for _, h := range e.older.held {
		s.Calls = append(s.Calls, h.Call)
	}
	return s
}
