package media

import (
	"math/rand/v2"
	"net/netip"
	"time"
)

const (
	// reportEvery is the least mean time between two reports of ours, half of it before the first. RFC 3550 section 6.2: the
	// bandwidth share, 5 % of 64 kbit/s, would let the two members of a call send each 0.4 s, so it never rules.
	reportEvery = 5 * time.Second
	// clockReach is how far the place of a track by sender reports may be from that by arrival: further is a broken or a forged
	// report.
	clockReach = SampleRate / 4
)

// reporter is a track's RTCP.
type reporter struct {
	due  time.Duration // of our next report; 0: we have sent nothing yet
	last time.Duration // of the report before, or of our first packet

	report senderReport // newest of the far side
	epoch  uint16       // of the track, when it came
	unread bool         // it came before the track began
	cname  uint64       // hash of its CNAME; 0: not known
	named  uint32       // SSRC that it is of
	from   netip.AddrPort

	ssrc               uint32 // that the figures below are of
	expected, received int64  // at the report before
	sent               [2]int64
	compounds          int64
}

// interval draws the time to the next report: 0.5 to 1.5 of the mean, divided by e - 3/2 (RFC 3550 section 6.3.1).
func (r *reporter) interval() time.Duration {
	mean := reportEvery
	if r.compounds == 0 {
		mean /= 2
	}
	return time.Duration((0.5 + rand.Float64()) * float64(mean) / 1.21828)
}

// arrange makes the first appointment, when our first packet has gone out.
func (k *liveTrack) arrange(now time.Duration) {
	if k.shard.engine.cfg.NoReports {
		return
	}
	r := &k.reports
	r.last, r.due = now, now+r.interval()
	k.shard.agenda.add(appointment{r.due, k})
}

// reportDue sends the reports whose time has come.
//
//earshot:hot
func (s *shard) reportDue() {
	for {
		k, ok := s.agenda.due(s.now)
		if !ok {
			return
		}
		if !k.state.Ended {
			s.guardReport(k)
		}
	}
}

func (s *shard) guardReport(k *liveTrack) {
	defer s.rescueTrack(k)
	k.timer(s.now)
}

// timer is the expiry of a report's time: the interval is drawn once more, and if the newer one is longer the rest of it is waited
// for (RFC 3550 section 6.3.6).
func (k *liveTrack) timer(now time.Duration) {
	r := &k.reports
	if again := r.last + r.interval(); again > now {
		r.due = again
	} else {
		k.tell(now, false)
		r.last, r.due = now, now+r.interval()
	}
	k.shard.agenda.add(appointment{r.due, k})
}

// tell sends a report, if there is a way.
func (k *liveTrack) tell(now time.Duration, bye bool) {
	to, ok := k.rtcpTo()
	if !ok {
		return
	}
	r, sil := &k.reports, &k.silence
	sent := k.state.Counts.SentPackets
	o := outgoing{
		ssrc: sil.ssrc, sends: sent > r.sent[0], ntp: ntpOf(k.shard.clock.wall), rtp: sil.ts + uint32(samplesIn(now)),
		packets: uint32(sent), bytes: uint32(sent) * silenceSamples, block: k.block(now), cname: &k.line.cname, bye: bye,
	}
	r.sent[0], r.sent[1] = r.sent[1], sent
	b := o.appendTo(k.shard.report[:0])
	if k.agree.send != nil {
		sealed, err := k.agree.send.sealRTCP(b)
		if err != nil {
			return
		}
		b = sealed
	}
	port := k.port.pair.rtcp
	if port == nil || k.agree.params.Mux {
		port = k.port.pair.rtp
	}
	if port.writeTo(b, to) == nil {
		r.compounds++
		k.state.Counts.RTCPSentPackets++
		k.dirty = true
	}
}

// bye tells the far side that we leave (RFC 3550 section 6.3.7): who never sent anything says nothing.
func (k *liveTrack) bye(now time.Duration) {
	if k.reports.due != 0 {
		k.tell(now, true)
	}
}

// rtcpTo is where our reports go: where RTP goes, with mux; else where RTCP comes from, or was agreed, if RTP goes to that host.
func (k *liveTrack) rtcpTo() (netip.AddrPort, bool) {
	a, r := k.agree, &k.reports
	if a == nil {
		return netip.AddrPort{}, false
	}
	to, ok := a.sendTo(k.latch.sendTo())
	if !ok || a.params.Mux {
		return to, ok
	}
	if r.from.IsValid() && r.from.Addr() == to.Addr() {
		return r.from, true
	}
	agreed := a.params.RemoteRTCP
	return agreed, agreed.IsValid() && !agreed.Addr().IsUnspecified() && agreed.Port() != 0 && to.Addr() == a.params.Remote.Addr()
}

