package stream

import (
	"context"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

// taker takes the audio of one outlet, by whatever way.
type taker interface {
	// run takes audio until the call ends, ctx does, or it gives up.
	run(ctx context.Context)
	// tellLost puts what was lost since the last time into the call's record.
	tellLost()
	// tellRevoked notes what a mask took back that the consumer has: samples at 8000 Hz from a position in call time on. The shard calls it; it does not block.
	tellRevoked(from, samples int64)
	// rest waits for the end of the call, or of ctx: who was given up is shown as such as long as that lasts.
	rest(ctx context.Context)
	// live shows how it gets on.
	live() Live
}

// outlook is what every taker knows of its outlet.
type outlook struct {
	// Set by feed, then constant.
	hub      *Hub
	consumer *Consumer
	ring     *ring
	stamps   *stamps // nil: the consumer wants no header
	notify   func(call.Event)
	call     string
	track    media.TrackID
	role     string // whose audio
	channels int
	progress *progress
}

func (p *outlook) rest(ctx context.Context) {
	p.progress.enter(StateGivenUp, "")
	select {
	case <-p.ring.ended:
	case <-ctx.Done():
	}
}

// ringEnded tells whether the call is over.
func (p *outlook) ringEnded() bool {
	select {
	case <-p.ring.ended:
		return true
	default:
		return false
	}
}

// tellLost puts what the consumer lost since the last time into the call's record.
func (p *outlook) tellLost() {
	d := p.ring.takeLost()
	if d.samples == 0 {
		return
	}
	p.eventAt(call.EventStreamDropped, d.from, map[string]any{
		"consumer": p.consumer.Name, "samples": d.samples, "from_samples": d.from,
	})
}

// tellRevoked puts into the call's record what a mask took back that the consumer has already.
func (p *outlook) tellRevoked(from, samples int64) {
	p.hub.count.revoked.Add(samples)
	p.eventAt(call.EventRevoked, from, map[string]any{"consumer": p.consumer.Name, "samples": samples, "from_samples": from})
}

func (p *outlook) event(t call.Type, facts map[string]any) { p.eventAt(t, 0, facts) }

func (p *outlook) eventAt(t call.Type, pos int64, facts map[string]any) {
	p.notify(call.Event{Time: time.Now(), Type: t, Call: p.call, Track: uint32(p.track), Pos: pos, Facts: facts})
}
