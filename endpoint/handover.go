package endpoint

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/call"
)

const (
	// askedWithin is how long GiveUp waits for the INVITEs of requests that were granted.
	askedWithin = 10 * time.Second
	// lopsidedFor is how long a call may go on with a part of its legs, before the next process is left to join it as a whole:
	// at a call's end its dialogs end one after the other.
	lopsidedFor = 2 * time.Second
)

// Held is a call that a process hears, or is being joined to.
type Held struct {
	Call     string   `json:"call"`               // as in the manifest
	Sessions []string `json:"sessions,omitempty"` // the first one first; empty: RingCentral knows none
	Dir      string   `json:"dir,omitempty"`      // of its recording
	Given    bool     `json:"given,omitempty"`    // it is not heard: a user gave its place up
}

// The old process: GiveUp, then HandedOver or TakeBack.

// GiveUp leaves devices and directory to another process. It asks for no further call, waits until what was granted is
// there, for 10 s at most, stops registering and gives up the lock of the recordings. Calls go on, what still comes on the old
// flow is answered. On an error, or when the other process does not come to work, TakeBack makes all as before.
func (e *Endpoint) GiveUp(ctx context.Context) error {
	e.shift.lent.Store(true)
	e.drainSupervisors(true)
	limited, cancel := context.WithTimeout(ctx, askedWithin)
	defer cancel()
	if !until(limited, func() bool { return len(e.pending()) == 0 }) {
		e.log.Warn("handing over with requests whose INVITE did not come", "sessions", e.pending())
	}
	e.turn.take()
	for _, r := range e.ears {
		if r.running() {
			if err := r.sip().Release(ctx); err != nil {
				return fmt.Errorf("hand over: %w", err)
			}
		}
	}
	if e.store != nil {
		return e.store.Release()
	}
	return nil
}

// TakeBack registers again and asks for calls as before GiveUp. The recordings' lock is to be had by Claim.
func (e *Endpoint) TakeBack(ctx context.Context) error {
	e.turn.give()
	var errs []error
	for _, r := range e.ears {
		if r.running() {
			errs = append(errs, r.sip().Resume(ctx))
		}
	}
	e.drainSupervisors(e.shift.draining.Load())
	e.shift.lent.Store(false)
	return errors.Join(errs...)
}

// Claim takes the recordings' lock again; recorder.ErrInUse: another process has it.
func (e *Endpoint) Claim() error {
	if e.store == nil {
		return nil
	}
	return e.store.Claim()
}

// HandedOver tells that the other process works. This one ends with its last call, without un-registering. What drops is not
// joined again here: it is left to the other.
func (e *Endpoint) HandedOver() {
	e.shift.over.Store(true)
	e.log.Info("handed over: the end comes with the last call")
}

// Held lists the calls that are heard, or are being joined, and those that a user gave up.
func (e *Endpoint) Held() []Held {
	e.mu.Lock()
	all := make([]*Call, 0, len(e.calls))
	for _, c := range e.calls {
		all = append(all, c)
	}
	e.mu.Unlock()
	out, seen := []Held{}, map[string]bool{}
	for _, c := range all {
		h := Held{Call: c.id, Sessions: []string{c.id}} // until it is made
		if c.ready() {
			if c.isClosing() {
				continue
			}
			h.Sessions = c.description().Sessions
			if rec, _ := c.recording(c.newest()); rec != nil {
				h.Dir = rec.Result().Dir
			}
		}
		for _, id := range h.Sessions {
			seen[id] = true
		}
		out = append(out, h)
	}
	for _, id := range e.pending() {
		if !seen[id] {
			out = append(out, Held{Call: id, Sessions: []string{id}})
		}
	}
	for _, p := range e.pools {
		for _, id := range p.sup.Given() {
			if !seen[id] {
				out = append(out, Held{Call: id, Sessions: []string{id}, Given: true})
			}
		}
	}
	slices.SortFunc(out, func(a, b Held) int { return strings.Compare(a.Call, b.Call) })
	return out
}

// HeldChanged is told when Held may be another. It has room for one.
func (e *Endpoint) HeldChanged() <-chan struct{} { return e.shift.changed }

func (c *Call) isClosing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing
}

// letGo ends what is left of a call that lost a leg after the hand-over: RingCentral calls the other process's device, so only
// that can join it again, and one supervisor hears a call at a time.
func (c *Call) letGo(ctx context.Context, now time.Time) {
	c.mu.Lock()
	due := !c.broken.IsZero() && now.Sub(c.broken) >= lopsidedFor && c.e.shift.over.Load()
	legs := slices.Clone(c.legs)
	c.mu.Unlock()
	if !due || c.mode == "" {
		return
	}
	for _, l := range legs {
		if slices.ContainsFunc(l.joins, func(k joinKey) bool { return k.party == "" }) {
			return // it hears everybody
		}
	}
	for _, l := range legs {
		_ = l.bye(ctx, call.Cause{Code: call.CodeReleased, Text: "a dialog of the call dropped after the hand-over: the next process joins it"}) // over all the same
	}
}

func (r *ear) setRuns() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs = true
}

func (r *ear) running() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.runs
}

// hushed tells whether the supervisors were told to end.
func (p *pool) hushed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.quiet
}

// hush ends the supervisors: requests and feed are the next process's.
func (e *Endpoint) hush() {
	for _, p := range e.pools {
		p.mu.Lock()
		hush := p.hush
		p.quiet = true
		p.mu.Unlock()
		if hush != nil {
			hush()
		}
	}
}
