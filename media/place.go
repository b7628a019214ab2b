package media

import "time"

// aheadSamples is how far a timestamp may be ahead of the arrival clock: beyond that it is a jump, and a hostile one can't
// make a run longer than this.
const aheadSamples = 10 * SampleRate

// reference is the newest audio packet: from it timestamps are unwrapped to positions.
type reference struct {
	ts  uint32
	pos int64
	ext int64 // its extended sequence number
}

// posOf is the position of a timestamp within 2^31 samples of the reference.
//
//earshot:hot
func (r *reference) posOf(ts uint32) int64 { return r.pos + int64(int32(ts-r.ts)) }

// placerEnv is what a placer works with: constant, owned by the shard.
type placerEnv struct {
	liveWait, archive time.Duration
	state             *TrackState
	pool              *slotPool
	valve             *valve
	out               *output
}

// placer puts one track's packets in place: position, reorder, loss, epochs. It is pure: packets and times in, frames out.
//
// Invariant: all positions below front are given out, without hole or overlap; waiting packets have numbers from
// seq.next on.
type placer struct {
	placerEnv

	begun   bool // a first packet came
	started bool // Pos 0 is fixed
	// unsure: the numbering changed, so that nobody knows whether packets are missing before the next.
	unsure  bool
	epoch   uint16
	firstAt time.Duration // arrival of the first packet

	ref   reference
	front int64
	// missing are packets given up or opaque since the last audio packet: how much of the next jump is loss.
	missing     int64
	lastSamples int64         // of the last audio packet
	lastAt      time.Duration // its arrival
	prev        *pastEpoch    // nil: there was none

	seq    sequence
	wait   reorder
	past   past
	losses lossWatch
	cand   candidate
	align  aligner
}

// init makes a placer ready.
func (p *placer) init(env placerEnv) {
	p.placerEnv = env
	p.seq.ts = new([seqWindow]uint32)
	p.wait.slots = make([]*slot, waitSlots)
	p.past.holes, p.past.given = new([maxHoles]hole), make([]given, env.archive/(10*time.Millisecond)+64)
	p.losses.watched = new(watched)
}

// take places one packet that is known to be the track's.
//
//earshot:hot
func (p *placer) take(k *packet) {
	if !p.begun {
		if k.audible() {
			p.begin(k)
		}
		return
	}
	p.expire(k.arrival)
	p.moveDue(k.arrival)
	fit := fitNone
	if k.ssrc == p.seq.ssrc {
		var ext int64
		if ext, fit = p.fits(k); fit == fitYes {
			if !p.isOfBefore(k, ext) && !p.cand.goesInto(k, p.archive) {
				p.accept(k, ext)
				return
			}
			fit = fitNone
		}
	}
	if fit == fitTwin || fit == fitLate {
		p.seq.received++
		p.align.jitter(k.arrival, p.ref.posOf(k.ts)) // audio: nothing else is one of these
	}
	if !k.audible() {
		return // what has no timestamp of its own can't move the track
	}
	if fit == fitNone && p.prev.twin(k) {
		fit = fitTwin
		if k.arrival-p.prev.at > p.archive {
			fit = fitOldTwin
		}
	}
	if fit == fitTwin {
		p.state.Counts.DuplicatePackets++
		return
	}
	if fit == fitNone || fit == fitLate { // a number that fits may be one of before a jump: only its timestamp tells
		if pos, ok := p.prev.holds(k, p.archive); ok {
			if ext := p.prev.seq.unwrap(k.seq); !p.losses.old || ext-seqWindow < p.losses.cursor { // else it would unmark what is not judged
				p.prev.seq.mark(ext, k)
			}
			p.late(k, pos, p.prev.epoch, p.prev.missed(k))
			return
		}
	}
	if fit == fitNone && p.seq.unwrap(k.seq) <= p.seq.high && p.salvage(k) { // a new number with an old timestamp is a clock set back
		return
	}
	p.offer(k, fit)
}

// isOfBefore tells whether a packet whose number and timestamp may stand before the numbering's first is one of before a jump.
//
//earshot:hot
func (p *placer) isOfBefore(k *packet, ext int64) bool {
	if ext >= p.seq.base {
		return false
	}
	_, ok := p.prev.holds(k, p.archive)
	return ok
}

// fit says how a packet stands to the track's sequence.
type fit uint8

const (
	fitNone    fit = iota // number and timestamp don't go together, or are far away
	fitYes                // goes on where the track is, or fills what is missing
	fitTwin               // number and timestamp came before
	fitOldTwin            // the same, longer ago than a network takes: a replay, or a sender that begins anew
	fitLate               // of a missing packet whose time is over
)

