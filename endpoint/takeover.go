package endpoint

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/earshot/earshot/supervise"
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

// Fitness is how well a process works, so that the next one works no worse before it takes over: what does not work in either
// must not stand in the way of a repair.
type Fitness struct {
	Registered int  `json:"registered"` // devices
	Well       bool `json:"well"`       // all of them are, and nothing fails at RingCentral
}

// Fitness may be called from anywhere.
func (e *Endpoint) Fitness() Fitness {
	st := e.Status()
	f := Fitness{Well: true}
	for _, d := range st.Devices {
		if d.Registered {
			f.Registered++
		}
	}
	for _, c := range st.Checks {
		if c.Name == "sip" || c.Name == "ringcentral" {
			f.Well = f.Well && c.OK
		}
	}
	return f
}

// devices is how many of the devices must be there to be as fit.
func (e *Endpoint) devices(like Fitness) int {
	if like.Well {
		return len(e.ears)
	}
	return min(like.Registered, len(e.ears))
}

// Warm waits until an Endpoint on Standby that runs has all it needs but registrations to be as fit as another: SIP accounts,
// logins, agents, and a first look at the calls. The error says what is missing when ctx ends.
func (e *Endpoint) Warm(ctx context.Context, like Fitness) error {
	if until(ctx, func() bool { return len(e.missing(like)) == 0 }) {
		return nil
	}
	return fmt.Errorf("not ready to take over: %s", strings.Join(e.missing(like), "; "))
}

// missing lists what keeps the devices from being registered.
func (e *Endpoint) missing(like Fitness) (texts []string) {
	accounts := 0
	for _, r := range e.ears {
		if r.sip() != nil {
			accounts++
			continue
		}
		r.mu.Lock()
		texts = append(texts, "sip: "+r.why)
		r.mu.Unlock()
	}
	if accounts >= e.devices(like) {
		texts = nil
	}
	for _, c := range e.Status().Checks {
		if c.Name == "ringcentral" && !c.OK && like.Well {
			texts = append(texts, c.Name+": "+c.Text)
		}
	}
	for _, p := range e.pools {
		in := slices.ContainsFunc(p.sup.Status().Logins, func(l supervise.LoginStatus) bool { return l.LoggedIn })
		if !like.Well && !in {
			texts = append(texts, "ringcentral: not logged in")
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
	var given []string
	for _, h := range held {
		if h.Given {
			given = append(given, h.Sessions...)
		}
	}
	for _, p := range e.pools {
		p.sup.Give(given)
	}
	e.Older(pid, held)
	e.turn.give()
	return nil
}

// Registered waits until as many devices are registered as it takes to be as fit as another. The error says which is not when
// ctx ends.
func (e *Endpoint) Registered(ctx context.Context, like Fitness) error {
	if until(ctx, func() bool { return e.Fitness().Registered >= e.devices(like) }) {
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
	held = slices.DeleteFunc(slices.Clone(held), func(h Held) bool { return h.Given }) // nobody holds it; told by TakeOver
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
	for _, p := range e.pools {
		p.sup.Abandoned()
	}
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
