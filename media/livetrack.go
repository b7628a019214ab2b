package media

import (
	"net/netip"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/attr"
)

const (
	// unreadablePackets that fail before the first is opened are a fault that a human should know of: 1 s of audio.
	unreadablePackets = 50
	// strayPause is the least time between two stray events of a track.
	strayPause = 10 * time.Second
	// typesGrace is how long payload types that were agreed before are still understood, where their number has no other
	// meaning; removeGrace is how long a line that was taken away is still read: for packets in flight.
	typesGrace  = 2 * time.Second
	removeGrace = 2 * time.Second
)

// liveTrack is a track as its shard sees it: all that a packet meets between socket and frame. A thousand of them don't fit into a near cache, so
// what every turn needs stands together.
type liveTrack struct {
	// Owned by the shard; seldom needed.
	types   *[128]Codec      // payload types agreed before, until typesEnd; nil: there were none
	early   *early           // what came before the commit; nil: nothing
	sources []netip.AddrPort // known as its own on a shared port
	reports reporter
	kept    kept
	digits  digits
	dialled dialled

	// Set by newLiveTrack, then constant.
	plan   *Plan
	port   *port
	line   *liveTimeline
	shard  *shard
	placer *placer // stands behind it

	// Owned by the shard; needed at every turn.
	first, last int32         // of what waits in the intake, by index plus 1; 0: nothing
	state       *TrackState   // among its timeline's states, once it is on it
	agree       *agreement    // nil before the first commit
	old         *oldKey       // the keys before, the newest first
	removedAt   time.Duration // when the line was taken away, if agree says so
	typesEnd    time.Duration
	dirty       bool
	found       netip.AddrPort // the latch's source, as the port knows it
	silence     silencer
	strays      strayReport
	latch       latch
}

// strayReport bounds the events about strays.
type strayReport struct {
	told   int64
	next   time.Duration
	newest time.Duration
}

func newLiveTrack(l *liveTimeline, p Plan, at *port) *liveTrack {
	s := l.shard
	p.Remote = unmap(p.Remote)
	room := new(struct {
		liveTrack
		placer
	})
	k := &room.liveTrack
	k.line, k.shard, k.plan, k.port, k.silence = l, s, &p, at, newSilencer(s.engine.cfg.Keepalive)
	k.latch.rivals, k.latch.trial.slots = new(rivals), make([]*slot, trialSlots)
	k.state = &TrackState{Leg: p.Leg, Line: p.Line, Party: p.Party, Part: p.Part}
	k.placer = &room.placer
	k.placer.init(placerEnv{
		liveWait: s.engine.cfg.LiveWait, archive: s.engine.cfg.ArchiveWindow,
		state: k.state, pool: &s.pool, valve: &l.valve, out: s.out,
	})
	return k
}

// commit puts an agreement in force.
func (k *liveTrack) commit(a *agreement, now time.Duration) {
	before := k.agree
	if a.removed {
		k.remove(a, now)
		return
	}
	k.agree, k.dirty = a, true
	k.latch.offer(a.params.Remote, now)
	if k.port.share != nil {
		k.port.agreed(k)
	}
	k.state.SRTP = a.send != nil
	e := call.Event{Type: call.EventTrackOpened, Leg: k.state.Leg, Track: uint32(k.state.ID)}
	if before == nil {
		k.state.OpenedAt = a.at
		e.Facts = map[string]any{
			"party_id": k.state.Party.ID, "role": k.state.Party.Role.String(), "codec": a.silence.String(), "srtp": k.state.SRTP,
		}
		k.silence.begin(now)
		k.shard.out.event(e, a.at)
		return
	}
	if before.recv != nil && before.recv != a.recv {
		k.retire(before.recv, now)
		if a.recv != nil {
			a.recv.inherit(before.recv)
		}
	}
	k.keepTypes(before, now)
	changed := before.changes(a)
	if len(changed) == 0 {
		return
	}
	if before.params.Inactive && !a.params.Inactive || before.params.Remote != a.params.Remote {
		k.silence.begin(now)
	}
	k.updated(changed, a.at)
}

func (k *liveTrack) updated(changed []string, at time.Duration) {
	k.shard.out.event(call.Event{
		Type: call.EventTrackUpdated, Leg: k.state.Leg, Track: uint32(k.state.ID), Pos: k.placer.front,
		Facts: map[string]any{"changed": changed},
	}, at)
}

// keepTypes keeps the payload types of the agreement before for a while: packets of them are in flight (RFC 3264 section
// 8.3.2).
func (k *liveTrack) keepTypes(before *agreement, now time.Duration) {
	if k.types == nil {
		k.types = new([128]Codec)
	}
	if now > k.typesEnd {
		clear(k.types[:])
	}
	for pt, c := range before.codecs {
		if c != 0 {
			k.types[pt] = c
		}
	}
	k.typesEnd = now + typesGrace
}

