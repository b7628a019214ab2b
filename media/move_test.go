package media

import (
	"testing"
	"time"

	"github.com/earshot/earshot/call"
)

// sides counts what a track gives out on each side of a position.
type sides struct {
	t     *testing.T
	track *Track
	sum   map[uint16]int64
}

func (s *sides) Write(b *Batch) {
	for _, f := range b.Frames {
		k := b.Tracks[f.Track-1]
		if k.Part == 2 && f.Pos < k.From && f.Pos+f.Samples > k.From {
			s.t.Errorf("frame %d+%d lies on both sides of %d", f.Pos, f.Samples, k.From)
		}
		part := k.Part
		if f.Pos < k.From {
			part = k.Before.Part
		}
		if f.Kind != KindLate {
			s.sum[part] += f.Samples
		}
	}
}

func (*sides) End(call.Cause) {}

func TestATrackThatMovesIsCutBetweenTwoFrames(t *testing.T) {
	in := stream(1, 1, 0, 100*ms, 200)
	in[50].at += 300 * ms // it is given up, and comes after the move all the same
	r := newRig(t, Config{}).commit(plainParams()).send(in...)
	r.track.live.state.Part = 1
	got := &sides{t: t, track: r.track, sum: map[uint16]int64{}}
	r.line.Attach(got)
	r.until(1250 * ms)
	r.track.Move(2, call.Party{ID: "p1", Role: call.RoleAgent})
	r.until(5 * time.Second).close()
	s := r.state()
	if s.Part != 2 || s.Party.ID != "p1" || s.Before == nil || s.Before.Part != 1 || s.Before.Party.ID != "" {
		t.Fatalf("got part %d of party %q, before %+v; want 2 of p1 after 1", s.Part, s.Party.ID, s.Before)
	}
	if s.From != s.Before.Length || s.From < 8000 || s.From > 9600 {
		t.Errorf("got from %d, length before %d, want both where it was at 1.25 s", s.From, s.Before.Length)
	}
	if got.sum[1] != s.From || got.sum[1]+got.sum[2] != 200*160 || s.Counts.LatePackets != 1 {
		t.Errorf("got %v samples by part, cut at %d, %d late; want all 32000 and one late", got.sum, s.From, s.Counts.LatePackets)
	}
}
