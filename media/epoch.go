package media

import (
	"math"
	"time"

	"github.com/earshot/earshot/call"
)

const (
	// candidateSlots bounds the packets that wait for the proof of a new source.
	candidateSlots = 16
	// candidateRun packets in sequence are believed (RFC 3550 appendix A.1); againRun where they may be a replay of what
	// came before.
	candidateRun = 2
	againRun     = 5
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
	n      int
	fresh  int                   // packets since the last that fitted the track
	newest time.Duration         // arrival of the newest
	due    time.Duration         // it is believed, and moves the track then; 0: not yet
	slots  [candidateSlots]*slot // by ext
}

// goesWith tells whether a packet may be of the same source as those that wait.
func (c *candidate) goesWith(k *packet, window time.Duration) bool {
	f := c.slots[0]
	d, ts := int16(k.seq-f.seq), int64(int32(k.ts-f.ts))
	limit := samplesIn(window)
	return k.ssrc == f.ssrc && d >= -2*candidateSlots && d <= 2*candidateSlots && ts >= -limit && ts <= limit &&
		k.arrival-c.newest <= window
}

// borneOut tells whether enough that wait follow one another. What may be a replay needs more of them, at the pace of
// their timestamps: a burst of old packets proves nothing.
func (c *candidate) borneOut() bool {
	need := candidateRun
	if c.slots[0].again {
		need = againRun
	}
	if c.fresh < need {
		return false
	}
	run := 1
	for i := 1; i < c.n; i++ {
		a, b := c.slots[i-1], c.slots[i]
		if b.ext != a.ext+1 || int32(b.ts-a.ts) <= 0 {
			run = 1
			continue
		}
		if run++; run < need {
			continue
		}
		first := c.slots[i-run+1]
		if !first.again || 2*samplesIn(b.arrival-first.arrival) >= int64(int32(b.ts-first.ts)) {
			return true
		}
	}
	return false
}

// goesInto tells whether a packet is the one right after a candidate that waits, so that they go together.
//
//earshot:hot
func (c *candidate) goesInto(k *packet, window time.Duration) bool {
	if c.n == 0 || c.fresh == 0 || !k.audible() || c.slots[0].again || !c.goesWith(k, window) {
		return false
	}
	s := c.slots[c.n-1]
	return s.fit == fitNone && k.seq == s.seq+1 && k.ts == s.ts+uint32(len(s.octets))
}

// earliest is the arrival of the first that came.
func (c *candidate) earliest() time.Duration {
	t := c.slots[0].arrival
	for _, s := range c.slots[1:c.n] {
		t = min(t, s.arrival)
	}
	return t
}

// offer keeps an audio packet that fits nothing, and moves the track to it once it is borne out.
func (p *placer) offer(k *packet, f fit) {
	c := &p.cand
	if c.n > 0 && !c.goesWith(k, p.archive) {
		if c.due != 0 { // it is believed: a stray must not undo that
			p.move(k.arrival)
		} else {
			p.dropCandidate()
		}
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
		p.refuse(c.slots[0])
		copy(c.slots[:], c.slots[1:])
		c.n--
		i = max(0, i-1)
	}
	s := p.pool.keep(k)
	s.ext, s.fit = ext, f
	s.again = f == fitOldTwin ||
		k.ssrc == p.seq.ssrc && p.seq.unwrap(k.seq) <= p.seq.high && p.ref.posOf(k.ts) < p.front
	copy(c.slots[i+1:], c.slots[i:c.n])
	c.slots[i] = s
	c.n++
	c.newest = k.arrival
	c.fresh++
	if c.due == 0 && c.borneOut() {
		c.due = k.arrival
		if !p.goesOn(c.slots[0]) { // placed by arrival: by that of the quickest, so one that was slow waits for its followers
			c.due = max(c.due, c.earliest()+p.liveWait)
		}
	}
	if c.due != 0 && (k.arrival >= c.due || c.n == candidateSlots) {
		p.move(k.arrival)
	}
}

// refute tells the candidate that the track's own source goes on.
//
//earshot:hot
func (c *candidate) refute() { c.fresh, c.due = 0, 0 }

// refuse counts a packet that was not borne out, as what it then is.
func (p *placer) refuse(s *slot) {
	switch c := &p.state.Counts; s.fit {
	case fitOldTwin:
		c.DuplicatePackets++
	case fitLate:
		c.TooLatePackets++
	case fitNone, fitYes, fitTwin:
		if !p.salvage(&s.packet) {
			c.ImplausiblePackets++
		}
	}
	p.pool.release(s)
}

// salvageNumbers is how far from the highest the number of a packet may be whose timestamp alone places it.
const salvageNumbers = 64

// salvage puts a packet where its timestamp says, if nothing came for just that time in this epoch: numbers that step back by
// one or two, and are overtaken, look like a pause of the sender before the step is seen.
func (p *placer) salvage(k *packet) bool {
	s, pos := p.state, p.ref.posOf(k.ts)
	d, end := p.seq.unwrap(k.seq)-p.seq.high, pos+int64(len(k.octets))
	if !p.started || k.ssrc != p.seq.ssrc || d < -salvageNumbers || d > salvageNumbers || end > p.front ||
		len(s.Epochs) != s.EpochCount || pos < s.Epochs[len(s.Epochs)-1].Pos || !p.past.reopen(pos, end) {
		return false
	}
	p.late(k, pos, p.epoch, false)
	return true
}