// codec is what a payload type means at an arrival.
//
//earshot:hot
func (k *liveTrack) codec(pt uint8, at time.Duration) Codec {
	if c := k.agree.codec(pt); c != 0 || at > k.typesEnd || k.types == nil {
		return c
	}
	return k.types[pt&0x7f]
}

// remove is the commit of an agreement that takes the line away.
func (k *liveTrack) remove(a *agreement, now time.Duration) {
	k.dirty = true
	switch {
	case k.agree == nil: // it never was: nothing is in flight
		k.agree, k.removedAt, k.state.OpenedAt = a, now-removeGrace, a.at
		k.shard.out.event(call.Event{
			Type: call.EventTrackOpened, Leg: k.state.Leg, Track: uint32(k.state.ID), Facts: map[string]any{"removed": true},
		}, a.at)
	case !k.agree.removed:
		k.agree, k.removedAt = k.agree.without(), now
		k.updated([]string{"removed"}, a.at)
	}
}

// gone tells whether the line was taken away so long ago that nothing of it is on its way.
//
//earshot:hot
func (k *liveTrack) gone(at time.Duration) bool {
	return k.agree.removed && at > k.removedAt+removeGrace
}

// changes names what another agreement changes.
func (a *agreement) changes(b *agreement) (names []string) {
	for _, c := range []struct {
		name string
		is   bool
	}{
		{"remote", a.params.Remote != b.params.Remote},
		{"payloads", a.codecs != b.codecs},
		{"key", a.recv != b.recv || a.send != b.send},
		{"direction", a.params.Receive != b.params.Receive || a.params.Inactive != b.params.Inactive},
	} {
		if c.is {
			names = append(names, c.name)
		}
	}
	return names
}

// open tells whether the track may have packets to read.
func (k *liveTrack) open() bool { return k.agree != nil && !k.agree.waits() && !k.state.Ended }

// datagram takes one datagram: source, SRTP, header.
//
//earshot:hot
func (k *liveTrack) datagram(b []byte, from netip.AddrPort, at time.Duration) {
	c := &k.state.Counts
	if isRTCP(b) {
		k.rtcp(b, from, at)
		return
	}
	if k.gone(at) {
		k.stray(1, at)
		return
	}
	h, ok := parseHeader(b)
	if !ok {
		c.MalformedPackets++
		return
	}
	if k.agree.recv != nil || k.old != nil {
		if plain, ok := k.unseal(b, &h, at); ok {
			k.latch.believe(from, at) // whatever authenticates may move us
			k.opened(plain, &h, at)
			return
		}
		if k.agree.recv != nil {
			k.sealed(b, &h, from, at)
			return
		}
	}
	k.plain(b, &h, from, at)
}

// sealed takes a packet that can't be opened.
func (k *liveTrack) sealed(b []byte, h *header, from netip.AddrPort, at time.Duration) {
	switch p := k.placer; {
	case h.ssrc == p.seq.ssrc && p.seq.came(p.seq.unwrap(h.seq)):
		k.state.Counts.DuplicatePackets++
	case k.agree.recv.knows(h.ssrc):
		k.authFailed(from)
	default:
		k.keep(b, h, from, at)
	}
}

// unreadable tells a human, once, that nothing of what comes can be opened: the key is not the sender's, or its roll-over
// counter is beyond what we try.
func (k *liveTrack) unreadable(from netip.AddrPort) {
	k.shard.engine.cfg.Log.Warn("srtp can't be read", attr.Call(k.line.info.ID), attr.Leg(k.state.Leg), attr.Track(k.state.ID),
		attr.Remote(from))
}

// plain takes a packet without SRTP, if its source is the track's.
//
//earshot:hot
func (k *liveTrack) plain(b []byte, h *header, from netip.AddrPort, at time.Duration) {
	verdict := k.latch.judge(from, h, k.codec(h.pt, at) != 0, at)
	t := &k.latch.trial
	if verdict == verdictHold {
		if t.n == 1 {
			k.dropTrial(at)
		}
		k.holdTrial(b, h, at)
		return
	}
	if verdict == verdictStray {
		k.stray(1, at)
		return
	}
	if t.held > 0 && t.n == 0 {
		k.endTrial(from, at)
	}
	k.packet(b, h, at)
}

