package endpoint

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/stream"
)

// newCalls is how many calls may wait for Run's loop to take them over; a burst of INVITEs waits, none is lost.
const newCalls = 64

// Endpoint is supervisors and devices at work. Make it with New, then Run it once.
type Endpoint struct {
	// Set by New, then constant.
	cfg     Config
	log     *slog.Logger
	engine  *media.Engine
	store   *recorder.Store // nil: nothing is recorded
	keep    *keeper         // nil: what is sealed stays where it is, and nobody is told
	hub     *stream.Hub
	pools   []*pool
	ears    []*ear          // of the pools, and those without RingCentral
	fresh   chan *Call      // calls that Run has to take over
	missed  chan missedCall // calls that were never heard
	started time.Time
	turn    turn // of the devices to register
	shift   shift

	// mu guards the fields below. Nothing is called with it held.
	mu     sync.Mutex
	calls  map[string]*Call // live calls by id
	joined *sync.Cond       // a call came; for Listen
	ended  map[call.Code]int64
	states map[string]int64  // recordings by state
	wanted map[string]wanted // calls that supervise asks for, by session
	owed   []missedCall      // records of missed calls that the disk did not take yet
	older  older             // the process that we took over from
	past   []pastCall        // the newest calls that are over
	// listeners counts, by call, those that may read what was said before they came.
	listeners map[string]int

	book *maskBook // set by New, then constant
	// consents is set by New, then constant.
	consents *consentBook
	masks    maskCounts
}

// New checks the configuration and opens what it owns: the recordings' folder and its lock.
func New(cfg Config) (*Endpoint, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	e := &Endpoint{
		cfg: cfg, log: cfg.Log, fresh: make(chan *Call, newCalls), missed: make(chan missedCall, maxMissed), started: time.Now(),
		calls: map[string]*Call{}, ended: map[call.Code]int64{}, states: map[string]int64{}, wanted: map[string]wanted{}, listeners: map[string]int{},
	}
	e.joined = sync.NewCond(&e.mu)
	e.shift.changed = make(chan struct{}, 1)
	if e.shift.trial.Store(cfg.Standby); !cfg.Standby {
		e.turn.give()
	}
	e.checkFiles()
	cfg.Media.Log = cfg.Log
	if t := &cfg.Media.Triggers; t.On != "" || t.Off != "" {
		t.To = e
	}
	e.book, e.consents = newMaskBook(""), newConsentBook("")
	if cfg.Record != nil {
		e.book, e.consents = newMaskBook(cfg.Record.Dir), newConsentBook(cfg.Record.Dir)
	}
	engine, err := media.New(cfg.Media)
	if err != nil {
		return nil, err
	}
	e.engine = engine
	cfg.Stream.Log = cfg.Log
	if e.hub, err = stream.New(cfg.Stream); err != nil {
		return nil, err
	}
	if err := e.addEars(cfg); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	if cfg.Record != nil {
		rc := *cfg.Record
		rc.Log, rc.Standby, rc.Masks = cfg.Log, cfg.Standby, e.book.masks
		if e.keep, err = newKeeper(cfg); err != nil {
			return nil, errors.Join(err, e.Close())
		}
		if e.keep != nil {
			rc.Sealed = e.keep.take
			rc.Erasers = append(rc.Erasers, e.keep.erasers()...)
		}
		if e.store, err = recorder.New(rc); err != nil {
			return nil, errors.Join(err, e.Close())
		}
	}
	return e, nil
}

func (e *Endpoint) addEars(cfg Config) error {
	for _, d := range cfg.Devices {
		r := &ear{e: e, log: e.log, device: d.Account}
		if err := r.openAccount(d.Account); err != nil {
			return err
		}
		e.ears = append(e.ears, r)
	}
	for _, s := range cfg.Supervisors {
		p, err := newPool(e, s)
		if err != nil {
			return err
		}
		e.pools, e.ears = append(e.pools, p), append(e.ears, p.ears...)
	}
	return nil
}

