package recorder_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
)

// A call of one track, half a second long, of which 20 ms were lost.
func Example() {
	dir, err := os.MkdirTemp("", "recordings")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	store, err := recorder.New(recorder.Config{Dir: dir})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- store.Run(ctx) }()

	started := time.Date(2026, 11, 23, 10, 15, 0, 0, time.UTC)
	rec, err := store.Open(call.Info{ID: "s-a0d7", Started: started}, recorder.Anchor{Wall: started})
	if err != nil {
		panic(err)
	}
	// In earshot a media.Timeline writes and ends.
	rec.Write(&media.Batch{
		Frames: []media.Frame{
			{Track: 1, Kind: media.KindReceived, Pos: 0, Samples: 3840, PCM: make([]int16, 3840)},
			{Track: 1, Kind: media.KindLost, Pos: 3840, Samples: 160},
		},
		Tracks: []media.TrackState{{ID: 1, Placed: true, OffsetMethod: media.OffsetArrival, Length: 4000}},
	})
	rec.End(call.Cause{Code: call.CodeHangup})
	<-rec.Sealed()

	m, err := recorder.ReadManifest(rec.Result().Dir)
	if err != nil {
		panic(err)
	}
	fmt.Println(filepath.Base(rec.Result().Dir), m.State, m.Cause)
	fmt.Println(m.Samples, m.Channels, m.Tracks[0].Spans)
	cancel()
	fmt.Println(<-done)
	// Output:
	// 20261123T101500Z_s-a0d7 recorded hangup
	// 4000 [mix] [{lost 3840 160}]
	// <nil>
}
