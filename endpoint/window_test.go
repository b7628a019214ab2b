package endpoint

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

// tape keeps what a window shows.
type tape struct {
	same   bool // the newest batch was media's own
	own    *media.Batch
	now    time.Duration
	zero   time.Duration
	frames []media.Frame
	tracks []media.TrackState
	events []call.Event
	ended  []call.Cause
}

func (t *tape) Write(b *media.Batch) {
	t.same, t.now, t.zero = b == t.own, b.Now, b.Zero
	for _, f := range b.Frames {
		f.PCM = slices.Clone(f.PCM)
		t.frames = append(t.frames, f)
	}
	t.tracks, t.events = slices.Clone(b.Tracks), append(t.events, b.Events...)
}

func (t *tape) End(c call.Cause) { t.ended = append(t.ended, c) }

func track(id media.TrackID, part uint16) media.TrackState {
	return media.TrackState{
		ID: id, Part: part, Leg: string(rune('A' + id - 1)), Placed: true, Offset: 800, Length: 1600,
		Epochs: []media.Epoch{{SSRC: uint32(id), Timestamp: 5000, Why: "first"}},
	}
}

func run(track media.TrackID, pos, n int64) media.Frame {
	f := media.Frame{Track: track, Kind: media.KindReceived, Pos: pos, Samples: n}
	for i := range n {
		f.PCM = append(f.PCM, int16(pos+i))
	}
	return f
}

func TestTheOnlyPartOfACallIsShownAsItIs(t *testing.T) {
	s := &tape{}
	w := newWindow(1, 0, s)
	s.own = &media.Batch{Tracks: []media.TrackState{track(1, 1), track(2, 1)}, Frames: []media.Frame{run(1, 0, 160)}}
	if w.Write(s.own); !s.same {
		t.Error("got a copy, want media's batch")
	}
	w.End(call.Cause{Code: call.CodeHangup})
	w.End(call.Cause{})
	if len(s.ended) != 1 || s.ended[0].Code != call.CodeHangup {
		t.Errorf("ended: got %v, want once, hangup", s.ended)
	}
}

func TestEachPartHasItsOwnTracksFromOneOn(t *testing.T) {
	one, two := &tape{}, &tape{}
	first, second := newWindow(1, 0, one), newWindow(2, 400, two)
	third := track(3, 2)
	third.Leg = "C"
	b := &media.Batch{
		Now: time.Second, Zero: 100 * time.Millisecond, Tracks: []media.TrackState{track(1, 1), track(2, 1), third},
		Frames: []media.Frame{run(1, 0, 160), run(3, 0, 160), run(2, 0, 160)},
		Events: []call.Event{
			{Type: call.EventTrackStarted, Leg: "C", Track: 3, Pos: 7}, {Type: call.EventLegAnswered, Leg: "A"}, {Type: call.EventLegAnswered, Leg: "C"},
			{Type: call.EventPartStarted}, {Type: call.EventLegEnded, Leg: "nobody's"},
		},
	}
	first.Write(b)
	second.Write(b)
	types := func(es []call.Event) (out []string) {
		for _, e := range es {
			out = append(out, string(e.Type)+" "+e.Leg)
		}
		return out
	}
	if d := cmp.Diff([]string{"leg_answered A", "part_started ", "leg_ended nobody's"}, types(one.events)); d != "" {
		t.Error("first part's events:", d)
	}
	if d := cmp.Diff([]string{"track_started C", "leg_answered C", "part_started ", "leg_ended nobody's"}, types(two.events)); d != "" {
		t.Error("second part's events:", d)
	}
	if len(one.frames) != 2 || len(one.tracks) != 2 || len(two.frames) != 1 || len(two.tracks) != 1 {
		t.Fatalf("got %d frames of %d tracks, and %d of %d; want 2 of 2 and 1 of 1", len(one.frames), len(one.tracks), len(two.frames), len(two.tracks))
	}
	if k := two.tracks[0]; two.frames[0].Track != 1 || k.ID != 1 || k.Offset != 400 || two.events[0].Track != 1 || two.zero != 150*time.Millisecond {
		t.Errorf("second part: got track %d at %d, frame of %d, event of %d, zero %v; want 1 at 400, 50 ms later", k.ID, k.Offset, two.frames[0].Track, two.events[0].Track, two.zero)
	}
	if got := second.global(1); got != 3 || second.global(2) != 0 {
		t.Errorf("the call's number of track 1: got %d, want 3", got)
	}
}

