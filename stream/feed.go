package stream

import (
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

// feed is the sink of one call's consumers. The shard's goroutine owns it.
type feed struct {
	hub    *Hub
	all    []Consumer // what there was when the call was opened; never changed
	info   call.Info
	opt    Options
	over   *ending
	calls  []*outlet // of consumers per call
	tracks []*outlet // of consumers per track, while the track lives
	// known is how many tracks have been given their outlets.
	known []bool
	// bunched: Swept is called, and wakes who takes what is in the rings.
	bunched bool
}

// outlet is a lane with the ring at its end, and who takes what is in it.
type outlet struct {
	lane  *lane
	ring  *ring
	taker taker
	track media.TrackID
	// hearing is nil where the consumer does not answer.
	hearing *hearing
	late    *lateness
	// begun: the lane had a frame, so there is something to take.
	begun  bool
	queued bool
	// told is how much of lane.late is in the hub's count.
	told int64
}

func newFeed(h *Hub, consumers []Consumer, info call.Info, o Options) *feed {
	f := &feed{hub: h, all: consumers, info: info, opt: o, over: &ending{tell: o.Ended}}
	f.over.left.Store(1)
	for i := range consumers {
		c := &consumers[i]
		if c.Per != PerCall {
			continue
		}
		channels := 1
		if len(info.Expected) > 1 {
			channels = 2
		}
		f.calls = append(f.calls, f.open(c, laneConfig{
			channels: channels, exact: true, expected: len(info.Expected), wait: waitFor(h.cfg.Wait, c.Message),
		}, nil))
	}
	return f
}

// open makes an outlet; track is nil for one per call.
func (f *feed) open(c *Consumer, cfg laneConfig, track *media.TrackState) *outlet {
	length := c.Buffer
	if c.CatchUp && f.opt.Archive != nil {
		length = max(length, f.opt.Archive.Behind())
	}
	if c.Header {
		cfg.stamps = newStamps(f.info.Started, length)
	}
	r := newRing(length, c.Message, cfg.channels, &c.tally.dropped)
	end := outlook{
		hub: f.hub, consumer: c, ring: r, stamps: cfg.stamps, notify: f.opt.Notify, over: f.over, call: f.info.ID, track: cfg.track,
		role: strings.Join(factsFor(c, f.info, track, cfg.channels).Channels, ","), channels: cfg.channels, progress: newProgress(), late: &lateness{},
	}
	o := &outlet{ring: r, track: cfg.track, late: end.late}
	if end.hearing = newHearing(&end, f.info, track); end.hearing != nil {
		f.over.left.Add(1)
		o.hearing = end.hearing
	}
	if c.dial == nil {
		o.taker = newProgram(end, environ(c, f.info, track, cfg.channels))
	} else {
		l := newLink(end, f.info, track)
		if o.taker = l; c.Type == TypeAudioHook {
			cfg.masked = l.silenced
		}
	}
	if c.CatchUp && f.opt.Archive != nil {
		r.keep(&past{
			archive: f.opt.Archive, voice: Voice{Track: cfg.track, Channels: cfg.channels, Role: call.RoleMix}, rate: f.hub.pace.rate, tell: func() { o.taker.tellLost() }, caught: &c.tally.caughtUp,
		})
	}
	cfg.revoked = o.taker.tellRevoked
	o.lane = newLane(cfg, r)
	return o
}

// Write implements media.Sink.
//
//earshot:hot
func (f *feed) Write(b *media.Batch) {
	f.meet(b)
	for _, o := range f.calls {
		f.pass(o, b)
	}
	for i := 0; i < len(f.tracks); {
		o := f.tracks[i]
		f.pass(o, b)
		if int(o.track) <= len(b.Tracks) && b.Tracks[o.track-1].Ended {
			f.close(o)
			f.tracks = slices.Delete(f.tracks, i, i+1)
			continue
		}
		i++
	}
}

// Pace is how long audio may wait: the shortest message of all.
func (f *feed) Pace() time.Duration {
	least := maxMessage
	for i := range f.all {
		least = min(least, f.all[i].Message)
	}
	return paceOf(least)
}

// pass gives a batch to an outlet, and sees to it that who takes it is started.
//
//earshot:hot
func (f *feed) pass(o *outlet, b *media.Batch) {
	o.lane.write(b)
	if o.hearing != nil && o.track != 0 && int(o.track) <= len(b.Tracks) {
		o.hearing.place(&b.Tracks[o.track-1])
	}
	if late := o.lane.late - o.told; late > 0 || len(o.lane.moves) > 0 {
		f.hub.count.late.Add(late)
		o.told = o.lane.late
		o.late.add(o.lane)
	}
	if !o.queued && o.begins(b) {
		f.hub.count.open.Add(1)
		select {
		case f.hub.starts <- o.taker:
			o.queued = true
			if f.hub.closed.Load() {
				f.hub.refuse()
			}
		default: // too many wait; the ring keeps the newest, the next batch tries again
			f.hub.count.open.Add(-1)
			f.hub.count.refused.Add(1)
		}
	}
	if !f.bunched {
		o.ring.signal()
	}
}

// Fetch implements media.Fetched.
//
//earshot:hot
func (f *feed) Fetch() (sum byte) {
	for _, o := range f.calls {
		sum += o.lane.fetch() + o.ring.fetch()
	}
	for _, o := range f.tracks {
		sum += o.lane.fetch() + o.ring.fetch()
	}
	return sum
}

// Swept implements media.Swept, as Listener.Swept does.
//
//earshot:hot
func (f *feed) Swept() {
	f.bunched = true
	for _, o := range f.calls {
		o.ring.signal()
	}
	for _, o := range f.tracks {
		o.ring.signal()
	}
}

// begins tells whether there is something to hear: a call without media starts no program.
func (o *outlet) begins(b *media.Batch) bool {
	for i := range b.Frames {
		o.begun = o.begun || o.track == 0 || b.Frames[i].Track == o.track
	}
	return o.begun
}

// meet opens the outlets of tracks that have their first frame in this batch.
//
//earshot:hot
func (f *feed) meet(b *media.Batch) {
	for i := range b.Frames {
		id := b.Frames[i].Track
		if id == 0 || int(id) > min(len(b.Tracks), maxTracks) {
			continue
		}
		for len(f.known) < int(id) {
			f.known = append(f.known, false)
		}
		if f.known[id-1] {
			continue
		}
		f.known[id-1] = true
		for c := range f.all {
			if c := &f.all[c]; c.Per == PerTrack && c.hears(&b.Tracks[id-1].Party) {
				f.tracks = append(f.tracks, f.open(c, laneConfig{channels: 1, track: id}, &b.Tracks[id-1]))
			}
		}
	}
}

// close ends an outlet: its program gets what is left, then the end of its input.
func (f *feed) close(o *outlet) {
	o.lane.finish()
	o.ring.end()
	o.hearing.shut()
	switch {
	case o.queued:
	case o.begun: // nobody could start it, until the end
		o.taker.never()
	default:
		o.taker.ended()
		o.ring.letGo()
	}
}

// End implements media.Sink.
func (f *feed) End(call.Cause) {
	for _, o := range f.calls {
		f.close(o)
	}
	for _, o := range f.tracks {
		f.close(o)
	}
	f.calls, f.tracks = nil, nil
	f.over.done()
}
