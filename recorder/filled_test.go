package recorder_test

import (
	"slices"
	"testing"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
)

// Where packets are missing and the sender paused too, media calls the first part of the hole lost and the rest a gap, and a packet that
// comes late may be of either.
func TestLateAudioFillsAGap(t *testing.T) {
	s, _ := start(t, recorder.Config{})
	r := open(t, s, monoInfo("pause"))
	k := newTalker(1, call.RoleMix, 0)
	frames := append(k.speaks(30), k.frame(media.KindLost, 160), k.frame(media.KindGap, 800), k.frame(media.KindReceived, 160))
	frames = append(frames, k.behind(media.KindLate, 4800+480, 160))
	b := batch(0, frames, k)
	r.Write(b)
	_, m := seal(t, r)
	res := r.Result()
	sameSamples(t, "mono", readWave(t, res.Dir).pcm(0), expect(k.end(), k))
	checkSpans(t, m.Tracks[0], k)
	want := []recorder.Span{
		{Kind: lost, Pos: 4800, Samples: 160}, {Kind: gap, Pos: 4960, Samples: 320}, {Kind: late, Pos: 5280, Samples: 160},
		{Kind: gap, Pos: 5440, Samples: 320},
	}
	if !slices.Equal(m.Tracks[0].Spans, want) {
		t.Errorf("spans: got %v, want %v", m.Tracks[0].Spans, want)
	}
}
