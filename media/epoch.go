package media

import (
	"time"

	"github.com/earshot/earshot/call"
)

const (
	// candidateSlots bounds the packets that wait for the proof of a new source.
	candidateSlots = 8
	// maxEpochs bounds the list in TrackState, and with it the events: what comes after is only counted.
	maxEpochs = 256
)

// Why an epoch began; stands in Epoch.Why and in the manifest.
const (
	whyFirst = "first"
	whySSRC  = "ssrc"
	whyJump  = "jump"
)

// candidate holds packets that fit nothing: of a new SSRC, or of the track's with a leap in number or timestamp. Two in
// sequence with nothing of the track between them are believed (RFC 3550 appendix A.1), and then none of them is lost.
type candidate struct {
	slots [candidateSlots]*slot // by ext
	n     int
	fresh int // packets since the last that fitted the track
}

// goesWith tells whether a packet may be of the same source as those that wait.
func (c *candidate) goesWith(k *packet, window time.Duration) bool {
	f := c.slots[0]
	d, ts := int16(k.seq-f.seq), int64(int32(k.ts-f.ts))
	limit := samplesIn(window)
	return k.ssrc == f.ssrc && d >= -2*candidateSlots && d <= 2*candidateSlots && ts >= -limit && ts <= limit &&
		k.arrival-c.slots[c.n-1].arrival <= window
}

// inSequence tells whether two that wait follow one another.
func (c *candidate) inSequence() bool {
	for i := 1; i < c.n; i++ {
		a, b := c.slots[i-1], c.slots[i]
		if b.ext == a.ext+1 && int32(b.ts-a.ts) > 0 {
			return true
		}
	}
	return false
}

// offer keeps an audio packet that fits nothing, and moves the track to it once it is borne out.
func (p *placer) offer(k *packet) {
	c := &p.cand
	if c.n > 0 && !c.goesWith(k, p.archive) {
		p.dropCandidate()
	}
	ext := int64(k.seq)
	if c.n > 0 {
		ext = c.slots[0].ext + int64(int16(k.seq-c.slots[0].seq))
	}
	i := c.n
	for i > 0 && c.slots[i-1].ext > ext {
		i--
	}
	if i > 0 && c.slots[i-1].ext == ext {
		p.state.Counts.DuplicatePackets++
		return
	}
	if c.n == candidateSlots {
		p.pool.release(c.slots[0])
		copy(c.slots[:], c.slots[1:])
		c.n--
		i = max(0, i-1)
		p.state.Counts.ImplausiblePackets++
	}
	s := p.pool.keep(k)
	s.ext = ext
	copy(c.slots[i+1:], c.slots[i:c.n])
	c.slots[i] = s
	c.n++
	if c.fresh++; c.fresh >= 2 && c.inSequence() {
		p.move(k.arrival)
	}
}

func (p *placer) dropCandidate() {
	p.state.Counts.ImplausiblePackets += int64(p.cand.n)
	for _, s := range p.cand.slots[:p.cand.n] {
		p.pool.release(s)
	}
	p.cand = candidate{}
}

// move makes the candidate the track's source.
func (p *placer) move(at time.Duration) {
	c := p.cand
	p.cand = candidate{}
	if !p.started {
		p.start()
	}
	for p.wait.n > 0 {
		p.giveUp(at)
	}
	if !p.resync(c.slots[0]) {
		p.newEpoch(&c, at)
	}
	for _, s := range c.slots[:c.n] {
		if ext, ok := p.fits(&s.packet); ok {
			p.accept(&s.packet, ext)
		} else {
			p.state.Counts.ImplausiblePackets++
		}
		p.pool.release(s)
	}
}

// resync goes on in the same epoch where only the sequence number leapt: after a long outage, or a sender that counts
// anew but keeps its clock. The step, taken forward, says how many packets are missing, if the time between has room for
// them.
func (p *placer) resync(first *slot) bool {
	pos := p.ref.posOf(first.ts)
	if first.ssrc != p.seq.ssrc || pos < p.front || pos > p.ahead(first.arrival) {
		return false
	}
	step := int64(first.seq - uint16(p.seq.next))
	if step*p.lastSamples <= pos-p.front {
		p.missing += step
		p.state.Counts.LostPackets += step
	}
	p.seq.restart(first.ssrc, p.seq.next+step)
	return true
}