// fits tells whether a packet of the track's SSRC goes on where the track is: RFC 3550 appendix A.1 for the number, the
// arrival clock for the timestamp. The two must agree: a number from before with a timestamp from after is a sender that
// counts anew, no duplicate.
//
//earshot:hot
func (p *placer) fits(k *packet) (ext int64, f fit) {
	ext = p.seq.unwrap(k.seq)
	d := ext - p.seq.high
	if d <= -seqWindow || d >= maxDropout || d >= seqWindow && !p.started { // nobody loses so many within the first live wait
		return ext, fitNone
	}
	if !k.audible() { // events carry the timestamp of their beginning, some senders' none at all
		return ext, fitYes
	}
	pos := p.ref.posOf(k.ts)
	if pos > max(p.front, p.ahead(k.arrival)) { // what goes on at front makes no run
		return ext, fitNone
	}
	if ext > p.ref.ext && !p.seq.came(ext) {
		if pos < p.ref.pos {
			return ext, fitNone
		}
		return ext, fitYes
	}
	behind := p.ref.pos
	if p.started {
		behind = max(behind, samplesIn(k.arrival)-p.align.transit())
	}
	old := pos < behind-samplesIn(p.archive)
	switch came := p.seq.came(ext); {
	case came && !p.seq.twin(k, ext), !came && (pos >= p.ref.pos || !p.seq.between(k.ts, ext)):
		return ext, fitNone
	case came && old:
		return ext, fitOldTwin
	case came:
		return ext, fitTwin
	case old:
		return ext, fitLate
	}
	return ext, fitYes
}

// ahead is the highest position that a packet may have at an arrival: real time since the track's first packet, 0.2 % for
// a fast clock, and aheadSamples. It does not depend on any timestamp.
//
//earshot:hot
func (p *placer) ahead(arrival time.Duration) int64 {
	n := samplesIn(arrival - p.firstAt)
	return n + n/512 + aheadSamples
}

// accept takes a packet whose number fits.
//
//earshot:hot
func (p *placer) accept(k *packet, ext int64) {
	high := p.seq.high
	p.seq.received++
	if ext-seqWindow >= p.losses.floor && p.started {
		p.leap(ext)
	}
	var pos int64
	if k.audible() {
		pos = p.ref.posOf(k.ts)
		p.align.jitter(k.arrival, pos)
	}
	if !p.seq.mark(ext, k) {
		p.state.Counts.DuplicatePackets++
		return
	}
	if k.audible() {
		if ext > p.ref.ext {
			p.ref = reference{k.ts, pos, ext}
		}
		if ext > high && pos+int64(len(k.octets)) > p.front {
			p.cand.refute()
		}
	}
	if ext < high && (ext >= p.seq.next || !p.started) {
		p.state.Counts.ReorderedPackets++
	}
	switch {
	case !p.started:
		p.hold(k, ext, pos)
	case ext < p.seq.next && k.audible() && pos >= p.front && ext >= p.seq.base:
		p.belated(k, pos)
	case ext < p.seq.next:
		p.late(k, pos, p.epoch, ext >= p.seq.base)
	case ext == p.seq.next:
		p.seq.next++
		p.deliver(k, pos, k.arrival)
		p.release(k.arrival)
	default:
		p.hold(k, ext, pos)
	}
}

// deliver gives out a packet in its turn, and before it what its position leaves open.
//
//earshot:hot
func (p *placer) deliver(k *packet, pos int64, at time.Duration) {
	if !k.audible() {
		if k.opaque {
			p.missing++
		}
		return
	}
	p.align.observe(k.arrival, pos)
	n := int64(len(k.octets))
	if pos > p.front {
		p.fill(pos, n, k.arrival, at, p.missing > 0 || p.unsure)
	}
	skip := p.front - pos
	if skip >= n { // wholly behind: a clock set back, if a second one follows
		p.offer(k, fitNone)
		return
	}
	if skip > 0 {
		p.state.Counts.OverlapPackets++
	}
	p.missing, p.unsure, p.lastSamples, p.lastAt = 0, false, n, k.arrival
	p.give(k, skip)
}

// give gives out a packet from its skip-th sample on, at front.
//
//earshot:hot
func (p *placer) give(k *packet, skip int64) {
	n := int64(len(k.octets)) - skip
	f := Frame{Track: p.state.ID, Kind: KindReceived, Law: k.law, Epoch: p.epoch, Pos: p.front, Captured: k.arrival}
	if p.held(k.arrival, p.front) {
		f.Kind, f.Law = KindMasked, LawNone
		p.run(f, n, false)
		return
	}
	p.out.audio(f, k.octets[skip:])
	p.past.give(p.front, k.arrival)
	p.state.Counts.ReceivedSamples += n
	p.front += n
}

