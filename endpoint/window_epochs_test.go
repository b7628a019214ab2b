package endpoint

import (
	"math"
	"testing"

	"github.com/earshot/earshot/media"
)

// TestEpochsLieAtTheSameTimeInEachPart: what is known of a track's place by now is told to every part that has some of it, each on its
// own timeline.
func TestEpochsLieAtTheSameTimeInEachPart(t *testing.T) {
	epochs := []media.Epoch{{SSRC: 1, Why: "first"}, {SSRC: 2, Pos: 400_000, Why: "ssrc"}}
	before := track(1, 1)
	before.Length, before.Epochs = 1_000_000, epochs
	now := before
	now.Before, now.Part, now.From, now.Length, now.Placed, now.Offset = &before, 2, 1_000_000, 1_500_000, true, 4000
	now.Epochs = []media.Epoch{
		{SSRC: 1, Why: "first", Estimated: true, OffsetEstimate: 4010, DriftPPM: 50},
		{SSRC: 2, Pos: 400_000, Why: "ssrc", Estimated: true, OffsetEstimate: 3980, DriftPPM: 100},
		{SSRC: 3, Pos: 1_200_000, Why: "ssrc", Estimated: true, OffsetEstimate: 3900, DriftPPM: -100},
	}
	const shift = 990_000
	one, two := &tape{}, &tape{}
	b := &media.Batch{Tracks: []media.TrackState{now}}
	newWindow(1, 0, one).Write(b)
	newWindow(2, shift, two).Write(b)
	lies := func(e media.Epoch, p int64) float64 {
		return float64(e.Pos+e.OffsetEstimate) + float64(p-e.Pos)/(1+e.DriftPPM*1e-6)
	}
	first, second := one.tracks[0], two.tracks[0]
	if len(first.Epochs) != 2 || first.Epochs[0] != now.Epochs[0] || first.Epochs[1] != now.Epochs[1] || first.OffsetEstimate != 4010 {
		t.Errorf("first part: got %+v, want what is known now", first)
	}
	if len(second.Epochs) != 2 {
		t.Fatalf("second part: got %+v, want two epochs", second.Epochs)
	}
	for i, p := range []int64{1_100_000, 1_400_000} {
		got, want := lies(second.Epochs[i], p-1_000_000), lies(now.Epochs[i+1], p)-shift
		if math.Abs(got-want) > 0.5 {
			t.Errorf("second part: the sample at %d lies at %.1f, want %.1f", p, got, want)
		}
	}
	if second.OffsetEstimate != second.Epochs[0].OffsetEstimate {
		t.Errorf("second part: offset estimate %d, want that of its first epoch", second.OffsetEstimate)
	}
}
