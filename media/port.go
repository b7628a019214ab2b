package media

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

const (
	// drainBatches bounds what one track may take of a sweep, so that a flood on one port does not hold up the others.
	drainBatches = 8
	// floodPause is how long the next sweep waits where that was not all there is: after SlowSweep a flood of 5,000 packets a second would
	// have pushed the call's own out of the socket's buffer.
	floodPause = 5 * time.Millisecond
	// floodRounds is how many sweeps an end waits for a socket to be empty: 8,192 packets, which is more than its buffer holds.
	floodRounds = 16
	// controlEvery is how often the RTCP port of one track is read once the track is placed, which a report may help with.
	controlEvery = 200 * time.Millisecond
)

// port is a local port, and the track or tracks on it.
type port struct {
	// Set when made, then constant.
	pair  portPair
	share *share // nil: the port is one track's own

	// Owned by the shard.
	tracks []*liveTrack
	shut   bool
	round  uint64 // of the shard, in which it was read last
	readAt time.Duration
	more   bool  // in the socket than was read then
	fell   int64 // datagrams that the kernel dropped, as far as they are in the totals
	*known       // who is where; nil of a port that is one track's own
}

func ownPort(pair portPair) *port { return &port{pair: pair} }

// join puts a track on the port. The first makes the shard read it.
func (s *shard) join(k *liveTrack) {
	p := k.port
	if len(p.tracks) == 0 {
		s.ports = append(s.ports, p)
	}
	p.tracks = append(p.tracks, k)
	if p.share != nil {
		p.meet(k, k.plan.Remote)
	}
}

// leave takes a track off its port, which is closed after the last.
func (s *shard) leave(k *liveTrack) {
	k.discard()
	p := k.port // which it may never have joined
	for i, have := range p.tracks {
		if have == k {
			p.tracks = append(p.tracks[:i], p.tracks[i+1:]...)
			break
		}
	}
	if p.share != nil {
		p.part(k, s.now)
		if !s.sharing.release(p.share, *k.plan, s.now) {
			return
		}
	}
	s.shut(p)
}

// shut closes a port.
func (s *shard) shut(p *port) {
	if p.shut {
		return
	}
	p.shut = true
	for i, have := range s.ports {
		if have == p {
			s.ports = append(s.ports[:i], s.ports[i+1:]...)
			break
		}
	}
	s.countFell(p)
	p.pair.close(s.engine.ports, s.now)
}

// readPorts takes what came to all ports. With turns it lets the timelines take their turn whose time it is as soon as all of theirs were read:
// while what came is still in the processor's cache.
//
//earshot:hot
func (s *shard) readPorts(turns bool) {
	s.flooded = false
	s.round++
	for i := 0; i < len(s.ports); i++ {
		p, ports := s.ports[i], len(s.ports)
		if p.round == s.round {
			continue
		}
		s.warmth += p.warmRoutes()
		s.readPort(p, true)
		p.round = s.round
		if turns {
			s.warmth += p.warm()
			s.turnsOf(p)
		}
		if len(s.ports) < ports { // a call ended: the ports after it have moved up
			i = -1
		}
	}
}

// turnsOf lets the timelines of a port's tracks take their turn whose time it is.
//
//earshot:hot
func (s *shard) turnsOf(p *port) {
	for i := 0; i < len(p.tracks); i++ { // one that is left out because another has gone has its turn later
		if l := p.tracks[i].line; l.mailed && s.ripe(l) && l.read(s.round) {
			s.turn(l)
		}
	}
}

// read tells whether the ports of all tracks were read in a round.
//
//earshot:hot
func (l *liveTimeline) read(round uint64) bool {
	for _, k := range l.tracks {
		if !k.state.Ended && k.port.round != round {
			return false
		}
	}
	return true
}

// flooded tells whether the port of one of the tracks has more than was read.
func (l *liveTimeline) flooded() bool {
	return slices.ContainsFunc(l.tracks, func(k *liveTrack) bool { return !k.state.Ended && k.port.more })
}

