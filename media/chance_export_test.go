package media

import (
	"testing"
	"time"
)

// Stories is how many stories a test tells: usual ones, or as many as EARSHOT_STORIES says, divided.
func Stories(t testing.TB, usual, divided int) int { return max(usual, stories(t, usual)/divided) }

// TellStory plays the story of a seed to a sink more. Begin makes it, given the engine's time of sample 0. It gives the kind of each
// sample as the story's own tape has it, which is held against the oracle, and the track's state at the end.
func TellStory(t testing.TB, seed uint64, begin func(wall time.Time, mono time.Duration) Sink) (kinds []Kind, last TrackState) {
	t.Helper()
	s := storyOf(seed)
	r := new(stage).play(t, s, func(r *rig) { r.line.Attach(begin(r.e.start.Add(r.now), r.now)) })
	s.hold(t, r)
	if reel := r.tape.tracks[1]; reel != nil {
		kinds = reel.kinds
	}
	return kinds, r.state()
}
