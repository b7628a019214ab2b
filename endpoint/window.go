package endpoint

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

// sampleTime is how long a sample lasts.
const sampleTime = time.Second / media.SampleRate

// window shows a sink one part of a call as if it were the whole: its tracks, numbered from 1, on a timeline that begins with
// the part. While a call has one part only, what it shows is what media gives.
type window struct {
	// Set by newWindow, then constant.
	part  uint16
	shift int64 // samples from the call's first to the part's first
	sink  media.Sink

	// until is set when the part takes no track any more: the sink ends, with this cause, when the last one has.
	until atomic.Pointer[call.Cause]

	// mu guards the field below, which the shard alone writes.
	mu    sync.Mutex
	names []media.TrackID // the part's tracks, as the call numbers them

	// Owned by the shard.
	own     []media.TrackID // by the call's number -1: the part's number, 0 for another part's track
	movedAt []time.Duration // by the part's number -1: the sweep that showed it in another part
	quietAt time.Duration   // the sweep that showed the last of them ended, or elsewhere; what comes is late
	ended   bool
	gift    media.Batch
	epochs  []media.Epoch
}

func newWindow(part uint16, shift int64, s media.Sink) *window {
	return &window{part: part, shift: shift, sink: s}
}

// Write implements media.Sink.
//
//earshot:hot
func (w *window) Write(b *media.Batch) {
	if w.ended {
		return
	}
	if w.meet(b) {
		w.sink.Write(b)
	} else {
		w.cut(b)
		w.sink.Write(&w.gift)
	}
	if c := w.until.Load(); c != nil && w.over(b) {
		w.end(*c)
	}
}

// Pace and Coded are the sink's.
func (w *window) Pace() time.Duration { return paceOf(w.sink) }
func (w *window) Coded() bool         { return coded(w.sink) }

// Fetch and Swept are the sink's.
func (w *window) Fetch() byte { return fetch(w.sink) }
func (w *window) Swept()      { swept(w.sink) }

// paceOf is how long a sink's batches may wait.
func paceOf(s media.Sink) time.Duration {
	if p, ok := s.(media.Paced); ok {
		return p.Pace()
	}
	return 0
}

// fetch has a sink fetch what it needs next.
//
//earshot:hot
func fetch(s media.Sink) byte {
	if f, ok := s.(media.Fetched); ok {
		return f.Fetch()
	}
	return 0
}

// swept tells a sink that the sweep is over.
//
//earshot:hot
func swept(s media.Sink) {
	if w, ok := s.(media.Swept); ok {
		w.Swept()
	}
}

// coded tells whether a sink needs no PCM.
func coded(s media.Sink) bool {
	c, ok := s.(media.Coded)
	return ok && c.Coded()
}

// quiet notes when the last of the part's tracks had ended, or moved: then the part ends, though late packets may come.
//
//earshot:hot
func (w *window) quiet(b *media.Batch) time.Duration {
	for i, n := range w.own {
		if s := &b.Tracks[i]; n != 0 && !s.Ended && s.Part == w.part {
			w.quietAt = 0
			return b.Now
		}
	}
	if w.quietAt == 0 {
		w.quietAt = b.Now
	}
	if w.until.Load() == nil {
		return b.Now
	}
	return w.quietAt
}

// End implements media.Sink.
func (w *window) End(c call.Cause) {
	if known := w.until.Load(); known != nil {
		c = *known
	}
	w.end(c)
}

func (w *window) end(c call.Cause) {
	if !w.ended {
		w.ended = true
		w.sink.End(c)
	}
}

// finish has the sink ended when the part's tracks have.
func (w *window) finish(c call.Cause) { w.until.CompareAndSwap(nil, &c) }

// global gives the call's number of a track of the part.
func (w *window) global(id uint32) uint32 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if id == 0 || int(id) > len(w.names) {
		return 0
	}
	return uint32(w.names[id-1])
}

