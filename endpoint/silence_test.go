package endpoint

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

// noMedia counts the events that say so.
type noMedia struct {
	mu sync.Mutex
	n  int
}

func (s *noMedia) Write(b *media.Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range b.Events {
		if e.Type == call.EventNoMedia {
			s.n++
		}
	}
}

func (*noMedia) End(call.Cause) {}

// TestATrackThatFallsSilentIsToldOnceAndNotWhileHeld: hold may end RTP by right.
func TestATrackThatFallsSilentIsToldOnceAndNotWhileHeld(t *testing.T) {
	const limit = 30 * time.Second
	for _, tc := range []struct {
		name string
		held bool
		at   []time.Duration // looks
		want int
	}{
		{"not yet", false, []time.Duration{0, limit - time.Second}, 0},
		{"once", false, []time.Duration{0, limit, 2 * limit, 3 * limit}, 1},
		{"held", true, []time.Duration{0, limit, 2 * limit}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			engine, err := media.New(media.Config{ListenIP: netip.MustParseAddr("127.0.0.1"), Sweep: time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- engine.Run(ctx) }()
			defer func() { cancel(); <-done }()
			line, err := engine.NewTimeline(call.Info{ID: "c"})
			if err != nil {
				t.Fatal(err)
			}
			sink := new(noMedia)
			line.Attach(sink)
			track, err := line.Open(media.Plan{Leg: "leg"})
			if err != nil {
				t.Fatal(err)
			}
			c := &Call{
				id: "c", timeline: line, tracks: []*media.Track{track}, silent: map[media.TrackID]silence{},
				legs: []*leg{{id: "leg", held: map[int]bool{0: tc.held}}},
				e:    &Endpoint{cfg: Config{NoMediaTimeout: limit}, log: slog.New(slog.DiscardHandler), engine: engine},
			}
			begin := time.Now()
			for _, at := range tc.at {
				c.watchMedia(begin.Add(at))
			}
			<-line.Close(call.Cause{Code: call.CodeHangup})
			if sink.n != tc.want {
				t.Errorf("told %d times, want %d", sink.n, tc.want)
			}
		})
	}
}
