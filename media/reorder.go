package media

import "time"

// waitSlots bounds how many packets wait for one that is missing: 640 ms at 10 ms, where the live wait is 60 ms.
const waitSlots = 64

// reorder holds packets that came before their turn, by extended sequence number.
type reorder struct {
	n     int
	slots []*slot // waitSlots
}

// insert puts a slot in order; mostly at the end.
//
//earshot:hot
func (r *reorder) insert(c *slot) {
	i := r.n
	for ; i > 0 && r.slots[i-1].ext > c.ext; i-- {
		r.slots[i] = r.slots[i-1]
	}
	r.slots[i] = c
	r.n++
}

//earshot:hot
func (r *reorder) pop() *slot {
	c := r.slots[0]
	copy(r.slots[:], r.slots[1:r.n])
	r.n--
	r.slots[r.n] = nil
	return c
}

// earliest is the arrival of the first packet that waits: the hole before it was known from then on.
//
//earshot:hot
func (r *reorder) earliest() time.Duration {
	t := r.slots[0].arrival
	for _, c := range r.slots[1:r.n] {
		t = min(t, c.arrival)
	}
	return t
}

// hold lets a packet wait for its turn.
//
//earshot:hot
func (p *placer) hold(k *packet, ext, pos int64) {
	c := p.pool.keep(k)
	c.ext, c.pos = ext, pos
	p.wait.insert(c)
	if p.wait.n < waitSlots {
		return
	}
	if !p.started {
		p.start()
		return
	}
	p.giveUp(k.arrival)
}

// release gives out the packets whose turn it is.
//
//earshot:hot
func (p *placer) release(at time.Duration) {
	for p.wait.n > 0 && p.wait.slots[0].ext == p.seq.next {
		c := p.wait.pop()
		p.seq.next++
		p.deliver(&c.packet, c.pos, at)
		p.pool.release(c)
	}
}

// giveUp stops waiting for the packets before the first that waits.
//
//earshot:hot
func (p *placer) giveUp(at time.Duration) {
	first := p.wait.slots[0].ext
	p.missing += first - p.seq.next
	p.state.Counts.LostPackets += first - p.seq.next
	p.seq.next = first
	p.release(at)
}

// expire ends all waiting that is due at a time.
//
//earshot:hot
func (p *placer) expire(now time.Duration) {
	if !p.started {
		if now < p.firstAt+p.liveWait {
			return
		}
		p.start()
	}
	for p.wait.n > 0 {
		due := p.wait.earliest() + p.liveWait
		if due > now {
			return
		}
		p.giveUp(due)
	}
}
