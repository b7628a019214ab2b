package stream

import (
	"fmt"
	"slices"
	"testing"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

// What is to be exact waits for a track's place, and then lies there from its first sample on; where it began before what has gone out, that is told.
func TestWhatIsExactWaitsForItsPlace(t *testing.T) {
	for name, c := range map[string]struct {
		guess, placed, before int64 // before: so much had gone out when its first packet came
		late                  int64
		lates                 []stretch
	}{
		"first packet was slow":    {guess: 400, placed: 240},
		"placed later than it was": {guess: 400, placed: 480},
		"same":                     {guess: 400, placed: 400},
		"it joins":                 {guess: 8000, placed: 7900, before: 7000},
		"it joins late":            {guess: 8000, placed: 7900, before: 8040, late: 140, lates: []stretch{{7900, 8040}}},
		"and lies later":           {guess: 8000, placed: 8100, before: 8040, late: 40, lates: []stretch{{8000, 8140}}},
	} {
		t.Run(name, func(t *testing.T) {
			l, out := newTestLane(t, laneConfig{channels: 1, exact: true})
			if c.before > 0 { // another party, who says nothing that is heard
				other := []media.TrackState{state(1, call.RoleMix, 0, true)}
				for i := int64(0); i < c.before; i += 40 {
					l.write(&media.Batch{Zero: zeroAt, Now: at(i + 40), Frames: []media.Frame{run(1, media.KindGap, i, 40, at(i))}, Tracks: other})
				}
				l.emit(c.before)
			}
			const packets = 50
			for i := range int64(packets) {
				states := []media.TrackState{state(1, call.RoleMix, 0, true), state(2, call.RoleMix, 0, false)}
				states[0].Ended = c.before > 0
				if i >= 25 {
					states[1] = state(2, call.RoleMix, c.placed, true)
				}
				f := run(2, media.KindReceived, i*ptime, ptime, at(c.guess+i*ptime))
				l.write(&media.Batch{Zero: zeroAt, Now: f.Captured, Frames: []media.Frame{f}, Tracks: states})
				if i < 24 && l.base > max(c.before, c.guess) {
					t.Fatalf("packet %d: %d samples have gone out before the track was placed", i, l.base)
				}
			}
			l.finish()
			if int64(len(out.pcm)) != c.placed+packets*ptime {
				t.Fatalf("%d samples, want %d", len(out.pcm), c.placed+packets*ptime)
			}
			for i, got := range out.pcm {
				p, want := int64(i), int16(0)
				told := slices.ContainsFunc(l.lates.ranges, func(s stretch) bool { return p >= s.from && p < s.to })
				if p >= c.placed && !told {
					want = sampleAt(2, p-c.placed)
				}
				if got != want {
					t.Fatalf("sample %d: got %d, want %d", i, got, want)
				}
			}
			if l.late != c.late || !slices.Equal(l.lates.ranges, c.lates) {
				t.Errorf("%d late, %v, want %d, %v", l.late, l.lates.ranges, c.late, c.lates)
			}
		})
	}
}

// A side that was moved to the present, as all of it came too late for long, is told of: whose it is, from where on, and by how much.
func TestAMovedSideIsToldOf(t *testing.T) {
	h, err := New(Config{Consumers: []Consumer{{Name: "asr", Command: []string{"cat"}, Per: PerCall}}})
	if err != nil {
		t.Fatal(err)
	}
	var told []call.Event
	f := h.Open(call.Info{ID: "c", Expected: []call.Party{{Role: call.RoleCustomer}, {Role: call.RoleAgent}}}, Options{Notify: func(e call.Event) { told = append(told, e) }}).(*feed)
	tracks := []media.TrackState{state(1, call.RoleCustomer, 0, true), state(2, call.RoleAgent, 0, true)}
	pos := int64(0)
	for i := range int64(1000) {
		b := media.Batch{Zero: zeroAt, Now: at((i + 1) * ptime), Tracks: tracks}
		b.Frames = append(b.Frames, run(2, media.KindReceived, i*ptime, ptime, b.Now))
		if i < 50 || i >= 250 && i < 500 || i >= 700 { // its clock stands still twice, for 4 s
			b.Frames = append(b.Frames, run(1, media.KindReceived, pos, ptime, b.Now))
			pos += ptime
		}
		f.Write(&b)
	}
	moves, late := slices.Clone(f.calls[0].late.moves), slices.Clone(f.calls[0].late.was.ranges)
	if f.calls[0].taker.tellLost(); len(moves) != 2 || moves[0].by < 2*media.SampleRate || moves[1].by < moves[0].by+2*media.SampleRate {
		t.Fatalf("moved: %+v", moves)
	}
	if want := []stretch{{50 * ptime, moves[0].from}, {300 * ptime, moves[1].from}}; !slices.Equal(late, want) { // where the recording has it, also once it was moved
		t.Errorf("late: %v, want %v", late, want)
	}
	var texts []string
	for _, e := range told {
		if text, ok := e.Facts["text"].(string); ok && e.Type == call.EventStreamDropped && e.Facts["reason"] == tooLate && e.Facts["samples"] == int64(0) {
			texts = append(texts, text)
		}
	}
	var want []string
	for _, m := range moves {
		want = append(want, fmt.Sprintf("what the customer says from %d on comes %d samples later than in the recording", m.from, m.by))
	}
	if !slices.Equal(texts, want) {
		t.Errorf("told %q, want %q", texts, want)
	}
	f.End(call.Cause{})
}

// What was late is counted once and whole: also where a range comes to lie in what stands between two that were made one, and where one batch has more than are told apart.
func TestWhatIsLateIsCountedToTheSample(t *testing.T) {
	for name, batch := range map[string]int64{"a batch each": 1, "in one batch": maxRuns + 100} {
		for again, want := range map[int64]int64{2*maxRuns - 1: ptime, 2: 0, 1: ptime} {
			var l lane
			p := &lateness{}
			for i := range int64(maxRuns + 8) {
				l.miss(2*i*ptime, ptime)
				if i%batch == batch-1 {
					p.add(&l)
				}
			}
			l.miss(again*ptime, ptime)
			p.add(&l)
			if _, n, _ := p.take(); n != (maxRuns+8)*ptime+want {
				t.Errorf("%s, packet %d as well: told %d samples, want %d", name, again, n, (maxRuns+8)*ptime+want)
			}
		}
	}
}
