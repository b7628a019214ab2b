package media

import (
	"net/netip"
	"time"

	"github.com/pion/srtp/v3"
)

const (
	// rolloverTries is the highest roll-over counter that is tried on a source which nothing is known of: a stream that we
	// joined late has one that nobody tells (RFC 3711 section 3.3.1). 8 are 2.9 hours at 20 ms.
	rolloverTries = 8
	// rolloverPause is the time between two searches in the long run, and rolloverBurst how far ahead they may be: at 10 us
	// each no flood of forged packets takes more of a core than a thousandth.
	rolloverPause = 20 * time.Millisecond
	rolloverBurst = 200 * time.Millisecond
	// rolloverSources is how many sources a trial context may learn before it is replaced.
	rolloverSources = 64
	// keptPackets wait for the roll-over counter of their source to be found.
	keptPackets = 16
)

// rollover is the search for the roll-over counters of sources that an opener doesn't know.
type rollover struct {
	before  *opener // of the key before: a re-key resets no counter
	trial   *srtp.Context
	sources int // that trial knows
	next    time.Duration
}

// inherit lets an opener that was never used know the one before it.
func (o *opener) inherit(before *opener) {
	if o.opened {
		return
	}
	if !before.opened {
		before = before.search.before
	}
	if before != nil {
		before.search.before = nil // one back is enough
	}
	o.search.before = before
}

// knows tells whether a source's roll-over counter is known: one of its packets was opened.
//
//earshot:hot
func (o *opener) knows(ssrc uint32) bool {
	_, known := o.counter(ssrc)
	return known
}

// counter is a source's roll-over counter, if it is known.
//
//earshot:hot
func (o *opener) counter(ssrc uint32) (uint32, bool) {
	if o.cm != nil {
		return o.cm.rollover(ssrc)
	}
	return o.ctx.ROC(ssrc)
}

// setCounter makes a source known, whose next packet has a number.
func (o *opener) setCounter(ssrc, roc uint32, seq uint16) {
	if o.cm != nil {
		o.cm.learn(ssrc, uint64(roc)<<16|uint64(seq))
		return
	}
	o.ctx.SetROC(ssrc, roc)
}

// find looks which roll-over counter opens a packet of a source that is not known, and sets it. The context itself is only
// touched when a counter is proved: SetROC makes a state for an SSRC that a forger may have invented.
func (o *opener) find(dst, octets []byte, h *header, now time.Duration) bool {
	s := &o.search
	if o.knows(h.ssrc) || s.next > now+rolloverBurst {
		return false
	}
	s.next = max(s.next, now) + rolloverPause
	if s.sources++; o.cm == nil && (s.trial == nil || s.sources > rolloverSources) {
		trial, err := newContext(o.key)
		if err != nil {
			return false
		}
		s.trial, s.sources = trial, 1
	}
	if s.before != nil {
		if roc, known := s.before.counter(h.ssrc); known && (o.try(dst, octets, h, roc) || o.try(dst, octets, h, roc+1)) {
			return true
		}
	}
	for roc := uint32(1); roc <= rolloverTries; roc++ {
		if o.try(dst, octets, h, roc) {
			return true
		}
	}
	return false
}

// try opens a packet with a roll-over counter, apart from the context.
func (o *opener) try(dst, octets []byte, h *header, roc uint32) bool {
	if o.cm != nil {
		_, ok := o.cm.proves(h, octets, roc)
		if ok {
			o.setCounter(h.ssrc, roc, h.seq)
		}
		return ok
	}
	o.search.trial.SetROC(h.ssrc, roc)
	if _, err := o.search.trial.DecryptRTP(dst[:0], octets, &o.header); err != nil {
		return false
	}
	o.setCounter(h.ssrc, roc, h.seq)
	o.search.trial = nil // it takes that packet for a replay
	return true
}

// kept are datagrams that could not be opened yet.
type kept struct {
	n     int
	slots [keptPackets]*slot
}

// keep keeps a datagram whose source's roll-over counter may still be found; the oldest makes room.
func (k *liveTrack) keep(b []byte, h *header, from netip.AddrPort, at time.Duration) {
	w := &k.kept
	if w.n == keptPackets {
		k.forsake(0)
	}
	s := k.shard.pool.keep(&packet{octets: b, arrival: at})
	s.header, s.from = *h, from
	w.slots[w.n] = s
	w.n++
}

// drop takes a datagram out of those that are kept.
func (w *kept) drop(i int) *slot {
	s := w.slots[i]
	copy(w.slots[i:], w.slots[i+1:w.n])
	w.n--
	return s
}

// forsake ends the waiting of a datagram: it has failed.
func (k *liveTrack) forsake(i int) {
	s := k.kept.drop(i)
	k.authFailed(s.from)
	k.shard.pool.release(s)
}

// forsakeOld ends the waiting of those that came before a time.
//
//earshot:hot
func (k *liveTrack) forsakeOld(before time.Duration) {
	for k.kept.n > 0 && k.kept.slots[0].arrival <= before {
		k.forsake(0)
		k.dirty = true
	}
}

// opened takes a packet that was opened, after those of its source that waited for it.
//
//earshot:hot
func (k *liveTrack) opened(plain []byte, h *header, at time.Duration) {
	if k.kept.n > 0 && k.agree.recv != nil && k.agree.recv.knows(h.ssrc) {
		s := k.shard.pool.keep(&packet{octets: plain})
		k.retry(h.ssrc)
		k.packet(s.octets, h, at)
		k.shard.pool.release(s)
		return
	}
	k.packet(plain, h, at)
}

// retry opens the datagrams of a source that were kept.
func (k *liveTrack) retry(ssrc uint32) {
	for i := 0; i < k.kept.n; {
		if k.kept.slots[i].header.ssrc != ssrc {
			i++
			continue
		}
		s := k.kept.drop(i)
		if plain, ok := k.agree.recv.open(k.shard.scratch, s.octets); ok {
			k.packet(plain, &s.header, s.arrival)
		} else {
			k.authFailed(s.from)
		}
		k.shard.pool.release(s)
	}
}

// authFailed counts a packet that could not be opened.
func (k *liveTrack) authFailed(from netip.AddrPort) {
	c := &k.state.Counts
	if c.AuthFailedPackets++; c.Packets == 0 && c.AuthFailedPackets == unreadablePackets {
		k.unreadable(from)
	}
}