// stateIn is a track's state in a part, and the position at which it left that; -1: it is there. Nil: it never was.
func stateIn(s *media.TrackState, part uint16) (in *media.TrackState, left int64) {
	left = -1
	for ; s != nil; s = s.Before {
		if s.Part == part {
			return s, left
		}
		left = s.From
	}
	return nil, 0
}

// meet numbers tracks that are new, and tells whether the batch can be shown as it is.
//
//earshot:hot
func (w *window) meet(b *media.Batch) bool {
	plain := w.shift == 0
	for i := range b.Tracks {
		s := &b.Tracks[i]
		if i == len(w.own) {
			w.own = append(w.own, 0)
		}
		if w.own[i] == 0 {
			if in, _ := stateIn(s, w.part); in != nil {
				w.own[i] = w.name(s.ID)
			}
		}
		n := w.own[i]
		plain = plain && int(n) == i+1 && s.Before == nil
		if n != 0 && s.Part != w.part && w.movedAt[n-1] == 0 {
			w.movedAt[n-1] = b.Now
		}
	}
	return plain
}

func (w *window) name(id media.TrackID) media.TrackID {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.names = append(w.names, id)
	w.movedAt = append(w.movedAt, 0)
	return media.TrackID(len(w.names))
}

// over tells whether nothing of the part's tracks comes any more.
func (w *window) over(b *media.Batch) bool {
	for i, n := range w.own {
		if s := &b.Tracks[i]; n != 0 && !s.Ended && (s.Part == w.part || b.Final < w.movedAt[n-1]) {
			return false
		}
	}
	return true
}

// cut makes the part's batch.
//
//earshot:hot
func (w *window) cut(b *media.Batch) {
	g := &w.gift
	g.Now, g.Final, g.Zero = w.quiet(b), b.Final, b.Zero+time.Duration(w.shift)*sampleTime
	g.Frames, g.Events, g.Tracks, w.epochs = g.Frames[:0], g.Events[:0], g.Tracks[:0], w.epochs[:0]
	for _, id := range w.names {
		g.Tracks = append(g.Tracks, w.state(b, &b.Tracks[id-1]))
	}
	for i := range b.Frames {
		w.frame(b, &b.Frames[i])
	}
	for i := range b.Events {
		w.event(b, &b.Events[i])
	}
}

// state is a track as the part has it.
//
//earshot:hot
func (w *window) state(b *media.Batch, s *media.TrackState) media.TrackState {
	in, left := stateIn(s, w.part)
	out := *in
	out.ID = w.own[s.ID-1]
	// Where the track lies is known of the whole of it.
	out.Placed, out.OffsetMethod, out.DriftPPM = s.Placed, s.OffsetMethod, s.DriftPPM
	out.Offset, out.OffsetEstimate = s.Offset+in.From-w.shift, s.OffsetEstimate+in.From-w.shift
	out.Length = in.Length - in.From
	out.Ended = s.Ended || left >= 0 && b.Final >= w.movedAt[out.ID-1]
	if in.Before != nil {
		out.Counts = out.Counts.Since(&in.Before.Counts)
	}
	out.Epochs = w.epochsOf(in, s)
	if len(out.Epochs) > 0 && out.Epochs[0].Estimated {
		out.OffsetEstimate = out.Epochs[0].OffsetEstimate
	}
	out.Before, out.From = nil, 0
	return out
}

// epochsOf gives the epochs that the part has of the track, from where it has it, with what is known of them by now.
func (w *window) epochsOf(in, now *media.TrackState) []media.Epoch {
	first := 0
	for i, e := range in.Epochs {
		if e.Pos <= in.From {
			first = i
		}
	}
	from := len(w.epochs)
	for i := first; i < len(in.Epochs); i++ {
		e := in.Epochs[i]
		if i < len(now.Epochs) {
			e = now.Epochs[i]
		}
		late := max(0, in.From-e.Pos)
		e.Timestamp += uint32(late) //nolint:gosec // modulo 2^32, as timestamps are
		if e.Estimated {
			stretched := float64(late) * (1 - 1/(1+e.DriftPPM*1e-6))
			e.OffsetEstimate += in.From - w.shift - int64(math.Round(stretched))
		}
		e.Pos = max(0, e.Pos-in.From)
		w.epochs = append(w.epochs, e)
	}
	return w.epochs[from:len(w.epochs):len(w.epochs)]
}

