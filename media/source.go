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
// port of the offered address that behaves like a sender, as long as the offered one itself doesn't send. With SRTP the key decides, and latch only notes where packets come from.
type latch struct {
	offered netip.AddrPort // zero or unspecified address: not known
	source  netip.AddrPort // believed; zero: none yet
	heard   time.Duration  // newest packet of source
	// moving: the offered address changed and nothing came from there yet; source is taken until then.
	moving bool
	until  time.Duration
	trial  probation
	rival  rival
}

// rival is a source that the offered one took the latch from.
type rival struct {
	from    netip.AddrPort
	packets int // that came while the offered one was heard
}

// persists tells whether it went on beside the offered source: then it is another sender and no earlier port of the same,
// and a silence of the offered one doesn't make it the track's.
//
//earshot:hot
func (r *rival) persists(from netip.AddrPort, heard bool) bool {
	if from != r.from {
		return false
	}
	if heard {
		r.packets++
	}
	return r.packets >= relatchPackets
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
	l.offered, l.rival = remote, rival{}
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
	named := l.known() && from == l.offered
	switch {
	case from == l.source:
		l.heard = at
		return verdictTake
	case free && named:
		l.believe(from, at)
		return verdictTake
	case l.known() && from.Addr() != l.offered.Addr(), !agreed, !free && !named && at-l.heard < relatchSilence:
		l.rival.persists(from, at-l.heard < relatchSilence)
		return verdictStray
	case l.source == l.offered && l.rival.persists(from, false):
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
	need, step := relatchPackets, uint16(1)
	if easy {
		need, step = latchPackets, latchStep
	}
	goesOn := from == t.from && h.ssrc == t.ssrc && h.seq-t.seq >= 1 && h.seq-t.seq <= step
	if !goesOn {
		if t.n > 0 && from != t.from && !named && at-t.at < probationPatience {
			return verdictStray // the first to be tried keeps its turn
		}
		*t = probation{from: from, slots: t.slots, held: t.held}
	}
	t.ssrc, t.seq, t.at = h.ssrc, h.seq, at
	t.n++
	if t.n < need {
		return verdictHold
	}
	if named && l.source.IsValid() && !l.moving {
		l.rival = rival{from: l.source}
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
