package media

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/attr"
)

const (
	// oldestStamp bounds how long before a sweep a packet may have come: from a commit back to the opening of its port.
	oldestStamp = 10 * time.Second
	// sparePosts is how much of a mailbox is kept for the next time.
	sparePosts = 512
	// clockSlack is how far a stamp may lie after the sweep's beginning without a look at the clock: the packets that came while it ran.
	clockSlack = 50 * time.Millisecond
	// clockStep is a difference between the clocks that is a step and no slew.
	clockStep = 5 * time.Millisecond
)

// shard is one goroutine with one ticker, and all timelines that it sweeps.
type shard struct {
	// Set by newShard, then constant.
	engine  *Engine
	mail    mailbox
	sharing sharing
	wake    chan struct{} // size 1: an agreement wants to be in force before the next sweep

	timelines atomic.Int64 // that were given to it and are not closed
	sweptAt   atomic.Int64 // engine time of the newest sweep's beginning, ns; 0: none yet
	worst     atomic.Int64 // longest time between two sweeps since it was last asked for, ns

	mu sync.Mutex
	// mu guards the fields below, and the timelines' pub. Written by Run's goroutine only.
	lines []*liveTimeline
	ended Totals // of what is no longer in lines, and of what the kernel dropped

	// Owned by Run's goroutine.
	clock   sweepClock
	now     time.Duration
	batch   batch
	scratch []byte
	agenda  agenda
	report  [reportOctets]byte
	block   reportBlock
	quiet   silencePacket
	warmth  byte // keeps what warm reads from being left out
	pool    slotPool
	out     *output
	serving *liveTimeline // whose frames are in out
	gift    Batch         // what its sinks get
	spare   []post
	ports   []*port
	intake  intake
	tapper  tapper
	over    []chan struct{} // of timelines that were closed in this sweep
	owing   []*seat         // whose sinks are still to hear that the sweep is over
	// controlTurn: all RTCP ports are read in this sweep; next at controlAt.
	controlTurn bool
	controlAt   time.Duration
	every       time.Duration // between this sweep and the next
	round       uint64        // one for each sweep
	// flooded: a port has more than its share of a sweep.
	flooded bool
}

// sweepClock converts kernel stamps, which are wall time, to the engine's clock.
type sweepClock struct {
	wall, before int64         // Unix nanoseconds at this sweep and at the one before
	prev         time.Duration // the engine's time at the one before
	stepped      bool
}

func newShard(e *Engine) *shard {
	s := &shard{engine: e, out: newOutput(), scratch: make([]byte, datagramOctets), wake: make(chan struct{}, 1), every: e.cfg.Sweep}
	s.mail.wake = make(chan struct{}, 1)
	s.out.full = func() { s.write(s.serving, s.serving.final) } // Final stays: the sweep isn't over
	return s
}

func (s *shard) setClock(now time.Time) {
	c := &s.clock
	c.prev, c.before = s.now, c.wall
	s.now, c.wall = now.Sub(s.engine.start), now.UnixNano()
	step := time.Duration(c.wall-c.before) - (s.now - c.prev)
	c.stepped = c.before != 0 && (step > clockStep || step < -clockStep)
	if c.stepped {
		s.engine.cfg.Log.Warn("wall clock stepped", slog.Duration("by", step))
	}
}

// arrival is the engine's time of a kernel stamp. In the sweep after a clock step nobody knows which of them were made before
// it: what can't be is taken to have come just now.
//
//earshot:hot
func (s *shard) arrival(stamp int64) time.Duration {
	at := s.now - time.Duration(s.clock.wall-stamp)
	low := s.now - oldestStamp
	if s.clock.stepped {
		low = s.clock.prev
	}
	if stamp == 0 || at < low || at < 0 || at > s.now+clockSlack && !s.heldUp(at) {
		return s.now
	}
	return at
}

// heldUp tells whether the sweep goes on for so long already that a packet may have come at that time since: the processor was
// somebody else's. One that is taken to have come when the sweep began is early, and the quickest packets place a track.
func (s *shard) heldUp(at time.Duration) bool { return !s.clock.stepped && at <= s.engine.Now() }

// takePosts hands the posts to their timelines.
func (s *shard) takePosts(last bool) {
	posts := s.mail.take(s.spare, last)
	for i := range posts {
		p := &posts[i]
		l := p.line
		switch {
		case p.kind == postTimeline:
			s.mu.Lock()
			s.lines = append(s.lines, l)
			s.mu.Unlock()
		case l.closed:
			l.refuse(p)
		default:
			if p.kind == postOpen { // before anything is read: its first packet may be there already
				s.join(p.track)
			}
			p.round = s.round
			l.todo = append(l.todo, *p)
		}
	}
	clear(posts)
	if s.spare = posts; cap(posts) > sparePosts {
		s.spare = nil // that was a crowd
	}
}

// serve makes the output collect for a timeline.
func (s *shard) serve(l *liveTimeline) {
	o := s.out
	o.reset()
	o.call = l.info.ID
	o.samples = l.samples
	o.base, o.wall = s.now, time.Unix(0, s.clock.wall).UTC()
	s.serving = l
}

// write gives what there is to the timeline's sinks.
//
//earshot:hot
func (s *shard) write(l *liveTimeline, final time.Duration) {
	l.bringUp()
	l.final, l.wroteAt, l.dirty = max(l.final, final), s.now, false
	s.gift = Batch{Now: s.now, Final: l.final, Zero: l.zero, Frames: s.out.frames, Events: s.out.events, Tracks: l.states}
	if l.memory != nil {
		l.keep(&s.gift)
		s.out.reset()
		l.pass()
		return
	}
	if len(l.seats) > 0 {
		s.give(l, &s.gift)
	}
	s.out.reset()
}

