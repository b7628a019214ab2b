package stream

import (
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
