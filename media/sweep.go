package media

import (
	"time"

	"github.com/earshot/earshot/call"
)

// sweep is a track's turn: take what came, decide what time decides, send.
//
//earshot:hot
func (k *liveTrack) sweep() {
	k.drain()
	k.tick(k.shard.now, k.port.readAt)
	k.settle()
	k.send(k.shard.now)
}

// tick does what time alone does. read is when the port was read last: of a turn between two slow sweeps nothing is known since then, and what is
// not read is not missing.
//
//earshot:hot
func (k *liveTrack) tick(now, read time.Duration) {
	k.forsakeOld(now - k.shard.engine.cfg.ArchiveWindow/2) // what is opened later would come near Final
	k.ripenTrial(read, false)
	k.placer.tick(read)
	k.placer.past.prune(now - k.shard.engine.cfg.ArchiveWindow) // Final moves on with each batch
	if k.digits.tick(now) {
		k.digit()
	}
	k.place(read, false)
	k.tellStrays(now)
}

// place fixes the track's offset once it can be known.
//
//earshot:hot
func (k *liveTrack) place(now time.Duration, end bool) {
	if !k.placer.align.place(k.state, k.line.zero, now, end) {
		return
	}
	k.readReport()
	if offset, ok := k.commonClock(); ok && offset >= 0 && max(offset-k.state.Offset, k.state.Offset-offset) <= clockReach {
		k.state.Offset, k.state.OffsetEstimate, k.state.OffsetMethod = offset, offset, OffsetRTCP
	}
	k.dirty = true
	k.shard.out.event(call.Event{
		Type: call.EventTrackPlaced, Leg: k.state.Leg, Track: uint32(k.state.ID),
		Facts: map[string]any{"offset_samples": k.state.Offset, "offset_method": k.state.OffsetMethod},
	}, now)
}

// tellStrays tells of strays since the last time, at most once each strayPause.
//
//earshot:hot
func (k *liveTrack) tellStrays(now time.Duration) {
	n := k.state.Counts.StrayPackets - k.strays.told
	if n == 0 || now < k.strays.next {
		return
	}
	k.strays.told, k.strays.next = k.state.Counts.StrayPackets, now+strayPause
	k.shard.out.event(call.Event{
		Type: call.EventTrackStray, Leg: k.state.Leg, Track: uint32(k.state.ID), Pos: k.placer.front,
		Facts: map[string]any{"packets": n},
	}, k.strays.newest)
}

// send sends the silence that is due.
//
//earshot:hot
func (k *liveTrack) send(now time.Duration) {
	a := k.agree
	if a == nil || k.state.Ended || k.silence.next == 0 || now < k.silence.next {
		return
	}
	to, ok := a.sendTo(k.latch.sendTo())
	if !ok {
		return // what is due stays due: it goes out once there is a way
	}
	if k.silence.next != 0 && k.silence.next < now-maxSweep { // there was no way before
		k.silence.next = now
	}
	for {
		b := k.silence.due(&k.shard.quiet, now, a.params.SilencePT, a.silence, k.state.Counts.Packets > 0 && k.latch.heard > now-2*silencePace)
		if b == nil {
			return
		}
		if a.send != nil {
			sealed, err := a.send.seal(b)
			if err != nil {
				return
			}
			b = sealed
		}
		if k.port.pair.rtp.writeTo(b, to) == nil { // one that can't be sent is like one lost: the next follows
			if k.state.Counts.SentPackets++; k.reports.due == 0 {
				k.arrange(now)
			}
		}
		k.dirty = true
	}
}

// end reads and gives out what there still is, and closes the ports.
func (k *liveTrack) end(c call.Cause) {
	if k.state.Ended {
		return
	}
	now := k.shard.now
	k.drain()
	k.ripenTrial(now, true)
	k.dropTrial(now)
	k.dropEarly(now)
	k.forsakeOld(forever)
	k.placer.flush(now)
	if k.digits.finish() {
		k.digit()
	}
	k.place(now, true)
	k.placer.align.stale = true
	k.strays.next = 0
	k.tellStrays(now)
	k.bye(now)
	k.close(c)
}

// close ends the track as it stands.
func (k *liveTrack) close(c call.Cause) {
	k.state.Ended, k.dirty = true, true
	k.shard.leave(k)
	facts := map[string]any{"cause": string(c.Code)}
	if c.Text != "" {
		facts["text"] = c.Text
	}
	k.shard.out.event(call.Event{
		Type: call.EventTrackEnded, Leg: k.state.Leg, Track: uint32(k.state.ID), Pos: k.placer.front, Facts: facts,
	}, k.shard.now)
}

// bringUp brings the state up to date.
func (k *liveTrack) bringUp() {
	k.state.Length = k.placer.front
	k.state.Counts.JitterSamples = float64(k.placer.align.jitter16) / 16
}
