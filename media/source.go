package media

import (
	"net/netip"
	"time"
)

const (
	// latchPackets of an agreed payload type make a source believed where the offered one doesn't send.
	latchPackets = 2
	// relatchPackets in a row, after relatchSilence of the source we have, make us follow a source that moved. Sender
	// silence is normal, so a silence alone is no reason to believe a stranger.
	relatchPackets = 5
	relatchSilence = 500 * time.Millisecond
	// latchStep is how far sequence numbers may step between the packets of a first latch: one may be lost.
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
// port of the offered address that behaves like a sender. With SRTP the key decides, and latch only notes where packets come from.
type latch struct {
	offered netip.AddrPort // zero or unspecified address: not known
	source  netip.AddrPort // believed; zero: none yet
	heard   time.Duration  // newest packet of source
	// moving: the offered address changed and nothing came from there yet; source is taken until then.
	moving bool
	until  time.Duration
	trial  probation
}

// probation is a source that is not believed yet, with the packets that wait for it.
type probation struct {
	from  netip.AddrPort
	ssrc  uint32
	seq   uint16
	n     int
	at    time.Duration
	slots [relatchPackets]*slot
	held  int
}

// offer sets what an offer/answer exchange named. The same address keeps the latch.
func (l *latch) offer(remote netip.AddrPort, now time.Duration) {
	remote = unmap(remote)
	if remote == l.offered || !remote.IsValid() || remote.Addr().IsUnspecified() { // unspecified is hold, no address
		return
	}
	l.offered = remote
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
	if l.moving && at > l.until {
		l.moving = false
		if l.known() && l.source.Addr() != l.offered.Addr() {
			l.source = netip.AddrPort{}
		}
	}
	free := l.moving || !l.source.IsValid()
	switch {
	case from == l.source:
		l.heard = at
		return verdictTake
	case free && l.known() && from == l.offered:
		l.believe(from, at)
		return verdictTake
	case l.known() && from.Addr() != l.offered.Addr(), !agreed, !free && at-l.heard < relatchSilence:
		return verdictStray
	}
	return l.try(from, h, free, at)
}

// try counts a packet of a source that is not believed yet.
//
//earshot:hot
func (l *latch) try(from netip.AddrPort, h *header, free bool, at time.Duration) verdict {
	t := &l.trial
	need, step := relatchPackets, uint16(1)
	if free {
		need, step = latchPackets, latchStep
	}
	goesOn := from == t.from && h.ssrc == t.ssrc && h.seq-t.seq >= 1 && h.seq-t.seq <= step
	if !goesOn {
		if t.n > 0 && from != t.from && at-t.at < probationPatience {
			return verdictStray // the first to be tried keeps its turn
		}
		*t = probation{from: from, slots: t.slots, held: t.held}
	}
	t.ssrc, t.seq, t.at = h.ssrc, h.seq, at
	t.n++
	if t.n < need {
		return verdictHold
	}
	l.believe(from, at)
	return verdictTake
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
