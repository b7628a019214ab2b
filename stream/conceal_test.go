package stream

import (
	"slices"
	"testing"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

// hearAll runs frames of track 1 through a lane of its own, in batches of a given size.
func hearAll(t *testing.T, each int, frames ...media.Frame) []int16 {
	t.Helper()
	l, out := newTestLane(t, laneConfig{channels: 1, track: 1})
	tracks := []media.TrackState{state(1, call.RoleCustomer, 0, true)}
	now := int64(0)
	for batch := range slices.Chunk(frames, each) {
		now += ptime
		l.write(&media.Batch{Zero: zeroAt, Now: at(now), Frames: batch, Tracks: tracks})
	}
	l.finish()
	return out.pcm
}

// spoken is n frames of received audio from a position on.
func spoken(pos int64, n int) (frames []media.Frame) {
	for i := range int64(n) {
		frames = append(frames, run(1, media.KindReceived, pos+i*ptime, ptime, at(pos+i*ptime)))
	}
	return frames
}

// TestALiveListenerHearsConcealment: where packets are lost, and all that came as it came.
func TestALiveListenerHearsConcealment(t *testing.T) {
	for _, lost := range []int64{160, 320, 480, 1600, 20_000} {
		frames := slices.Concat(spoken(0, 10), []media.Frame{run(1, media.KindLost, 1600, lost, at(1600))}, spoken(1600+lost, 10))
		pcm := hearAll(t, len(frames), frames...)
		if int64(len(pcm)) != 3200+lost {
			t.Fatalf("%d lost: got %d samples, want %d", lost, len(pcm), 3200+lost)
		}
		for i, v := range pcm {
			if gone := int64(i) >= 1600 && int64(i) < 1600+lost; !gone && v != sampleAt(1, int64(i)) {
				t.Fatalf("%d lost: sample %d, which came: got %d, want %d", lost, i, v, sampleAt(1, int64(i)))
			}
		}
		hole := pcm[1600 : 1600+lost]
		for i := 0; i < len(hole) && i < media.ConcealSamples-media.ConcealTail; i += 40 {
			if part := hole[i:min(i+40, len(hole))]; slices.Max(part) == 0 && slices.Min(part) == 0 {
				t.Errorf("%d lost: silence at %d", lost, i)
			}
		}
		for i, v := range hole {
			if i >= media.ConcealSamples && i < len(hole)-media.ConcealTail && v != 0 {
				t.Fatalf("%d lost: sample %d of it is %d, want silence after 60 ms", lost, i, v)
			}
		}
	}
}

// TestNothingOfAMaskOrBeforeAPauseIsHeardInConcealment.
func TestNothingOfAMaskOrBeforeAPauseIsHeardInConcealment(t *testing.T) {
	for name, between := range map[string]media.Frame{
		"mask taken back": run(1, media.KindMasked, 0, 1600, at(1600)),
		"mask":            run(1, media.KindMasked, 1600, 160, at(1600)),
		"pause":           run(1, media.KindGap, 1600, 160, at(1600)),
	} {
		pos := max(1600, between.Pos+between.Samples)
		frames := append(spoken(0, 10), between, run(1, media.KindLost, pos, 480, at(pos)))
		pcm := hearAll(t, 1, frames...)
		if hole := pcm[len(pcm)-480:]; slices.Max(hole) != 0 || slices.Min(hole) != 0 {
			t.Errorf("%s: something is heard in what was lost after it", name)
		}
	}
}