// holdTrial keeps a packet until its source is believed; the oldest makes room.
func (k *liveTrack) holdTrial(b []byte, h *header, at time.Duration) {
	t := &k.latch.trial
	if t.held == trialSlots {
		k.stray(1, at)
		k.shard.pool.release(t.slots[0])
		copy(t.slots[:], t.slots[1:])
		t.held--
	}
	s := k.shard.pool.keep(&packet{octets: b, arrival: at})
	s.header = *h
	t.slots[t.held] = s
	t.held++
}

// ripenTrial takes the packets of a source whose time of probation is over.
//
//earshot:hot
func (k *liveTrack) ripenTrial(now time.Duration, end bool) {
	if l := &k.latch; l.ripe(now, end) {
		from := l.trial.from
		l.believe(from, l.trial.at)
		k.endTrial(from, now)
		k.dirty = true
	}
}

// endTrial takes the packets of a source that is believed from now on.
func (k *liveTrack) endTrial(from netip.AddrPort, at time.Duration) {
	t := &k.latch.trial
	if t.from != from {
		k.dropTrial(at)
		return
	}
	for _, s := range t.slots[:t.held] {
		k.packet(s.octets, &s.header, s.arrival)
		k.shard.pool.release(s)
	}
	t.held = 0
}

func (k *liveTrack) dropTrial(at time.Duration) {
	t := &k.latch.trial
	k.stray(int64(t.held), at)
	for _, s := range t.slots[:t.held] {
		k.shard.pool.release(s)
	}
	t.held = 0
}

//earshot:hot
func (k *liveTrack) stray(n int64, at time.Duration) {
	k.state.Counts.StrayPackets += n
	k.strays.newest = at
}

// unseal opens an SRTP packet with the key, or for a while with the key before, or once its roll-over counter is found.
//
//earshot:hot
func (k *liveTrack) unseal(b []byte, h *header, at time.Duration) ([]byte, bool) {
	recv := k.agree.recv
	if recv != nil {
		if plain, ok := recv.open(k.shard.scratch, b); ok {
			return plain, true
		}
	}
	if plain, ok := k.oldOpens(b, at); ok {
		return plain, true
	}
	if recv != nil && recv.find(k.shard.scratch, b, h, at) {
		return recv.open(k.shard.scratch, b)
	}
	return nil, false
}

// packet takes an RTP packet that is the track's: payload type first.
//
//earshot:hot
func (k *liveTrack) packet(b []byte, h *header, at time.Duration) {
	c := &k.state.Counts
	c.Packets++
	k.state.Heard = max(k.state.Heard, at)
	payload, ok := payloadOf(h, b)
	c.Octets += int64(len(payload))
	p := packet{ssrc: h.ssrc, seq: h.seq, ts: h.ts, arrival: at}
	switch codec := k.codec(h.pt, at); {
	case !ok, len(payload) > slotOctets:
		c.MalformedPackets++
		p.opaque = true
	case codec == CodecEvent:
		k.event(&p, payload)
	case codec == CodecNoise:
		c.ComfortPackets++
	case codec == 0:
		c.UnknownPTPackets++
		p.opaque = true
	case len(payload) == 0, len(payload) == eventOctets: // a telephone-event under the wrong number is no audio
		c.MalformedPackets++
	default:
		p.law, p.octets = lawOf(codec), payload
		k.state.Law = p.law
	}
	begun := k.placer.begun
	k.placer.take(&p)
	if k.placer.begun && !begun {
		k.started(&p)
	}
}

// started tells of the first packet.
func (k *liveTrack) started(p *packet) {
	k.shard.out.event(call.Event{
		Type: call.EventTrackStarted, Leg: k.state.Leg, Track: uint32(k.state.ID),
		Facts: map[string]any{"ssrc": p.ssrc, "codec": p.law.String()},
	}, p.arrival)
}

// event takes a telephone-event packet.
//
//earshot:hot
func (k *liveTrack) event(p *packet, octets []byte) {
	pos := k.placer.front
	if r := &k.placer.ref; k.placer.begun && p.ssrc == k.placer.seq.ssrc {
		if at := r.posOf(p.ts); at > pos-aheadSamples && at < pos+aheadSamples {
			pos = max(0, at)
		}
	}
	told, ok := k.digits.take(p.ts, octets, pos, p.arrival)
	if !ok {
		k.state.Counts.MalformedPackets++
		return
	}
	k.state.Counts.EventPackets++
	if told {
		k.digit()
	}
}

// digit has the event that is complete told, once no mask can reach it. A masked one isn't told at all: it may be a card number's.
func (k *liveTrack) digit() {
	d := &k.digits.finished
	k.line.withhold(call.Event{
		Type: call.EventDTMF, Leg: k.state.Leg, Track: uint32(k.state.ID), Pos: d.pos,
		Facts: map[string]any{"digit": d.name, "duration_samples": d.samples},
	}, d.began, d.at)
	k.dial(d)
}
