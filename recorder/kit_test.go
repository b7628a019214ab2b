package recorder

import (
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

func TestAWorkerSwapsItsEmptyBufferForTheFullOne(t *testing.T) {
	s, err := New(Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // the folder goes with it
	r, err := s.Open(call.Info{ID: "swap"}, Anchor{Wall: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	k := newKit()
	octets := make([]byte, 160)
	for i := range int64(5) {
		full, empty := r.inbox.in, k.empty
		r.Write(&media.Batch{
			Frames: []media.Frame{{Track: 1, Kind: media.KindReceived, Law: media.LawPCMU, Pos: i * 160, Samples: 160, Octets: octets}},
			Tracks: []media.TrackState{{ID: 1, Placed: true}},
		})
		s.process(r, k, false, time.Time{})
		if r.inbox.in != empty || k.empty != full || !k.empty.empty() || !r.inbox.in.empty() {
			t.Fatalf("round %d: the recording has %p, the worker %p; want %p and %p, both empty", i, r.inbox.in, k.empty, empty, full)
		}
	}
	if n := r.w.tracks[0].loss.end; n != 5*160 {
		t.Errorf("%d samples were taken, want %d", n, 5*160)
	}
}

func TestWhatTurnsATrackIsSeenAtOnce(t *testing.T) {
	before := []media.TrackState{{ID: 1, EpochCount: 1}}
	marks := marksOf(nil, before)
	for what, now := range map[string][]media.TrackState{
		"placed":       {{ID: 1, EpochCount: 1, Placed: true}},
		"ended":        {{ID: 1, EpochCount: 1, Ended: true}},
		"a new source": {{ID: 1, EpochCount: 2}},
		"a new track":  {{ID: 1, EpochCount: 1}, {ID: 2}},
	} {
		if !turned(marks, now) {
			t.Errorf("%s: not seen", what)
		}
	}
	before[0].Length = 160
	if turned(marks, before) {
		t.Error("seen, though only the length is another")
	}
}