// Run works until ctx ends, then takes everything down in order: no new calls, BYE to each dialog, un-registered; calls
// closed and sealed; media and recorder ended. It ends by itself with the last call after Drain or HandedOver. It returns the
// first failure that ended it, or nil.
func (e *Endpoint) Run(ctx context.Context) error {
	below, stopBelow := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stopBelow(nil)
	var base, calls sync.WaitGroup
	fail := make(chan error, 4)
	run := func(name string, f func(context.Context) error) {
		base.Go(func() {
			if err := f(below); err != nil && below.Err() == nil {
				fail <- fmt.Errorf("%s: %w", name, err)
			}
		})
	}
	stopKeeping := e.startKeeping(ctx)
	run("media", e.engine.Run)
	run("stream", e.hub.Run)
	if e.store != nil {
		run("recorder", e.store.Run)
		if cfg, ok := e.keep.moving(); ok {
			cfg.Wanted = e.wantsAudio
			run("vault", func(ctx context.Context) error { return e.store.MoveOutAlways(ctx, cfg) })
		}
	}

	up, stopEars := context.WithCancelCause(ctx)
	defer stopEars(nil)
	var ears sync.WaitGroup
	for _, r := range e.ears {
		ears.Go(func() { r.run(up) })
	}
	for _, p := range e.pools {
		ears.Go(func() { p.run(up) })
	}
	earsDone := make(chan struct{})
	base.Go(func() {
		defer close(earsDone)
		ears.Wait()
		for _, p := range e.pools {
			p.giveUp()
		}
	})
	base.Go(func() {
		if e.awaitEnd(up) {
			stopEars(errLast)
		}
	})

	e.sayConsent()
	var err error
	retry := time.NewTicker(storeRetry)
	defer retry.Stop()
	for working := true; working; {
		select {
		case <-retry.C:
			e.recordOwed()
			e.keepRegistrations()
			e.book.sweep(time.Now())
			e.consents.sweep(time.Now())
		case c := <-e.fresh:
			calls.Go(func() { c.run(up) })
		case m := <-e.missed:
			e.recordMissed(m)
		case err = <-fail:
			stopEars(err)
		case <-earsDone:
			working = false
		}
	}
	for len(e.fresh) > 0 { // an INVITE that came in the last moment has ended with its device
		c := <-e.fresh
		calls.Go(func() { c.run(up) })
	}
	for len(e.missed) > 0 {
		e.recordMissed(<-e.missed)
	}
	calls.Wait()
	e.recordOwed()
	stopBelow(errors.New("all calls are closed"))
	base.Wait()
	stopKeeping()
	return err
}

// Ready tells whether calls can be heard: every device registered.
func (e *Endpoint) Ready() bool {
	for _, c := range e.Status().Checks {
		if !c.OK {
			return false
		}
	}
	return true
}

// live lists the live calls, in no order.
func (e *Endpoint) live() []*Call {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make([]*Call, 0, len(e.calls))
	for _, c := range e.calls {
		if c.ready() {
			out = append(out, c)
		}
	}
	return out
}

// open finds the call, or makes it with its timeline, recording and sinks. The caller holds it: it adds a leg or lets go.
func (e *Endpoint) open(r *ear, info call.Info, alone bool) (*Call, error) {
	c, mine := e.claim(r, info, alone)
	if !mine {
		<-c.made // by the INVITE that came first
		if c.err != nil {
			return nil, c.err
		}
		e.hears(info.Sessions)
		return c, nil
	}
	info.ID = c.id
	c.err = c.make(info)
	close(c.made)
	if c.err != nil {
		e.mu.Lock()
		delete(e.calls, c.id)
		e.mu.Unlock()
		return nil, c.err
	}
	e.hears(info.Sessions)
	e.fresh <- c
	return c, nil
}

// hears notes that the call of these sessions is heard: also a session in which one goes on that is heard already.
func (e *Endpoint) hears(sessions []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, id := range sessions {
		if w, ok := e.wanted[id]; ok {
			w.heard = true
			e.wanted[id] = w
		}
	}
	e.joined.Broadcast()
}

// claim gives the call of that id, held once more; mine: it is new, and the caller has to make it. alone: it is no leg of any
// other, and is given another id where its own is taken.
func (e *Endpoint) claim(r *ear, info call.Info, alone bool) (c *Call, mine bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if alone {
		for id, n := info.ID, 2; e.calls[info.ID] != nil; n++ {
			info.ID = fmt.Sprintf("%s-%d", id, n)
		}
	}
	if c := e.calls[info.ID]; c != nil && c.hold() {
		return c, false
	}
	c = newCall(e, r, info)
	e.calls[info.ID] = c
	return c, true
}

// unrecorded stands among the recordings' states for calls that could not be recorded at all.
const unrecorded = "unrecorded"

// forget counts a call that has ended.
func (e *Endpoint) forget(c *Call, cause call.Cause, states []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.calls[c.id] == c {
		delete(e.calls, c.id)
	}
	e.ended[cause.Code]++
	for _, s := range states {
		e.states[s]++
	}
}

// Close gives back what New opened, for an Endpoint that never ran; safe twice.
func (e *Endpoint) Close() error {
	var errs []error
	if e.store != nil {
		errs = append(errs, e.store.Close())
	}
	errs = append(errs, e.keep.close())
	for _, p := range e.pools {
		errs = append(errs, p.sup.Close())
	}
	return errors.Join(errs...)
}