func TestATrackThatMovedIsInBothPartsWithoutAGap(t *testing.T) {
	one, two := &tape{}, &tape{}
	first, second := newWindow(1, 0, one), newWindow(2, 1600, two)
	b := &media.Batch{Now: time.Second, Tracks: []media.TrackState{track(1, 1)}, Frames: []media.Frame{run(1, 0, 1000)}}
	first.Write(b)
	second.Write(b)
	before := track(1, 1)
	before.Length, before.Counts.ReceivedSamples = 1000, 1000
	moved := track(1, 2)
	moved.From, moved.Before, moved.Length, moved.Counts.ReceivedSamples = 1000, &before, 1600, 1600
	first.finish(call.Cause{Code: call.CodeReplan})
	masked := media.Frame{Track: 1, Kind: media.KindMasked, Pos: 900, Samples: 200} // reaches back over the cut
	b = &media.Batch{Now: 2 * time.Second, Final: 0, Tracks: []media.TrackState{moved}, Frames: []media.Frame{run(1, 1000, 600), masked}}
	first.Write(b)
	second.Write(b)
	if len(one.ended) > 0 {
		t.Fatal("the first part ended before Final had come to the cut")
	}
	b = &media.Batch{Now: 4 * time.Second, Final: 2 * time.Second, Tracks: []media.TrackState{moved}}
	first.Write(b)
	if len(one.ended) != 1 || one.ended[0].Code != call.CodeReplan || one.now != 2*time.Second {
		t.Errorf("got %v, the last batch at %v; want replan, and the part to end at 2 s", one.ended, one.now)
	}
	var spans [2][]int64
	for i, s := range []*tape{one, two} {
		for _, f := range s.frames {
			spans[i] = append(spans[i], f.Pos, f.Samples)
		}
	}
	if d := cmp.Diff([2][]int64{{0, 1000, 900, 100}, {0, 600, 0, 100}}, spans); d != "" {
		t.Error("frames:", d)
	}
	if f := two.frames[0]; f.PCM[0] != 1000 {
		t.Errorf("the second part begins with sample %d, want 1000", f.PCM[0])
	}
	a, z := one.tracks[0], two.tracks[0]
	if !a.Ended || a.Length != 1000 || a.Counts.ReceivedSamples != 1000 {
		t.Errorf("first part: got %+v, want its state when it moved, ended", a)
	}
	if z.Ended || z.Length != 600 || z.Offset != 200 || z.Counts.ReceivedSamples != 600 || z.Epochs[0] != (media.Epoch{SSRC: 1, Timestamp: 6000, Why: "first"}) {
		t.Errorf("second part: got %+v", z)
	}
}

func TestALaterPartCostsNoAllocation(t *testing.T) {
	w := newWindow(2, 400, &quiet{})
	b := &media.Batch{Tracks: []media.TrackState{track(1, 1), track(2, 2)}, Frames: []media.Frame{run(1, 0, 160), run(2, 0, 160)}}
	w.Write(b)
	if n := testing.AllocsPerRun(100, func() { w.Write(b) }); n != 0 {
		t.Errorf("got %v allocations a batch, want none", n)
	}
}

type quiet struct{ frames int }

func (q *quiet) Write(b *media.Batch) { q.frames += len(b.Frames) }
func (*quiet) End(call.Cause)         {}

func TestAListenerHearsTheNewestPartThatSpeaks(t *testing.T) {
	s := &tape{}
	f := &follower{sink: s}
	late := track(2, 2)
	late.Epochs = nil
	f.Write(&media.Batch{Tracks: []media.TrackState{track(1, 1), late}, Frames: []media.Frame{run(1, 0, 160)}})
	if len(s.frames) != 1 || s.tracks[0].Ended {
		t.Fatalf("got %d frames, ended %t; want the first part until the second speaks", len(s.frames), s.tracks[0].Ended)
	}
	f.Write(&media.Batch{Tracks: []media.TrackState{track(1, 1), track(2, 2)}, Frames: []media.Frame{run(1, 160, 160), run(2, 0, 160)}})
	if len(s.frames) != 2 || s.frames[1].Track != 2 || !s.tracks[0].Ended || s.tracks[1].Ended {
		t.Errorf("got frames %d, ended %t and %t; want the second part alone", len(s.frames), s.tracks[0].Ended, s.tracks[1].Ended)
	}
}
