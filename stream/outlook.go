package stream

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/attr"
	"github.com/earshot/earshot/media"
)

// taker takes the audio of one outlet, by whatever way.
type taker interface {
	// run takes audio until the call ends, ctx does, or it gives up.
	run(ctx context.Context)
	// report is called each second, by one goroutine: it puts what was lost into the call's record, ever more seldom while it goes on.
	report()
	// tellLost puts what was lost since the last time into the call's record, and tells whether that was anything.
	tellLost() bool
	// tellRevoked notes what a mask took back that the consumer has: samples at 8000 Hz from a position in call time on. The shard calls it; it does not block.
	tellRevoked(from, samples int64)
	// ended is called once run has ended, or never will begin.
	ended()
	// never is called instead of run where that will never begin; of a sink's caller too: it does not block.
	never()
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
	over     *ending
	hearing  *hearing // nil: the consumer does not answer
	call     string
	track    media.TrackID
	role     string // whose audio
	channels int
	progress *progress
	late     *lateness

	// pause is how many seconds report waits after it told of something, left how many of them are to come. Owned by report.
	pause, left int
}

// reportMost is the longest pause of report, in seconds: a consumer that hangs for a whole call fills no record.
const reportMost = 60

func (p *outlook) report() {
	if p.left > 0 && p.ring.lostRuns() < maxRuns/2 && p.late.runs() < maxRuns/2 {
		p.left--
		return
	}
	if !p.tellLost() {
		p.pause, p.left = 0, 0
		return
	}
	p.pause = min(2*p.pause+1, reportMost)
	p.left = p.pause
}

func (p *outlook) rest(ctx context.Context) {
	p.progress.enter(StateGivenUp, "")
	select {
	case <-p.ring.ended:
	case <-ctx.Done():
	}
}

// ending tells once when nothing of a call is heard any more.
type ending struct {
	left atomic.Int64 // the sink, and who may still answer
	tell func()
}

func (e *ending) done() {
	if e.left.Add(-1) == 0 && e.tell != nil {
		e.tell()
	}
}

// ended implements taker.
func (p *outlook) ended() {
	if p.hearing != nil {
		p.hearing.ended()
	}
}

// never implements taker.
func (p *outlook) never() {
	p.giveUp(nil)
	p.ring.letGo()
	p.ended()
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
func (p *outlook) tellLost() bool {
	late := p.tellLate()
	d := p.ring.takeLost()
	if d.samples == 0 {
		return late
	}
	if p.ring.past != nil && p.ringEnded() { // its record may be sealed
		p.hub.log.Warn("stream lost audio", attr.Call(p.call), attr.Track(p.track), attr.Sink(p.consumer.Name), "from_samples", d.from, "samples", d.samples)
	}
	p.tellDropped(d.runs, d.samples, "")
	return true
}

// tellDropped puts into the call's record what the consumer has not got, and why, if not for being too slow. runs are not empty; samples may be fewer than they span, where
// many were made one.
func (p *outlook) tellDropped(runs []stretch, samples int64, reason string) {
	from := runs[0].from
	facts := map[string]any{"consumer": p.consumer.Name, "samples": samples, "from_samples": from}
	if len(runs) > 1 {
		list := make([][2]int64, len(runs))
		for i, r := range runs {
			list[i] = [2]int64{r.from, r.to - r.from}
		}
		facts["runs"] = list
	}
	if reason != "" {
		facts["reason"] = reason
	}
	p.eventAt(call.EventStreamDropped, from, facts)
}

// tellRevoked puts into the call's record what a mask took back that the consumer has already.
func (p *outlook) tellRevoked(from, samples int64) {
	p.hub.count.revoked.Add(samples)
	p.hearing.revoke(from, samples)
	p.eventAt(call.EventRevoked, from, map[string]any{"consumer": p.consumer.Name, "samples": samples, "from_samples": from})
}

// giveUp makes the ring forget what comes, and tells what the consumer will never have; of what its encoder holds, too, where it has one.
func (p *outlook) giveUp(e *encoder) {
	p.tellLost()
	if e != nil {
		p.ring.forget(e)
	}
	p.ring.abandon()
	p.tellLost()
}

func (p *outlook) event(t call.Type, facts map[string]any) { p.eventAt(t, 0, facts) }

func (p *outlook) eventAt(t call.Type, pos int64, facts map[string]any) {
	p.notify(call.Event{Time: time.Now(), Type: t, Call: p.call, Track: uint32(p.track), Pos: pos, Facts: facts})
}