// shutDown closes everything: the posts that are there are still done.
func (s *shard) shutDown(now time.Time, why error) {
	c := call.Cause{Code: call.CodeShutdown}
	if why != nil {
		c.Text = why.Error()
	}
	s.setClock(now)
	s.takePosts(true)
	s.readPorts(false)
	for _, l := range s.lines {
		s.serve(l)
		for i := range l.todo {
			l.performNext(l.todo[i:])
		}
		if !l.closed {
			l.close(c)
		}
	}
	s.removeClosed()
}

// removeClosed forgets closed timelines, but for their counts; then who closed them is told.
func (s *shard) removeClosed() {
	if !slices.ContainsFunc(s.lines, func(l *liveTimeline) bool { return l.closed }) {
		return
	}
	s.forgetClosed()
	for _, done := range s.over {
		close(done)
	}
	clear(s.over)
	s.over = s.over[:0]
}

func (s *shard) forgetClosed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = slices.DeleteFunc(s.lines, func(l *liveTimeline) bool {
		if l.closed {
			for i := range l.pub {
				s.ended.Counts.add(&l.pub[i].Counts)
			}
			s.timelines.Add(-1)
		}
		return l.closed
	})
}

// addTotals adds this shard's share.
func (s *shard) addTotals(t *Totals) {
	t.DroppedEvents += s.mail.droppedEvents()
	s.mu.Lock()
	defer s.mu.Unlock()
	t.Counts.add(&s.ended.Counts)
	t.KernelDropPackets += s.ended.KernelDropPackets
	t.Panics += s.ended.Panics
	t.Batches += s.ended.Batches
	t.Timelines += len(s.lines)
	for _, l := range s.lines {
		for i := range l.pub {
			t.Counts.add(&l.pub[i].Counts)
			if !l.pub[i].Ended {
				t.Tracks++
			}
		}
	}
}

// sweepTrack gives a track its turn; a panic ends the track and nothing else.
//
//earshot:hot
func (s *shard) sweepTrack(k *liveTrack) {
	defer s.rescueTrack(k)
	k.sweep()
}

// guard does something with a track; a panic ends the track and nothing else.
func (s *shard) guard(k *liveTrack, do func()) {
	defer s.rescueTrack(k)
	do()
}

func (s *shard) rescueTrack(k *liveTrack) {
	r := recover()
	if r == nil {
		return
	}
	s.panicked(r, attr.Call(k.line.info.ID), attr.Track(k.state.ID))
	if !k.state.Ended {
		k.close(call.Cause{Code: call.CodeInternal, Text: fmt.Sprint(r)})
	}
}

func (s *shard) panicked(r any, what ...any) {
	s.mu.Lock()
	s.ended.Panics++
	s.mu.Unlock()
	s.engine.cfg.Log.Error("panic recovered", append(what, attr.Reason(fmt.Sprint(r)), slog.String("stack", string(debug.Stack())))...)
}

// give writes a batch to every sink; one that panics is ended, the others live.
//
//earshot:hot
func (s *shard) give(l *liveTimeline, b *Batch) {
	s.mu.Lock()
	s.ended.Batches++
	s.mu.Unlock()
	dead := false
	for _, st := range l.seats {
		if !st.ended { // in Swept
			s.writeSeat(l, st, b)
		}
		dead = dead || st.ended
		if st.swept != nil && !st.owed {
			st.owed = true
			s.owing = append(s.owing, st)
		}
	}
	if dead {
		l.seats = slices.DeleteFunc(l.seats, func(st *seat) bool { return st.ended })
	}
}

//earshot:hot
func (s *shard) writeSeat(l *liveTimeline, st *seat, b *Batch) {
	defer s.rescueSeat(l, st)
	st.sink.Write(b)
}

func (s *shard) rescueSeat(l *liveTimeline, st *seat) {
	if r := recover(); r != nil {
		s.panicked(r, attr.Call(l.info.ID), attr.Sink(fmt.Sprintf("%T", st.sink)))
		s.finish(st, call.Cause{Code: call.CodeInternal, Text: fmt.Sprint(r)})
	}
}

// tellSwept tells the sinks that got something that this was all.
//
//earshot:hot
func (s *shard) tellSwept() {
	for _, st := range s.owing {
		s.tellSeat(st)
	}
	clear(s.owing)
	s.owing = s.owing[:0]
}

//earshot:hot
func (s *shard) tellSeat(st *seat) {
	defer s.rescueSwept(st)
	if st.owed = false; !st.ended {
		st.swept.Swept()
	}
}

// rescueSwept ends a sink that panicked; its timeline finds out at the next batch.
func (s *shard) rescueSwept(st *seat) {
	if r := recover(); r != nil {
		s.panicked(r, attr.Sink(fmt.Sprintf("%T", st.sink)))
		s.finish(st, call.Cause{Code: call.CodeInternal, Text: fmt.Sprint(r)})
	}
}

// finish ends a sink, once.
func (s *shard) finish(st *seat, c call.Cause) {
	if st.ended {
		return
	}
	st.ended = true
	defer func() {
		if r := recover(); r != nil {
			s.panicked(r, attr.Sink(fmt.Sprintf("%T", st.sink)))
		}
	}()
	st.sink.End(c)
}