// frame adds what of a frame is the part's.
//
//earshot:hot
func (w *window) frame(b *media.Batch, f *media.Frame) {
	n := w.own[f.Track-1]
	if n == 0 {
		return
	}
	out := *f
	out.Track = n
	s := &b.Tracks[f.Track-1]
	if s.Before == nil {
		w.gift.Frames = append(w.gift.Frames, out)
		return
	}
	in, left := stateIn(s, w.part)
	from, to := max(f.Pos, in.From), f.Pos+f.Samples
	if left >= 0 {
		to = min(to, left)
	}
	if from >= to {
		return
	}
	out.Pos, out.Samples = from-in.From, to-from
	if f.PCM != nil {
		out.PCM = f.PCM[from-f.Pos : to-f.Pos]
	}
	if f.Octets != nil {
		out.Octets = f.Octets[from-f.Pos : to-f.Pos]
	}
	w.gift.Frames = append(w.gift.Frames, out)
}

// event adds an event that is the part's, or the whole call's.
func (w *window) event(b *media.Batch, e *call.Event) {
	out := *e
	switch {
	case e.Track != 0 && int(e.Track) <= len(b.Tracks):
		s := &b.Tracks[e.Track-1]
		if s.Part != w.part || w.own[e.Track-1] == 0 {
			return
		}
		out.Track, out.Pos = uint32(w.own[e.Track-1]), max(0, e.Pos-s.From)
	case e.Leg != "" && !w.knows(b, e.Leg):
		return
	}
	w.gift.Events = append(w.gift.Events, out)
}

// knows tells whether a dialog has a track in the part, or in none: then it is told to all.
func (w *window) knows(b *media.Batch, leg string) bool {
	elsewhere := false
	for i := range b.Tracks {
		if s := &b.Tracks[i]; s.Leg == leg {
			if s.Part == w.part {
				return true
			}
			elsewhere = true
		}
	}
	return !elsewhere
}

// follower shows a sink the newest part that can be heard, on the call's own timeline: for who listens to a call, whatever
// becomes of it.
type follower struct {
	sink  media.Sink
	gift  media.Batch
	first uint16 // the part at the newest batch
}

// Write implements media.Sink.
//
//earshot:hot
func (f *follower) Write(b *media.Batch) {
	newest := uint16(0)
	several := false
	for i := range b.Tracks {
		s := &b.Tracks[i]
		several = several || s.Part != b.Tracks[0].Part
		if len(s.Epochs) > 0 {
			newest = max(newest, s.Part)
		}
	}
	f.first = max(f.first, newest)
	if !several {
		f.sink.Write(b)
		return
	}
	g := &f.gift
	frames, tracks := g.Frames[:0], g.Tracks[:0]
	*g = *b
	for _, s := range b.Tracks {
		s.Ended = s.Ended || s.Part < f.first
		tracks = append(tracks, s)
	}
	for i := range b.Frames {
		if b.Tracks[b.Frames[i].Track-1].Part >= f.first {
			frames = append(frames, b.Frames[i])
		}
	}
	g.Frames, g.Tracks = frames, tracks
	f.sink.Write(g)
}

// Pace and Coded are the sink's.
func (f *follower) Pace() time.Duration { return paceOf(f.sink) }
func (f *follower) Coded() bool         { return coded(f.sink) }

// Fetch and Swept are the sink's.
func (f *follower) Fetch() byte { return fetch(f.sink) }
func (f *follower) Swept()      { swept(f.sink) }

// End implements media.Sink.
func (f *follower) End(c call.Cause) { f.sink.End(c) }