// block is what there is to say of the track's source; nil: nothing of it came since the report before.
func (k *liveTrack) block(now time.Duration) *reportBlock {
	r, p := &k.reports, k.placer
	if !p.started {
		return nil
	}
	q := &p.seq
	if r.ssrc != q.ssrc || q.received < r.received { // another source, or one that counts anew
		r.ssrc, r.expected, r.received = q.ssrc, 0, 0
	}
	expected := q.high - q.base + 1
	newly, came := expected-r.expected, q.received-r.received
	if came <= 0 {
		return nil
	}
	r.expected, r.received = expected, q.received
	b := &k.shard.block
	*b = reportBlock{ssrc: q.ssrc, lost: expected - q.received, high: uint32(q.high), jitter: uint32(p.align.jitter16 >> 4)}
	if lost := newly - came; lost > 0 && newly > 0 {
		b.fraction = uint8(min(255, lost<<8/newly))
	}
	if sr := &r.report; sr.at != 0 && sr.ssrc == q.ssrc && now-sr.at < 1<<16*time.Second { // DLSR can say no more

		b.lsr = uint32(sr.ntp >> 16)
		b.dlsr = uint32((now - sr.at) << 16 / time.Second)
	}
	return b
}

// rtcp takes an RTCP datagram.
func (k *liveTrack) rtcp(b []byte, from netip.AddrPort, at time.Duration) {
	c := &k.state.Counts
	if k.gone(at) {
		c.RTCPRefusedPackets++
		return
	}
	plain, ok := b, false
	if k.agree.recv != nil || k.old != nil {
		plain, ok = k.unsealRTCP(b, at)
	}
	if k.agree.recv == nil && !ok {
		plain, ok = b, k.near(from)
	}
	var n rtcpNews
	if ok {
		n, ok = parseRTCP(plain)
	}
	if !ok {
		c.RTCPRefusedPackets++
		return
	}
	c.RTCPPackets++
	r := &k.reports
	r.from = from
	if n.report.ssrc != 0 {
		r.report = n.report
		r.report.at = at
		r.epoch, r.unread = k.placer.epoch, true
	}
	if n.cname != 0 {
		r.cname, r.named = n.cname, n.named
	}
	k.readReport()
}

// readReport lets the alignment know of the newest sender report, once the track has begun.
func (k *liveTrack) readReport() {
	r := &k.reports
	if pos, ok := k.reported(); ok && r.unread {
		r.unread = false
		k.placer.align.hear(r.report.ntp, pos, r.cname)
	}
}

// reported is the position of the newest sender report's timestamp, if that is of the track's present source, and it is known
// whose clock it tells.
func (k *liveTrack) reported() (pos int64, ok bool) {
	r, p := &k.reports, k.placer
	if !p.started || r.report.at == 0 || r.report.ssrc != p.seq.ssrc || r.cname == 0 || r.named != p.seq.ssrc {
		return 0, false
	}
	if s := k.state; r.epoch != p.epoch && int(p.epoch) < len(s.Epochs) && s.Epochs[p.epoch].Why == whyJump { // of the timestamps before
		return 0, false
	}
	return p.ref.posOf(r.report.rtp), true
}

// near tells whether plain RTCP from there may be the far side's: from where RTP comes, with mux; else from where it was agreed,
// or, if RTP doesn't come from where that was agreed (NAT), from any port of RTP's host.
func (k *liveTrack) near(from netip.AddrPort) bool {
	l, p := &k.latch, &k.agree.params
	source := l.source
	if !source.IsValid() {
		source = l.offered
	}
	switch {
	case p.Mux:
		return from == source
	case p.RemoteRTCP.IsValid() && source == l.offered:
		return from == p.RemoteRTCP
	}
	return source.IsValid() && from.Addr() == source.Addr()
}

func (k *liveTrack) unsealRTCP(b []byte, at time.Duration) ([]byte, bool) {
	if recv := k.agree.recv; recv != nil {
		if plain, ok := recv.openRTCP(k.shard.scratch, b); ok {
			return plain, true
		}
	}
	return k.oldOpensRTCP(b, at)
}

// clock is the NTP time of the track's Pos 0 by the newest sender report of its source, and whose clock that is.
func (k *liveTrack) clock() (ntp int64, cname uint64, ok bool) {
	r := &k.reports
	pos, ok := k.reported()
	if !ok {
		return 0, 0, false
	}
	return int64(r.report.ntp) - pos/SampleRate<<32 - pos%SampleRate<<32/SampleRate, r.cname, true
}

// commonClock is the track's offset by that of another one whose sender has the same clock: the same CNAME (RFC 3550 section 6.5.1).
func (k *liveTrack) commonClock() (offset int64, ok bool) {
	ntp, cname, ok := k.clock()
	if !ok {
		return 0, false
	}
	for _, o := range k.line.tracks {
		if o == k || !o.state.Placed {
			continue
		}
		if ntp0, theirs, ok := o.clock(); ok && theirs == cname {
			apart := ntp - ntp0 // 32.32 bits of seconds
			if apart > -1<<46 && apart < 1<<46 {
				return o.state.Offset + (apart*SampleRate+1<<31)>>32, true
			}
		}
	}
	return 0, false
}
