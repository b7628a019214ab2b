package media

import (
	"time"

	"github.com/earshot/earshot/call"
)

// mask has a holder hold back what is captured from a time on.
func (l *liveTimeline) mask(p *post) {
	p.reply <- l.holdBack(p.holder, p.from, p.why) // has room for the one answer
	close(p.reply)
}

func (l *liveTimeline) holdBack(h Holder, from time.Duration, why string) Applied {
	now := l.shard.now
	// Between two batches Final stands still, and tracks forget at each turn.
	final := max(l.final, l.turned-l.shard.engine.cfg.ArchiveWindow)
	asked := from
	from, more := l.valve.hold(h, from, final)
	a := Applied{Holder: h, State: ValveMasked, From: from, At: now}
	if more {
		for _, k := range l.tracks {
			l.shard.guard(k, func() {
				if reached := k.placer.mask(from, now); reached > from {
					a.From = max(a.From, reached)
				}
			})
		}
	}
	if since := l.maskKept(h, asked); since != 0 {
		a.From, more = min(a.From, since), true
	}
	if !more {
		return a
	}
	facts := map[string]any{"by": h.String()}
	if why != "" {
		facts["why"] = why
	}
	l.shard.out.event(call.Event{Type: call.EventMaskOn, Facts: facts}, a.From)
	return a
}

// unmask ends what a holder holds.
func (l *liveTimeline) unmask(p *post) {
	now := l.shard.now
	end := max(now, l.valve.held[p.holder]) // one that was still to begin is of no length
	if l.valve.release(p.holder, now) {
		l.shard.out.event(call.Event{Type: call.EventMaskOff, Facts: map[string]any{"by": p.holder.String()}}, end)
	}
	p.reply <- Applied{Holder: p.holder, State: l.valve.state(), From: now, At: now}
	close(p.reply)
}

// held tells whether a mask touches the time from which a packet's sample at pos was on its way to us until it came: what a stalled network
// brings after a mask was spoken within it. The quickest packets of the last seconds tell how long the way is; a network slower than its
// own best by more than the archive window is not believed.
//
//earshot:hot
func (p *placer) held(arrival time.Duration, pos int64) bool {
	if p.valve.n == 0 { // nearly always: nobody has ever masked the call
		return false
	}
	spoken := arrival
	if a := &p.align; a.now.any || a.last.any {
		spoken = min(spoken, time.Duration(pos+a.transit())*sampleTime)
	}
	return p.valve.masked(max(spoken, arrival-p.archive), arrival)
}

// mask takes back what was captured from a time on: it goes out once more, as masked. It returns how far back that is.
// Frames that waited for others lie before younger ones, so it may be in more than one piece.
func (p *placer) mask(from, now time.Duration) time.Duration {
	from = p.past.reach(from)
	begin := int64(-1)
	for i := p.past.oldest(); i < p.past.next; i++ {
		g := p.past.given[i%len(p.past.given)]
		if g.at >= from {
			if begin < 0 {
				begin = g.pos
			}
		} else if begin >= 0 {
			p.takeBack(begin, g.pos, now)
			begin = -1
		}
	}
	if begin >= 0 {
		p.takeBack(begin, p.front, now)
	}
	return from
}

// takeBack masks what was given out from pos to end, but for what is masked already.
func (p *placer) takeBack(pos, end int64, now time.Duration) {
	var known [maxHoles]hole
	n := copy(known[:], p.past.holes[:p.past.n])
	for _, h := range known[:n] {
		if h.kind == KindMasked && h.end > pos && h.pos < end {
			p.cover(pos, h.pos, now)
			pos = h.end
		}
	}
	p.cover(pos, end, now)
}

// cover masks what was given out from pos to end.
func (p *placer) cover(pos, end int64, now time.Duration) {
	if pos >= end {
		return
	}
	n, old := p.past.n, *p.past.holes
	p.past.n = 0
	received := end - pos
	for _, h := range old[:n] {
		lo, hi := max(h.pos, pos), min(h.end, end)
		if lo >= hi {
			p.past.add(h)
			continue
		}
		*p.samples(h.kind) -= hi - lo
		received -= hi - lo
		for _, rest := range [...]hole{{h.pos, lo, h.kind, h.at, h.open}, {hi, h.end, h.kind, h.at, h.open}} {
			if rest.pos < rest.end {
				p.past.add(rest)
			}
		}
	}
	p.state.Counts.ReceivedSamples -= received
	p.state.Counts.MaskedSamples += end - pos
	p.past.add(hole{pos: pos, end: end, kind: KindMasked, at: now})
	p.out.run(Frame{Track: p.state.ID, Kind: KindMasked, Epoch: p.epoch, Pos: pos, Samples: end - pos, Captured: now})
}
