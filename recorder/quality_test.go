package recorder

import (
	"testing"

	"github.com/earshot/earshot/media"
)

func TestTheWorstTenSecondsSayWhereInTheAudioTheyAre(t *testing.T) {
	st := media.TrackState{Quality: media.Quality{ExpectedPackets: 1000, Worst: media.Window{Pos: 80_000, Samples: 80_000, ExpectedPackets: 500}}}
	q := quality(&st, 4_000) // the track begins half a second into the file
	if w := q.Worst10s; w == nil || w.Pos != 80_000 || w.AudioSeconds != 10.5 || q.RatingModel == "" {
		t.Errorf("got %+v of %+v, want the audio's second 10.5 and the rating's model", w, q)
	}
}
