package stream

import (
	"fmt"
	"math"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

const (
	// defaultWait is how long a side that goes on waits for one that doesn't: two sweeps of 20 ms and the 60 ms for which
	// media holds a hole open. A track's first frames come that late, too.
	defaultWait = 100 * time.Millisecond
	// aloneWait is how long all sides may say nothing before time goes on without them.
	aloneWait = time.Second
	// placeWait bounds the wait for a track's place: media knows it 500 ms after the first packet.
	placeWait = time.Second
	// patience is how long a side may be late in all that comes before it is moved to the present.
	patience = 2 * time.Second
	// maxSkewSamples bounds what a lane keeps of one side while it waits for another. Two clocks 100 ppm apart need more
	// than five hours for it.
	maxSkewSamples = 2 * media.SampleRate
	// maxTracks bounds what a lane keeps of the tracks that a call ever had.
	maxTracks = 4096
)

// Sides of an interleaved pair, as bits.
const (
	left  = 1
	right = 2
	both  = left | right
)

// laneConfig says what a lane makes of a call.
type laneConfig struct {
	// channels is 1 for a track or a mix, 2 for customer left and agent right.
	channels int
	// track: only this one, on its own positions; 0: all that wants takes, on the call's timeline.
	track media.TrackID
	// wants chooses tracks; nil takes all.
	wants func(*media.TrackState) bool
	// expected is how many tracks the call is to have: the mix waits for one that isn't there.
	expected int
	// wait is how long a side that goes on waits for another; aloneWait at most, defaultWait for 0.
	wait time.Duration
	// hasPast, with fromNow: what lies before now comes from elsewhere, and in each place after it all that is said will still come.
	hasPast bool
	// fromNow begins with the batch that comes first, not with the call.
	fromNow bool
	// exact: what comes of a track before media has placed it waits for that, placeWait at most, so that what goes out lies where the recording has it.
	exact bool
	// revoked is told what a mask took back of what the reader has, in call time; nil: nobody is. The shard calls it.
	revoked func(from, samples int64)
	// masked is told what a mask silences, in call time, before it goes out; nil: nobody is. The shard calls it.
	masked func(from, samples int64)
	// stamps are told when samples were captured; nil: nobody asks.
	stamps *stamps
}

// lane assembles batches to a gap-free run of samples. It is pure: batches in, samples out; one goroutine uses it.
type lane struct {
	// Set by newLane, then constant.
	cfg laneConfig
	out output

	// late counts samples that came when their place was gone; lates has where, until somebody takes it.
	late    int64
	lates   lates
	moves   []move // of sides, until somebody takes them; at most maxMoves
	started bool
	// zero is where the call's timeline begins on media's clock.
	zero time.Duration
	// base is the position of the next sample to go out.
	base    int64
	sources []source  // by TrackID-1; with cfg.track only that one
	few     [2]source // where sources begins: most calls have no more
	spare   [media.ConcealSamples]int16
	// revoked is what the batch takes back; empty between batches.
	revoked revoked
}

// source is one track in a lane. Positions are in call time.
type source struct {
	taken  bool // the lane wants this track
	seen   bool // its first frame came
	placed bool
	ended  bool
	sides  uint8
	// met is when its first frame came, first where that lay then, and from the lane's base.
	met         time.Duration
	first, from int64
	// offset is where the track's Pos 0 lies.
	offset int64
	// was is where it lay for what is before moved, on the track; moved 0: it was never moved.
	was, moved int64
	// behind is how much later it goes out than it lies in the recording.
	behind int64
	// end is the position after the last sample given, or assumed.
	end int64
	// at is the sweep that brought the last frame.
	at time.Duration
	// lateSince is the sweep since which all that came was late; 0: it is not.
	lateSince time.Duration
	// buf holds samples from the lane's base on; what is missing up to end is silence.
	// Invariant: len(buf) <= end-base, len(buf) <= maxSkewSamples.
	buf []int16
	// own is where buf lies between two batches; lent: it lies on a desk now.
	own  []int16
	lent bool
	// unheard is how many of the newest samples of buf fill is still to hear of: once for a batch, not for each packet.
	unheard int
	// filling: the newest samples are what fill made up.
	filling bool
	// fill conceals what is lost; since meet.
	fill *media.Concealer
}

func newLane(cfg laneConfig, out output) *lane {
	if cfg.wait == 0 {
		cfg.wait = defaultWait
	}
	l := &lane{cfg: cfg, out: out}
	l.sources = l.few[:0]
	return l
}

// checkWait completes and checks a configured wait.
func checkWait(d *time.Duration) error {
	if *d == 0 {
		*d = defaultWait
	}
	if *d < 0 || *d > aloneWait {
		return fmt.Errorf("wait: got %v, want up to %v", *d, aloneWait)
	}
	return nil
}

// write takes a batch.
//
//earshot:hot
func (l *lane) write(b *media.Batch) {
	l.look(b)
	if !l.started && !l.start(b) {
		return
	}
	desk := l.spread()
	for i := range b.Frames {
		f := &b.Frames[i]
		if s := l.source(f.Track); s != nil && s.taken {
			l.place(s, f, b.Now)
		}
	}
	l.emit(l.frontier(b.Now))
	l.clearUp(desk)
	if len(l.revoked.ranges) > 0 {
		l.takeBack()
	}
}

// finish sends out all that is left.
func (l *lane) finish() {
	end := l.base
	for i := range l.sources {
		if l.sources[i].taken && l.sources[i].seen {
			end = max(end, l.sources[i].end)
		}
	}
	l.emit(end)
}

// source finds a track's; nil for one that no batch has named.
func (l *lane) source(id media.TrackID) *source {
	at := int64(id) - 1
	if l.cfg.track != 0 {
		at = int64(id) - int64(l.cfg.track)
	}
	if at < 0 || at >= int64(len(l.sources)) {
		return nil
	}
	return &l.sources[at]
}

// look learns from the batch's track states.
func (l *lane) look(b *media.Batch) {
	tracks := b.Tracks[:min(len(b.Tracks), maxTracks)]
	if l.cfg.track != 0 {
		tracks = b.Tracks[min(int(l.cfg.track)-1, len(b.Tracks)):min(int(l.cfg.track), len(b.Tracks))]
	}
	for len(l.sources) < len(tracks) {
		l.sources = append(l.sources, source{})
	}
	for i := range tracks {
		s, t := &l.sources[i], &tracks[i]
		if !s.seen {
			s.taken = l.cfg.wants == nil || l.cfg.wants(t)
			s.sides = sides(t, tracks)
		}
		s.ended = t.Ended
		if l.cfg.track == 0 && t.Placed && !s.placed {
			s.placed = true
			if l.cfg.exact && s.seen && s.from == l.base {
				l.shift(s, t.Offset-s.offset)
			}
			s.move(t.Offset)
		}
	}
}

// start finds the first position; false: it can't be known yet.
func (l *lane) start(b *media.Batch) bool {
	if l.cfg.track != 0 {
		return l.startTrack(b)
	}
	if b.Zero == 0 {
		return false
	}
	l.zero, l.started = b.Zero, true
	if l.cfg.hasPast {
		l.base = l.callTime(b.Now)
	} else if l.cfg.fromNow {
		l.base = max(0, l.callTime(b.Now)-int64(l.cfg.wait/sampleTime))
		for i := range b.Frames {
			f := &b.Frames[i]
			if s := l.source(f.Track); s != nil && s.taken && s.placed {
				l.base = min(l.base, s.offset+f.Pos)
			}
		}
	}
	l.out.begin(l.base)
	return true
}

// startTrack begins a track's own stream with its first frame.
func (l *lane) startTrack(b *media.Batch) bool {
	for i := range b.Frames {
		if b.Frames[i].Track == l.cfg.track && b.Frames[i].Kind != media.KindLate {
			l.started, l.base, l.zero = true, b.Frames[i].Pos, b.Zero
			l.out.begin(l.base)
			return true
		}
	}
	return false
}

// callTime turns media's clock into a position.
func (l *lane) callTime(at time.Duration) int64 { return int64((at - l.zero) / sampleTime) }

// place puts a frame where it belongs, if that place is still to come.
//
//earshot:hot
func (l *lane) place(s *source, f *media.Frame, now time.Duration) {
	if f.Kind == media.KindLate {
		l.miss(s.offset+f.Pos-s.behind, f.Samples)
		return
	}
	if !s.seen {
		l.meet(s, f)
		s.met, s.first, s.from = now, s.offset+f.Pos, l.base
	}
	from := s.offset + f.Pos
	end := from + f.Samples
	switch {
	case f.Kind == media.KindReceived && len(f.PCM) > 0:
		from = l.catchUp(s, from, end, now)
		end = from + f.Samples
		if l.cfg.stamps != nil {
			l.cfg.stamps.note(from, f.Samples, f.Captured-l.zero)
		}
		l.take(s, from, f.PCM)
	case f.Kind == media.KindLost:
		l.conceal(s, from, end)
	default:
		s.forget() // what comes next has nothing to do with it, and a mask must not be heard in it
	}
	if f.Kind == media.KindMasked && l.cfg.masked != nil {
		l.cfg.masked(from, f.Samples)
	}
	if f.Kind == media.KindMasked && (from < s.end || f.Pos < s.moved) {
		l.mask(s, f.Pos, f.Samples)
	}
	if end >= s.end {
		s.end, s.at = end, now
	}
}

// meet places a source at its first frame.
func (l *lane) meet(s *source, f *media.Frame) {
	s.seen, s.fill = true, new(media.Concealer)
	if l.cfg.track == 0 && !s.placed {
		// Arrival is the best guess there is. Media places a track by the least transit of its first 500 ms, so this one
		// is too late by the first packet's delay over that, if at all.
		s.offset = max(0, l.callTime(f.Captured)-f.Pos)
	}
	s.end = max(l.base, s.offset+f.Pos)
}

// catchUp moves a source that has been late for long: a stall's backlog comes within moments, so its sender's clock stood
// still, and nothing of it would ever be heard again. It gives the frame's position.
func (l *lane) catchUp(s *source, from, end int64, now time.Duration) int64 {
	switch {
	case end > l.base:
		s.lateSince = 0
	case s.lateSince == 0:
		s.lateSince = now
	case now-s.lateSince > patience:
		l.tellMove(s, from)
		s.was, s.moved = s.offset, from-s.offset
		s.offset += l.base - from
		s.lateSince = 0
		return l.base
	}
	return from
}

// take keeps what was received: nearly always it goes on where the source is, and there was nothing lost.
//
//earshot:hot
func (l *lane) take(s *source, from int64, pcm []int16) {
	if held := int64(len(s.buf)); from == s.end && from == l.base+held && !s.filling && held+int64(len(pcm)) <= maxSkewSamples {
		s.buf = append(s.buf, pcm...)
		s.unheard += len(pcm)
		return
	}
	s.hear()
	l.meetLost(s, from, pcm)
	l.add(s, from, pcm)
}

// add keeps samples until the lane gets there; what lies before its base, or where the source already was, is late.
//
//earshot:hot
func (l *lane) add(s *source, from int64, pcm []int16) {
	at := max(from, s.end, l.base)
	if skip := at - from; skip > 0 {
		skip = min(skip, int64(len(pcm)))
		l.miss(from-s.behind, skip)
		pcm = pcm[skip:]
	}
	if len(pcm) == 0 {
		return
	}
	if over := at + int64(len(pcm)) - l.base - maxSkewSamples; over > 0 {
		l.emit(l.base + over)
	}
	if hole := at - l.base - int64(len(s.buf)); hole > 0 {
		s.buf = append(s.buf, make([]int16, hole)...)
	}
	s.buf = append(s.buf, pcm...)
}

// frontier is how far time has gone: up to the end of the side that is behind, unless that one has kept us waiting.
//
//earshot:hot
func (l *lane) frontier(now time.Duration) int64 {
	wait := aloneWait
	missing := l.cfg.expected
	for i := range l.sources {
		s := &l.sources[i]
		if s.taken {
			missing--
		}
		if s.taken && s.seen && !s.ended && now-s.at <= l.cfg.wait {
			wait = l.cfg.wait
		}
	}
	limit := int64(math.MaxInt64)
	for i := range l.sources {
		s := &l.sources[i]
		if !s.taken || s.ended {
			continue
		}
		if l.cfg.exact && s.seen && !s.placed && now-s.met <= placeWait {
			return l.base
		}
		switch idle := now - s.at; {
		case !s.seen:
			missing++
		case s.lateSince != 0: // it holds nobody up
		case idle <= wait:
			limit = min(limit, s.end)
		default:
			limit = min(limit, s.end+int64((idle-wait)/sampleTime))
		}
	}
	if l.cfg.track == 0 && (missing > 0 || limit == math.MaxInt64) {
		limit = min(limit, l.callTime(now-wait))
	}
	if limit == math.MaxInt64 {
		limit = l.base
	}
	if l.cfg.track != 0 && len(l.sources) > 0 { // nobody else is waited for
		limit = max(limit, l.sources[0].end)
	}
	return limit
}

// sides chooses a track's channel by its role, where that is known; else the first track goes left, the second right, but
// not where the other's role says that it is.
func sides(t *media.TrackState, others []media.TrackState) uint8 {
	switch t.Party.Role {
	case call.RoleCustomer, call.RoleOther:
		return left
	case call.RoleAgent:
		return right
	case call.RoleMix:
		return both
	}
	for i := range others {
		if others[i].Ended {
			continue
		}
		switch others[i].Party.Role {
		case call.RoleCustomer:
			return right
		case call.RoleAgent:
			return left
		}
	}
	if t.ID%2 == 1 {
		return left
	}
	return right
}
