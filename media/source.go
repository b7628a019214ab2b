package media

import (
	"net/netip"
	"time"
)

const (
	// latchPackets of an agreed payload type make a source believed where the offered one doesn't send, but not before
	// offeredPatience is over since the exchange: after a crash the far side goes on sending to the ports that the dead process
	// had, from its other ports, and the offered one begins when it has our first packet. What waits is kept, so nothing is lost.
	latchPackets    = 2
	offeredPatience = 500 * time.Millisecond
	// trialSlots is what is kept meanwhile: 500 ms at 10 ms, and more.
	trialSlots = 64
	// relatchPackets in a row, after relatchSilence of the source we have, make us follow a source that moved. Sender
	// silence is normal, so a silence alone is no reason to believe a stranger.
	relatchPackets = 5
	relatchSilence = 500 * time.Millisecond
	// latchStep is how far sequence numbers may step between the packets of a first latch, forth or back: one may be lost, another
	// overtaken.
	latchStep = 3
	// moveGrace is how long the source before is taken after a re-offer that names another: packets in flight.
	moveGrace = 2 * time.Second
	// probationPatience is how long a source on probation keeps its turn against another one.
	probationPatience = 200 * time.Millisecond
)

// verdict says what becomes of a datagram by its source.
type verdict uint8

const (
	verdictStray verdict = iota
	verdictHold          // kept until the source is believed
	verdictTake
)

// latch says which source of plain RTP is the track's: the offered address and port, or, since NAT rewrites ports, another
// port of the offered address that behaves like a sender, as long as the offered one itself doesn't send. With SRTP the key decides, and latch only notes where packets come from.
type latch struct {
	source  netip.AddrPort // believed; zero: none yet
	heard   time.Duration  // newest packet of source
	offered netip.AddrPort // zero or unspecified address: not known
	since   time.Duration  // when that was first said
	// moving: the offered address changed and nothing came from there yet; source is taken until then.
	moving bool
	until  time.Duration
	rivals *rivals
	trial  probation
}

// rivals are sources of the offered address that send beside the believed one: other senders, and no earlier or later port of the
// same. A silence of the believed one doesn't make one of them the track's. The counts are those of the Space-Saving sketch: who
// takes another's place takes its count too, so a flood from ever new ports makes none of them believed.
type rivals [8]rival

type rival struct {
	from    netip.AddrPort
	packets int // that came while the believed source was heard, or more
}

// note counts a packet.
//
//earshot:hot
func (r *rivals) note(from netip.AddrPort) {
	least := 0
	for i := range r {
		if r[i].from == from {
			r[i].packets++
			return
		}
		if r[i].packets < r[least].packets {
			least = i
		}
	}
	r[least].from = from
	r[least].packets++
}

// persists tells whether a source went on beside the believed one.
//
//earshot:hot
func (r *rivals) persists(from netip.AddrPort) bool {
	for i := range r {
		if r[i].from == from {
			return r[i].packets >= relatchPackets
		}
	}
	return false
}

// probation is a source that is not believed yet, with the packets that wait for it.
type probation struct {
	from  netip.AddrPort
	ssrc  uint32
	seq   uint16
	n     int
	held  int
	at    time.Duration
	slots []*slot // trialSlots
}

// offer sets what an offer/answer exchange named. The same address keeps the latch.
func (l *latch) offer(remote netip.AddrPort, now time.Duration) {
	remote = unmap(remote)
	if l.since == 0 {
		l.since = now
	}
	if remote == l.offered || !remote.IsValid() || remote.Addr().IsUnspecified() { // unspecified is hold, no address
		return
	}
	if l.known() {
		l.since = now
	}
	l.offered, *l.rivals = remote, rivals{}
	if l.source.IsValid() && l.source != remote {
		l.moving, l.until = true, now+moveGrace
	}
}

// known tells whether the far side's address is.
//
//earshot:hot
func (l *latch) known() bool { return l.offered.Addr().IsValid() }

// judge looks at a plain packet. agreed: its payload type is one of the exchange.
//
//earshot:hot
func (l *latch) judge(from netip.AddrPort, h *header, agreed bool, at time.Duration) verdict {
	if from == l.source && !l.moving {
		l.heard = at
		return verdictTake
	}
	if l.moving && at > l.until {
		l.moving = false
		if l.known() && l.source.Addr() != l.offered.Addr() {
			l.source = netip.AddrPort{}
		}
	}
	free := l.moving || !l.source.IsValid()
	named := l.known() && from == l.offered
	switch {
	case from == l.source:
		l.heard = at
		return verdictTake
	case free && named:
		if agreed { // else a keep-alive (RFC 6263), or a codec that we can't decode: counted, and no proof of anything
			l.believe(from, at)
		}
		return verdictTake
	case l.known() && from.Addr() != l.offered.Addr(), !agreed:
		return verdictStray
	case !free && !named && at-l.heard < relatchSilence:
		l.rivals.note(from)
		return verdictStray
	case !named && l.rivals.persists(from):
		return verdictStray
	}
	return l.try(from, h, free || named, named, at)
}

// try counts a packet of a source that is not believed yet. easy: a first latch's proof is enough; named: the offered one,
// which takes its turn from any other.
//
//earshot:hot
func (l *latch) try(from netip.AddrPort, h *header, easy, named bool, at time.Duration) verdict {
	t := &l.trial
	need, back, step := relatchPackets, int16(1), int16(1)
	if easy {
		need, back, step = latchPackets, -latchStep, latchStep
	}
	ahead := int16(h.seq - t.seq)
	goesOn := t.n > 0 && from == t.from && h.ssrc == t.ssrc && ahead >= back && ahead <= step
	if !goesOn {
		if t.n > 0 && from != t.from && !named && at-t.at < probationPatience {
			return verdictStray // the first to be tried keeps its turn
		}
		*t = probation{from: from, slots: t.slots, held: t.held}
	}
	if !goesOn || ahead > 0 { // one that was overtaken goes with the others, and leaves the newest as it is
		t.ssrc, t.seq = h.ssrc, h.seq
	}
	t.at = at
	t.n++
	if t.n < need || easy && !named && at-l.since < offeredPatience {
		return verdictHold
	}
	l.believe(from, at)
	return verdictTake
}

// ripe tells whether the source on probation is to be believed without a packet more: it sent enough, and the offered one had its
// time; or the track ends, and there will be no other.
//
//earshot:hot
func (l *latch) ripe(now time.Duration, end bool) bool {
	t := &l.trial
	return t.held > 0 && t.n >= latchPackets && !l.source.IsValid() && (end || now-l.since >= offeredPatience)
}

// believe makes a source the track's. It leaves the packets on probation to the caller.
//
//earshot:hot
func (l *latch) believe(from netip.AddrPort, at time.Duration) {
	l.source, l.heard, l.moving = from, at, false
	l.trial.n = 0
}

// sendTo is where our packets go: to the source, if there is one; else where the exchange said.
func (l *latch) sendTo() netip.AddrPort {
	if l.source.IsValid() && !l.moving {
		return l.source
	}
	return l.offered
}
