package media

import "time"

// maxHoles bounds the holes that a late packet may still fill: one in two packets missing, for 2 s at 10 ms, and more.
// Beyond it the oldest is closed early.
const maxHoles = 128

// hole is a run that was given out without octets.
type hole struct {
	pos, end int64
	kind     Kind          // lost, gap or masked
	at       time.Duration // when it was given out
	open     bool          // packets are missing in it: one that comes late may fill it
}

// given is where the frame captured at a time began.
type given struct {
	pos int64
	at  time.Duration
}

// past is what can still change of what was given out: down to Final.
//
// Invariant: holes lie in Pos order and don't overlap.
type past struct {
	n     int
	given []given // a ring
	next  int     // number of entries ever made in given
	slot  int     // next modulo len(given)
	holes *[maxHoles]hole
	// closed is when the newest hole was given out that was forgotten for lack of room.
	closed time.Duration
}

// add remembers a hole; nearly always the newest.
//
//earshot:hot
func (p *past) add(h hole) {
	if p.n == maxHoles {
		p.closed = max(p.closed, p.holes[0].at)
		p.remove(0)
	}
	i := p.n
	for ; i > 0 && p.holes[i-1].pos > h.pos; i-- {
		p.holes[i] = p.holes[i-1]
	}
	p.holes[i] = h
	p.n++
}

// reopen lets a packet into the hole that holds all of pos to end, though none was known to be missing.
func (p *past) reopen(pos, end int64) bool {
	for i := range p.holes[:p.n] {
		if h := &p.holes[i]; h.kind != KindMasked && h.pos <= pos && end <= h.end {
			h.open = true
			return true
		}
	}
	return false
}

//earshot:hot
func (p *past) remove(i int) {
	copy(p.holes[i:], p.holes[i+1:p.n])
	p.n--
}

// cut takes the first stretch of open hole within pos to end out of the holes, and returns it.
//
//earshot:hot
func (p *past) cut(pos, end int64) (got hole, ok bool) {
	for i := p.n - 1; i >= 0; i-- { // the newest first: what is late is mostly a little late
		h := &p.holes[i]
		if !h.open || h.end <= pos || h.pos >= end {
			continue
		}
		got = *h
		got.pos, got.end = max(pos, h.pos), min(end, h.end)
		before, after := *h, *h
		before.end, after.pos = got.pos, got.end
		p.remove(i)
		if before.pos < before.end {
			p.add(before)
		}
		if after.pos < after.end {
			p.add(after)
		}
		return got, true
	}
	return got, false
}

// prune forgets the holes that were given out before final.
//
//earshot:hot
func (p *past) prune(final time.Duration) {
	old := 0
	for old < p.n && p.holes[old].at < final {
		old++
	}
	if old > 0 {
		copy(p.holes[:], p.holes[old:p.n])
		p.n -= old
	}
}

// give remembers where the frame captured at a time began.
//
//earshot:hot
func (p *past) give(pos int64, at time.Duration) {
	p.given[p.slot] = given{pos, at}
	p.next++
	if p.slot++; p.slot == len(p.given) {
		p.slot = 0
	}
}

// oldest is the number of the oldest entry that given still holds.
func (p *past) oldest() int { return max(0, p.next-len(p.given)) }

// reach is the capture time back to which it is known what was given out, from a time on.
func (p *past) reach(from time.Duration) time.Duration {
	if p.closed > 0 {
		from = max(from, p.closed+1)
	}
	if i := p.oldest(); i > 0 {
		return max(from, p.given[i%len(p.given)].at)
	}
	return from
}
