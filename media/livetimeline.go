package media

import (
	"crypto/rand"
	"encoding/base64"
	"slices"
	"sync/atomic"
	"time"

	"github.com/earshot/earshot/call"
)

// idleBatch is the longest time between two batches: Final moves on without audio too.
const idleBatch = 500 * time.Millisecond

// liveTimeline is a timeline as its shard sees it.
type liveTimeline struct {
	// Owned by the shard; what every turn needs stands together.
	closed  bool
	dirty   bool
	mailed  bool          // something came for its tracks
	samples bool          // somebody wants PCM
	opening bool          // a track's way is being opened
	unshown bool          // its states have changed since they were published
	pace    time.Duration // how long what comes may wait
	due     time.Duration // when time alone asks for the next turn
	todo    []post
	tracks  []*liveTrack // Tracks[i] has ID i+1
	seats   []*seat
	states  []TrackState  // the tracks', in the same order
	turned  time.Duration // its newest turn
	wroteAt time.Duration
	final   time.Duration // of the newest batch
	showAt  time.Duration // when states are published next
	warmed  uint64        // the round in which its sinks' memory was fetched

	droppedEvents atomic.Int64 // by any goroutine

	// Set by newLiveTimeline, then constant.
	shard *shard
	zero  time.Duration // time of sample 0

	valve    valve // owned by the shard, as the next
	withheld withheld
	memory   *memory // nil: the sinks get what comes at once

	// Set by newLiveTimeline, then constant.
	info  call.Info
	cname [cnameOctets]byte

	// pub is guarded by the shard's mu, and written by the shard only.
	pub []TrackState

	// Owned by the shard.
	cause call.Cause
}

func newLiveTimeline(s *shard, info call.Info, zero time.Duration) *liveTimeline {
	l := &liveTimeline{shard: s, info: info, zero: zero}
	l.need()
	var random [cnameOctets * 3 / 4]byte
	_, _ = rand.Read(random[:]) // never fails
	base64.StdEncoding.Encode(l.cname[:], random[:])
	return l
}

// performNext does what the first of the posts asks. What leaves a sink or a part of the call here takes along what has come until now; but where an
// agreement follows, what has come may be under that.
func (l *liveTimeline) performNext(posts []post) {
	p := &posts[0]
	leaves := p.kind == postDetach || p.kind == postMove
	if leaves && !l.closed && !slices.ContainsFunc(posts, func(p post) bool { return p.kind == postCommit }) {
		for _, k := range l.tracks {
			if !k.state.Ended {
				l.shard.guard(k, k.drain)
			}
		}
	}
	l.perform(p)
}

// perform does what a post asks.
func (l *liveTimeline) perform(p *post) {
	s := l.shard
	if l.closed {
		l.refuse(p)
		return
	}
	l.dirty = true
	switch p.kind {
	case postTimeline:
	case postOpen:
		l.adopt(p.track)
	case postCommit:
		if !p.track.state.Ended {
			s.guard(p.track, func() {
				p.track.commit(p.agree, s.now)
				p.track.takeEarly()
				if p.track.port.share == nil { // what waited in the kernel for the agreement
					p.track.pull()
				}
			})
		}
	case postEnd:
		s.guard(p.track, func() { p.track.end(call.Cause{Code: call.CodeHangup}) })
	case postAttach:
		l.seats = append(l.seats, p.seat)
		l.need()
	case postDetach:
		l.detach(p.seat, p.cause)
	case postEvent:
		if p.event.Type == call.EventDTMF {
			l.withhold(p.event, s.now, s.now)
			break
		}
		l.event(p.event)
	case postHold:
		l.mask(p)
	case postRelease:
		l.unmask(p)
	case postKeep:
		l.memory = new(memory)
	case postLeave:
		l.leave(p)
	case postParty:
		if i := int(p.from) - 1; i >= 0 && i < len(l.tracks) {
			l.tracks[i].state.Party = p.party
		}
	case postMove:
		p.track.move(p.part, p.party)
	case postClose:
		l.close(p.cause)
		s.over = append(s.over, p.done)
	}
}

// refuse answers a post to a closed timeline.
func (l *liveTimeline) refuse(p *post) {
	switch p.kind {
	case postOpen:
		l.shard.leave(p.track)
	case postAttach:
		l.shard.finish(p.seat, l.cause)
	case postHold, postRelease, postLeave:
		close(p.reply)
	case postClose:
		close(p.done)
	case postTimeline, postCommit, postEnd, postDetach, postEvent, postKeep, postParty, postMove:
	}
}

// event takes an event from outside.
func (l *liveTimeline) event(e call.Event) {
	out := l.shard.out
	at := e.Time
	out.event(e, l.shard.now)
	last := &out.events[len(out.events)-1]
	if !at.IsZero() {
		last.Time = at
	}
	if e.Call != "" {
		last.Call = e.Call
	}
}

func (l *liveTimeline) detach(st *seat, c call.Cause) {
	for _, have := range l.seats {
		if have == st {
			l.show()
			if len(l.shard.out.frames) > 0 || l.memory != nil {
				l.shard.write(l, l.final)
			}
			if l.memory != nil {
				l.handTo(st)
			}
			l.shard.write(l, l.final) // its last batch, without frames: the states as they are
			l.seats = slices.DeleteFunc(l.seats, func(have *seat) bool { return have == st })
			l.need()
			l.shard.finish(st, c)
			return
		}
	}
}

// close ends all tracks, gives out the last batch, and ends the sinks.
func (l *liveTimeline) close(c call.Cause) {
	s := l.shard
	for _, k := range l.tracks {
		s.guard(k, func() { k.end(c) })
	}
	l.tellDigits(forever)
	l.tellDropped()
	l.show()
	s.write(l, s.now)
	l.empty()
	l.closed, l.cause = true, c
	for _, st := range l.seats {
		s.finish(st, c)
	}
	l.seats = nil
}

// tellDropped tells of events that did not fit into the mailbox.
func (l *liveTimeline) tellDropped() {
	if n := l.droppedEvents.Swap(0); n > 0 {
		l.shard.out.event(call.Event{Type: call.EventDropped, Facts: map[string]any{"events": n}}, l.shard.now)
	}
}

// adopt takes a track onto the timeline: its state stands among those of the others from here on.
func (l *liveTimeline) adopt(k *liveTrack) {
	l.tracks = append(l.tracks, k)
	l.states = append(l.states, *k.state)
	for i, k := range l.tracks { // the slice may have moved
		k.state = &l.states[i]
		k.placer.state = k.state
	}
}

// showSweeps is how many sweeps the states that are seen from outside may be late.
const showSweeps = 5

// bringUp brings the states up to date. Those who look from outside see them some sweeps late, and at once when something
// happened.
//
//earshot:hot
func (l *liveTimeline) bringUp() {
	s := l.shard
	for _, k := range l.tracks {
		k.state.Length = k.placer.front
	}
	if len(s.out.events) > 0 || s.now >= l.showAt {
		l.show()
	} else {
		l.unshown = true
	}
}

// show publishes the states.
func (l *liveTimeline) show() {
	l.unshown = false
	cfg := &l.shard.engine.cfg
	l.showAt = l.shard.now + min(showSweeps*cfg.Sweep, cfg.SlowSweep-cfg.Sweep/2)
	for _, k := range l.tracks {
		k.bringUp()
	}
	l.reckon()
	l.shard.mu.Lock()
	defer l.shard.mu.Unlock()
	l.pub = append(l.pub[:0], l.states...)
}