func (p *placer) dropCandidate() {
	for _, s := range p.cand.slots[:p.cand.n] {
		p.refuse(s)
	}
	p.cand = candidate{}
}

// moveDue moves the track to a candidate whose time has come.
//
//earshot:hot
func (p *placer) moveDue(now time.Duration) {
	if due := p.cand.due; due != 0 && now >= due {
		p.move(due)
	}
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
	if !p.resync(c.slots[0], at) {
		p.newEpoch(&c, at)
	}
	p.losses.floor = p.seq.base
	for _, s := range c.slots[:c.n] {
		if ext, f := p.fits(&s.packet); f == fitYes {
			p.accept(&s.packet, ext)
			p.pool.release(s)
		} else {
			p.refuse(s)
		}
	}
}

// leave remembers the numbering and the clock that the track leaves at pos: their packets may still be on their way.
func (p *placer) leave(pos int64, at time.Duration) {
	p.watchLeave()
	if p.prev == nil {
		p.prev = new(pastEpoch)
	}
	p.seq.copyTo(&p.prev.seq)
	p.prev.epoch, p.prev.ref, p.prev.end, p.prev.at = p.epoch, p.ref, pos, at
}

// goesOn tells whether a packet's timestamp goes on where the track is.
func (p *placer) goesOn(s *slot) bool {
	pos := p.ref.posOf(s.ts)
	return s.ssrc == p.seq.ssrc && pos >= p.front && pos <= p.ahead(s.arrival)
}

// resync goes on in the same epoch where only the sequence number leapt: after a long outage, or a sender that counts
// anew but keeps its clock. The step, taken forward, says how many packets are missing, if the time between has room for
// them.
func (p *placer) resync(first *slot, at time.Duration) bool {
	if !p.goesOn(first) {
		return false
	}
	pos := p.ref.posOf(first.ts)
	p.leave(pos, at)
	p.unsure = true
	step := int64(first.seq - uint16(p.seq.next))
	if step*p.lastSamples <= pos-p.front {
		p.missing += step
		p.state.Counts.LostPackets += step
		p.losses.skipped = step
	}
	p.seq.restart(first.ssrc, p.seq.next+step, first.ts)
	p.ref.ext = p.seq.high
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
	p.leave(pos, at)
	p.missing = 0
	p.epoch = uint16(min(p.state.EpochCount, math.MaxUint16))
	p.seq.restart(first.ssrc, int64(first.seq), first.ts)
	p.ref = reference{first.ts, pos, p.seq.high}
	p.align.restart()
	p.enter(Epoch{SSRC: first.ssrc, Pos: pos, Timestamp: first.ts, Why: why}, first.arrival)
}

// enter writes an epoch down.
func (p *placer) enter(e Epoch, at time.Duration) {
	p.state.EpochCount++
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
	p.seq.restart(k.ssrc, int64(k.seq), k.ts)
	p.ref = reference{ts: k.ts, ext: int64(k.seq)}
	p.align.begin(k.arrival)
	p.seq.mark(int64(k.seq), k)
	p.seq.received = 1
	p.align.jitter(k.arrival, 0)
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
	p.align.jitterOf += base
	p.seq.next = p.wait.slots[0].ext
	p.seq.base, p.seq.baseTS = p.seq.next, p.ref.ts-uint32(p.ref.pos)
	p.losses.begin(p.seq.next, p.firstAt)
	p.enter(Epoch{SSRC: p.seq.ssrc, Timestamp: p.ref.ts - uint32(p.ref.pos), Why: whyFirst}, p.firstAt)
	p.release(p.firstAt + p.liveWait)
}

// pastEpoch is the stretch before the present numbering or epoch: its packets may still be on their way.
type pastEpoch struct {
	epoch uint16
	seq   sequence
	ref   reference
	end   int64
	at    time.Duration // when it ended
}

// holds tells whether a packet belongs into the past epoch, and where.
//
//earshot:hot
func (e *pastEpoch) holds(k *packet, window time.Duration) (pos int64, ok bool) {
	if e == nil || k.ssrc != e.seq.ssrc || k.arrival-e.at > window {
		return 0, false
	}
	pos = e.ref.posOf(k.ts)
	ext := e.seq.unwrap(k.seq)
	if d := ext - e.seq.high; d <= -seqWindow || d >= seqWindow || e.seq.came(ext) || (ext > e.ref.ext) != (pos > e.ref.pos) || !e.seq.between(k.ts, ext) { // number and timestamp must agree
		return 0, false
	}
	return pos, pos+int64(len(k.octets)) <= e.end && pos >= e.end-samplesIn(window)
}

// missed tells whether a packet's number was given up, and so is counted as lost.
func (e *pastEpoch) missed(k *packet) bool {
	ext := e.seq.unwrap(k.seq)
	return ext >= e.seq.base && ext < e.seq.next
}

// twin tells whether a packet came before, in the past epoch.
//
//earshot:hot
func (e *pastEpoch) twin(k *packet) bool { return e != nil && e.seq.twin(k, e.seq.unwrap(k.seq)) }
