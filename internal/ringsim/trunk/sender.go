package trunk

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	tick        = 20 * time.Millisecond
	rateHz      = 8000
	maxCatchUp  = 500 // packets of one stream in one tick, after the machine slept
	maxDelayed  = 3   // packets by which a reordered one comes later
	reseedLimit = 8   // tries for an SSRC that differs from the last
)

// sender is the sending half of a stream.
type sender struct {
	rng     *rand.Rand
	running bool
	start   time.Time // of slot 0, on the trunk's grid of ticks
	pos0    int64     // index on the source of slot 0
	slots   int64     // decided so far: sent, lost, or passed over in a pause

	ssrc    uint32
	ext     uint64 // sequence number of the next packet, unwrapped from the epoch's first, for the SRTP index
	ts0     uint32 // timestamp of slot 0, by this epoch's base
	changed bool   // the planned SSRC change is done
	marker  bool
	packets int // built, for StopAfter
	log     []Packet
	held    []heldPacket
	scratch []byte

	reported  time.Time // our newest sender report
	rtcpIndex uint32    // of SRTCP
	srs       []uint32
}

// heldPacket waits for its place behind later ones.
type heldPacket struct {
	raw    []byte
	at     int // index in the log, -1 if the log is full
	behind int // packets that go first
	twice  bool
}

// rekeyed makes the rollover counter start at zero: a new key begins a new SRTP context (RFC 4568 section 7.1).
func (d *sender) rekeyed() { d.ext &= 0xFFFF }

// sendMedia is the only sender: one ticker for all streams. Slots lie on one grid, so that two streams with one Begin are
// never off by a packet.
func (t *Trunk) sendMedia(ctx context.Context) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	origin := time.Now()
	var streams []*Stream
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := time.Now()
		grid := origin.Add(now.Sub(origin).Round(tick))
		streams = t.sending(streams[:0])
		for _, s := range streams {
			s.advance(grid, now)
		}
		clear(streams)
	}
}

// advance sends what is due at a tick. A late tick is caught up with: the grid, not the ticks, says how many.
func (s *Stream) advance(grid, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := &s.sender
	if s.stopped || !s.ready || s.agreed.refused {
		return
	}
	if !d.running {
		if !s.port.remote.IsValid() {
			return // RingCentral sends nothing before the device's first packet
		}
		s.begin(grid)
	}
	ptime := s.line.Plan.Ptime
	due := int64(grid.Sub(d.start)/ptime) + 1
	for n := 0; d.slots < due && n < maxCatchUp; n++ {
		s.slot(now)
		d.slots++
	}
	s.reportDue(now)
}

// begin starts the stream's clock.
func (s *Stream) begin(grid time.Time) {
	d, plan := &s.sender, s.line.Plan
	d.running, d.start = true, grid
	if !s.line.Begin.IsZero() {
		d.pos0 = int64(grid.Sub(s.line.Begin)/plan.Ptime) * samples(plan.Ptime)
	}
	s.epoch(0)
	if plan.StartSeq != 0 || plan.Fixed {
		d.ext = uint64(plan.StartSeq)
	}
	if plan.StartTimestamp != 0 || plan.Fixed {
		d.ts0 = plan.StartTimestamp
	}
}

// epoch takes a new SSRC, sequence and timestamp base for the slots from there on.
func (s *Stream) epoch(slot int64) {
	d := &s.sender
	old := d.ssrc
	// Not of the plan's random numbers: two streams with one seed must not have one SSRC.
	for n := 0; (d.ssrc == old || d.ssrc == 0) && n < reseedLimit; n++ {
		d.ssrc = rand.Uint32()
	}
	d.ext = uint64(rand.Uint32() & 0xFFFF)
	d.ts0 = rand.Uint32() - uint32(slot*samples(s.line.Plan.Ptime))
	d.marker = true
}

func samples(d time.Duration) int64 { return int64(d * rateHz / time.Second) }

// slot decides on one packet's time: passed over, lost, delayed, sent, sent twice.
func (s *Stream) slot(now time.Time) {
	d, plan := &s.sender, &s.line.Plan
	at := time.Duration(d.slots) * plan.Ptime
	if plan.SSRCChangeAfter > 0 && at >= plan.SSRCChangeAfter && !d.changed {
		d.changed = true
		s.flush(now) // so that no packet of the old source comes after the new one's
		s.epoch(d.slots)
	}
	if plan.StopAfter > 0 && d.packets >= plan.StopAfter {
		s.flush(now)
		return
	}
	if s.paused(at) {
		d.marker = true // RFC 3551 section 4.1: the first packet after a silence
		s.flush(now)
		return
	}
	raw, index := s.build(now)
	d.packets++
	// Every slot takes the same random numbers, so that a seed's losses do not move when another probability does.
	lost, late, twice := d.rng.Float64() < plan.Loss, d.rng.Float64() < plan.Reorder, d.rng.Float64() < plan.Duplicate
	behind := 1 + d.rng.IntN(maxDelayed)
	switch {
	case lost:
	case late:
		d.held = append(d.held, heldPacket{raw: append([]byte(nil), raw...), at: index, behind: behind, twice: twice})
		return // it does not count as one that went before
	default:
		s.put(raw, index, twice, now)
	}
	s.release(now)
}

func (s *Stream) paused(at time.Duration) bool {
	if s.quiet || !s.agreed.sends || !s.port.remote.IsValid() {
		return true
	}
	for _, p := range s.line.Plan.Pauses {
		if at >= p.After && at < p.After+p.For {
			return true
		}
	}
	return false
}

// build makes the slot's packet and its entry in the log.
func (s *Stream) build(now time.Time) (raw []byte, index int) {
	d := &s.sender
	n := samples(s.line.Plan.Ptime)
	pos := d.pos0 + d.slots*n
	p := Packet{
		Seq: uint16(d.ext), Timestamp: d.ts0 + uint32(d.slots*n), SSRC: d.ssrc, Pos: pos, Octets: int(n), At: now,
	}
	b := appendRTP(d.scratch[:0], d.marker, byte(s.agreed.law), p.Seq, p.Timestamp, p.SSRC)
	for i := range n {
		b = append(b, s.line.Source.Octet(s.agreed.law, pos+i))
	}
	if s.out != nil {
		b = s.out.seal(b, rtpHeader, d.ssrc, d.ext)
	}
	d.scratch, d.marker = b, false
	d.ext++
	if len(d.log) == maxSent {
		return b, -1
	}
	d.log = append(d.log, p)
	return b, len(d.log) - 1
}

// put sends a packet and writes down that it went.
func (s *Stream) put(raw []byte, index int, twice bool, now time.Time) {
	copies := 1
	if twice {
		copies = 2
	}
	sent := 0
	for range copies {
		if _, err := s.port.conn.WriteToUDPAddrPort(raw, s.port.remote); err == nil {
			sent++
		}
	}
	if index >= 0 {
		p := &s.sender.log[index]
		p.Delivered, p.Count, p.At = sent > 0, sent, now
	}
}

// release lets delayed packets go once enough later ones went.
func (s *Stream) release(now time.Time) {
	d := &s.sender
	kept := d.held[:0]
	for _, h := range d.held {
		if h.behind--; h.behind > 0 {
			kept = append(kept, h)
			continue
		}
		s.put(h.raw, h.at, h.twice, now)
	}
	d.held = kept
}

// flush sends what is delayed still, at the end of a stream.
func (s *Stream) flush(now time.Time) {
	for _, h := range s.sender.held {
		s.put(h.raw, h.at, h.twice, now)
	}
	s.sender.held = nil
}