// newEpoch starts a stretch under another SSRC or timestamp base, placed by arrival: where the old clock would be at the
// arrival of the new one's quickest packet; never before front.
func (p *placer) newEpoch(c *candidate, at time.Duration) {
	first := c.slots[0]
	arrived := samplesIn(first.arrival)
	for _, s := range c.slots[1:c.n] {
		arrived = min(arrived, samplesIn(s.arrival)-int64(int32(s.ts-first.ts)))
	}
	pos := max(p.front, min(arrived-p.align.transit(), p.ahead(first.arrival)))
	why := whyJump
	if first.ssrc != p.seq.ssrc {
		why = whySSRC
		p.state.Counts.SSRCChanges++
	}
	if pos > p.front {
		p.fill(pos, p.lastSamples, first.arrival, at, true) // open: its first packets may have been overtaken
	}
	p.prev = pastEpoch{ssrc: p.seq.ssrc, epoch: p.epoch, ref: p.ref, end: p.front, at: at}
	p.missing = 0
	p.epoch++
	p.seq.restart(first.ssrc, int64(first.seq))
	p.ref = reference{first.ts, pos}
	p.align.restart()
	p.enter(Epoch{SSRC: first.ssrc, Pos: pos, Timestamp: first.ts, Why: why}, first.arrival)
}

// enter writes an epoch down.
func (p *placer) enter(e Epoch, at time.Duration) {
	if len(p.state.Epochs) == maxEpochs {
		return
	}
	p.state.Epochs = append(p.state.Epochs, e)
	if e.Why == whyFirst {
		return // the track's start says it
	}
	p.out.event(call.Event{
		Type: call.EventTrackEpoch, Leg: p.state.Leg, Track: uint32(p.state.ID), Pos: e.Pos,
		Facts: map[string]any{"epoch": len(p.state.Epochs) - 1, "ssrc": e.SSRC, "why": e.Why},
	}, at)
}

// begin takes the track's first audio packet. Pos 0 is not fixed yet: an earlier one may be on its way.
func (p *placer) begin(k *packet) {
	p.begun, p.firstAt, p.lastAt = true, k.arrival, k.arrival
	p.seq.restart(k.ssrc, int64(k.seq))
	p.ref = reference{ts: k.ts}
	p.align.begin(k.arrival)
	p.seq.mark(int64(k.seq))
	p.hold(k, int64(k.seq), 0)
	if p.liveWait == 0 && !p.started {
		p.start()
	}
}

// start fixes Pos 0 at the earliest packet that has come.
func (p *placer) start() {
	p.started = true
	var base int64
	for _, s := range p.wait.slots[:p.wait.n] {
		if s.audible() {
			base = min(base, s.pos)
		}
	}
	for _, s := range p.wait.slots[:p.wait.n] {
		s.pos -= base
	}
	p.ref.pos -= base
	p.seq.next = p.wait.slots[0].ext
	p.enter(Epoch{SSRC: p.seq.ssrc, Timestamp: p.ref.ts - uint32(p.ref.pos), Why: whyFirst}, p.firstAt)
	p.release(p.firstAt + p.liveWait)
}

// pastEpoch is the epoch before the present one: its packets may still be on their way.
type pastEpoch struct {
	ssrc  uint32
	epoch uint16
	ref   reference
	end   int64
	at    time.Duration // when it ended
}

// holds tells whether a packet belongs into the past epoch, and where.
//
//earshot:hot
func (e *pastEpoch) holds(k *packet, window time.Duration) (pos int64, ok bool) {
	if k.ssrc != e.ssrc || e.at == 0 || k.arrival-e.at > window {
		return 0, false
	}
	pos = e.ref.posOf(k.ts)
	return pos, pos+int64(len(k.octets)) <= e.end && pos >= e.end-samplesIn(window)
}