// fill gives out what lies between front and pos: as much as the missing packets would have held is lost, the rest a gap.
// Which of the two came first nobody can tell from here: lost first, gap after. A missing packet is taken to be as long
// as the longer of its neighbours. With open a late packet may still fill the run.
//
//earshot:hot
func (p *placer) fill(pos, n int64, arrival, at time.Duration, open bool) {
	lost := min(pos-p.front, p.missing*max(p.lastSamples, n))
	f := Frame{Track: p.state.ID, Kind: KindLost, Epoch: p.epoch, Captured: at}
	masked := p.valve.masked(min(p.lastAt, arrival), max(p.lastAt, arrival))
	if masked { // spoken within the mask: it must not come out as late either
		f.Kind = KindMasked
	}
	open = open && !masked
	if lost > 0 {
		f.Pos = p.front
		p.run(f, lost, open)
	}
	if rest := pos - p.front; rest > 0 {
		f.Pos = p.front
		if !masked {
			f.Kind = KindGap
		}
		p.run(f, rest, open)
	}
}

// run gives out a frame without octets at front.
//
//earshot:hot
func (p *placer) run(f Frame, n int64, open bool) {
	f.Samples = n
	p.out.run(f)
	p.past.add(hole{pos: f.Pos, end: f.Pos + n, kind: f.Kind, at: f.Captured, open: open})
	p.past.give(f.Pos, f.Captured)
	*p.samples(f.Kind) += n
	p.front += n
}

// samples is the counter of a kind.
//
//earshot:hot
func (p *placer) samples(k Kind) *int64 {
	c := &p.state.Counts
	switch k {
	case KindLost:
		return &c.LostSamples
	case KindGap:
		return &c.GapSamples
	case KindMasked:
		return &c.MaskedSamples
	case KindReceived, KindLate:
	}
	return &c.ReceivedSamples
}

// belated gives out a packet that was given up, but whose place is not given out: no audio packet came after it. Those
// missing before it are lost with it, those after it are still to be placed.
//
//earshot:hot
func (p *placer) belated(k *packet, pos int64) {
	p.state.Counts.LostPackets--
	p.state.Counts.ReorderedPackets++
	left, before := max(0, p.missing-1), (pos-p.front)/int64(len(k.octets))
	if pos > p.front {
		before = max(1, before) // a short one leaves a hole too
	}
	p.missing = min(left, before)
	left -= p.missing
	p.deliver(k, pos, k.arrival)
	p.missing = left
}

// late puts a packet that was given up into what is still open of its place, each sample at most once. counted: it stands
// among the lost packets.
//
//earshot:hot
func (p *placer) late(k *packet, pos int64, epoch uint16, counted bool) {
	c := &p.state.Counts
	if !k.audible() {
		if counted {
			c.LostPackets--
		}
		return
	}
	end, hit := pos+int64(len(k.octets)), false
	for {
		h, ok := p.past.cut(pos, end)
		if !ok {
			break
		}
		hit = true
		f := Frame{Track: p.state.ID, Kind: KindLate, Law: k.law, Epoch: epoch, Pos: h.pos, Captured: k.arrival}
		*p.samples(h.kind) -= h.end - h.pos
		if p.held(k.arrival, h.pos) {
			f.Kind, f.Law, f.Samples = KindMasked, LawNone, h.end-h.pos
			c.MaskedSamples += f.Samples
			h.kind, h.open = KindMasked, false
			p.past.add(h)
			p.out.run(f)
			continue
		}
		c.ReceivedSamples += h.end - h.pos
		c.LateSamples += h.end - h.pos
		p.out.audio(f, k.octets[h.pos-pos:h.end-pos])
	}
	if !hit {
		c.TooLatePackets++
		return
	}
	c.LatePackets++
	if counted {
		c.LostPackets--
	}
}

// tick does what time alone does, up to now.
//
//earshot:hot
func (p *placer) tick(now time.Duration) {
	if !p.begun {
		return
	}
	p.expire(now)
	p.moveDue(now)
	if age := now - p.cand.newest; p.cand.n > 0 && (age > p.archive || p.cand.fresh == 0 && age > p.archive/4) {
		p.dropCandidate()
	}
	p.past.prune(now - p.archive)
	p.watch(now)
}

// flush gives out everything at once: what is missing is lost.
func (p *placer) flush(now time.Duration) {
	if !p.begun {
		return
	}
	if !p.started {
		p.start()
	}
	for p.wait.n > 0 {
		p.giveUp(now)
	}
	if p.cand.due != 0 {
		p.move(now)
	}
	p.dropCandidate()
	p.watchEnd()
}
