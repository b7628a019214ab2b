package media

import (
	"context"
	"time"
)

// run sweeps until ctx ends, and then closes what is left.
func (s *shard) run(ctx context.Context) {
	last := time.Now()
	timer := time.NewTimer(s.engine.cfg.Sweep)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			s.sweptNow()
			last = time.Now()
			s.sweep(last)
			timer.Reset(time.Until(last.Add(s.next())))
		case <-s.wake:
			s.attend(time.Now())
		case <-s.mail.wake:
			timer.Reset(time.Until(last.Add(s.engine.cfg.Sweep)))
		case <-ctx.Done():
			s.shutDown(time.Now(), context.Cause(ctx))
			return
		}
	}
}

// sweptNow notes when a sweep begins.
func (s *shard) sweptNow() {
	now := int64(s.engine.Now())
	if before := s.sweptAt.Swap(now); before != 0 && now-before > s.worst.Load() {
		s.worst.Store(now - before)
	}
}

// next is how long the next sweep may wait.
//
//earshot:hot
func (s *shard) next() time.Duration {
	if s.flooded {
		return min(s.every, floodPause)
	}
	return s.every
}

// nudge asks for attend. It never blocks.
func (s *shard) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// attend is a sweep of the timelines that have posts, and of no others. RingCentral sends nothing before our first packet: a
// new agreement that waited for the sweep would lose half of one on average. What ends something waits for the sweep: it reads what has come until then.
func (s *shard) attend(now time.Time) {
	s.setClock(now)
	s.takePosts(false)
	if s.clock.stepped { // the older stamps can be told in this sweep only
		s.readPorts(false)
		s.turns(true)
	}
	for _, l := range s.lines {
		if len(l.todo) > 0 {
			s.turn(l)
		}
	}
	s.tellSwept()
	s.removeClosed()
}

// performDue does what the posts ask, down to the first that ends something and whose time has not come: what came before it was asked for is
// to be read first, whoever's turn it is that makes room, and the posts after it keep their order.
func (s *shard) performDue(l *liveTimeline) {
	n := 0
	for ; n < len(l.todo) && !l.closed; n++ {
		if p := &l.todo[n]; p.ends() && (p.round == s.round || !l.read(s.round) || s.round-p.round < floodRounds && l.flooded()) {
			break
		}
		l.performNext(l.todo[n:])
	}
	if l.closed { // refuses the rest
		for ; n < len(l.todo); n++ {
			l.perform(&l.todo[n])
		}
	}
	rest := copy(l.todo, l.todo[n:])
	clear(l.todo[rest:])
	l.todo = l.todo[:rest]
}

// ends tells whether something gets nothing more after this post.
func (p post) ends() bool {
	switch p.kind {
	case postClose, postEnd, postDetach, postMove:
		return true
	case postTimeline, postOpen, postCommit, postAttach, postEvent, postHold, postRelease, postKeep, postLeave, postParty:
	}
	return false
}

// sweep is one look at everything.
//
//earshot:hot
func (s *shard) sweep(now time.Time) {
	s.setClock(now)
	s.takePosts(false)
	if s.controlTurn = s.now >= s.controlAt; s.controlTurn {
		s.controlAt = s.now + controlEvery
	}
	s.readPorts(true)
	s.controlTurn = false
	s.turns(false)
	s.tellSwept()
	s.reportDue()
	s.removeClosed()
}

// turns lets the timelines take their turn that have something to do and whose time it is, or all that have something to do; and says when
// the next sweep is: so that nobody waits longer than he may.
//
//earshot:hot
func (s *shard) turns(all bool) {
	every := s.engine.cfg.SlowSweep
	for _, l := range s.lines {
		if !l.closed && (len(l.todo) > 0 || (l.mailed || s.now >= l.due && s.now > l.turned) && (all || s.ripe(l))) {
			s.turn(l)
		}
		if !l.closed {
			every = min(every, l.wait())
		}
	}
	s.every = max(every, s.engine.cfg.Sweep)
}

// turn is one timeline's turn: posts, tracks, batch.
//
//earshot:hot
func (s *shard) turn(l *liveTimeline) {
	s.serve(l)
	l.mailed = false
	s.performDue(l)
	if l.closed {
		return
	}
	l.due, l.opening = forever, false
	for _, k := range l.tracks {
		if k.state.Ended {
			continue
		}
		s.sweepTrack(k)
		l.dirty = l.dirty || k.dirty
		k.dirty = false
		l.due = min(l.due, k.due(s.now))
		l.opening = l.opening || k.silence.left > 0 && k.agree != nil
	}
	if len(l.withheld.digits) > 0 {
		l.tellDigits(s.now - s.engine.cfg.ArchiveWindow)
		l.dirty = true
	}
	if l.droppedEvents.Load() > 0 {
		l.tellDropped()
	}
	if l.dirty || len(s.out.frames) > 0 || len(s.out.events) > 0 || s.now-l.wroteAt >= idleBatch {
		s.write(l, s.now-s.engine.cfg.ArchiveWindow)
	} else if l.unshown && s.now >= l.showAt {
		l.show()
	}
	l.due = min(l.due, l.wroteAt+idleBatch)
	if l.unshown {
		l.due = min(l.due, l.showAt)
	}
	l.turned = s.now
}

// due is when time alone asks for the track's turn: at once while anything of it is open.
//
//earshot:hot
func (k *liveTrack) due(now time.Duration) time.Duration {
	p := k.placer
	if k.kept.n > 0 || k.latch.trial.held > 0 || k.digits.active || k.strays.told != k.state.Counts.StrayPackets ||
		p.begun && (!p.started || !p.align.placed || p.wait.n > 0 || p.cand.n > 0 || p.past.n > 0) {
		return now
	}
	if k.agree == nil || k.silence.next == 0 {
		return forever
	}
	return k.silence.next
}