// readPort takes what came to one port; a panic costs what was read and nothing else. may: tracks may take their turn
// in between, to make room.
//
//earshot:hot
func (s *shard) readPort(p *port, may bool) {
	defer s.rescuePort(p)
	p.readAt = s.now
	if p.share == nil && !p.tracks[0].open() {
		return // SRTP whose key is still to come stays in the kernel
	}
	if p.share != nil {
		p.budget = strangerTries
	}
	all := p.drain(s, p.pair.rtp, false, may)
	s.countFell(p)
	if !all || p.pair.rtcp == nil || p.share == nil && !s.controlTurn && p.tracks[0].state.Placed {
		return
	}
	p.drain(s, p.pair.rtcp, true, may)
}

// countFell counts what the kernel dropped since it was last looked at.
//
//earshot:hot
func (s *shard) countFell(p *port) {
	n := p.pair.rtp.kernelDrops() - p.fell
	if n == 0 {
		return
	}
	p.fell += n
	s.mu.Lock()
	s.ended.KernelDropPackets += n
	s.mu.Unlock()
}

// drain reads a socket until it is empty, or until a sweep's share of it is used up: a flood on one port must not hold up the
// others. False: there was no room, or the port is shut.
//
//earshot:hot
func (p *port) drain(s *shard, from receiver, control, may bool) bool {
	p.more = true
	for range drainBatches * (1 + len(p.tracks)/8) {
		if !s.makeRoom(may) || p.shut {
			return false
		}
		n := from.readBatch(&s.batch)
		for i := range n {
			d := &s.batch.got[i]
			if at := s.arrival(d.stamp); control {
				p.handControl(s, d.octets, d.source, at)
			} else {
				p.hand(s, d.octets, d.source, at)
			}
		}
		if n < batchSize {
			p.more = false
			return true
		}
	}
	s.flooded = true
	return true
}

// makeRoom lets the tracks take their turn where the intake is full.
//
//earshot:hot
func (s *shard) makeRoom(may bool) bool {
	if s.intake.room() {
		return true
	}
	if !may {
		return false
	}
	s.turns(true)
	return true
}

// hand gives a datagram to its track.
//
//earshot:hot
func (p *port) hand(s *shard, b []byte, from netip.AddrPort, at time.Duration) {
	k, f := (*liveTrack)(nil), formMedia
	tapped := s.engine.cfg.Tap != nil
	if tapped {
		s.tapper.keep(b)
	}
	if p.share == nil {
		k = p.tracks[0]
	} else if k, b, f = p.find(s, b, from, at); k == nil && s.news() {
		k, b, f = p.find(s, b, from, at)
	}
	if k == nil {
		s.stray()
		return
	}
	if tapped {
		s.tap(k, p.pair.rtp, from, at, false)
	}
	s.intake.add(k, b, from, at, f)
}

// news takes the posts that came since the sweep began: a track that was opened meanwhile may have a packet already.
func (s *shard) news() bool {
	if s.mail.n.Load() == 0 {
		return false
	}
	s.takePosts(false)
	return true
}

// handControl gives a datagram of the RTCP port to its track.
//
//earshot:hot
func (p *port) handControl(s *shard, b []byte, from netip.AddrPort, at time.Duration) {
	var k *liveTrack
	if p.share == nil {
		k = p.tracks[0]
	} else if k = p.findControl(b, from); k == nil {
		s.stray()
		return
	}
	if s.engine.cfg.Tap != nil {
		s.tapper.keep(b)
		s.tap(k, p.pair.rtcp, from, at, true)
	}
	s.intake.add(k, b, from, at, formControl)
}

// stray counts a datagram that is no track's.
//
//earshot:hot
func (s *shard) stray() {
	s.mu.Lock()
	s.ended.Counts.StrayPackets++
	s.mu.Unlock()
}

func (s *shard) rescuePort(p *port) {
	if r := recover(); r != nil {
		s.panicked(r, "port", fmt.Sprint(p.pair.rtp.local()))
	}
}

// pull reads a track's port out of turn.
func (k *liveTrack) pull() {
	if k.open() && !k.port.shut {
		k.shard.readPort(k.port, false)
	}
}
