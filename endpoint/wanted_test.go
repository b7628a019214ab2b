package endpoint

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/stream"
)

// nothing is an archive that has nothing yet.
type nothing struct{}

func (nothing) Open(stream.Voice) stream.Shelf { return nothing{} }
func (nothing) Behind() time.Duration          { return time.Second }
func (nothing) Read(int64, []int16) (int, int) { return 0, 0 }
func (nothing) Close()                         {}

// TestTheAudioOfACallIsWantedUntilItsConsumersAreThroughWithIt: also when the call is over; else keep_local: 0 takes it away from those that catch up.
func TestTheAudioOfACallIsWantedUntilItsConsumersAreThroughWithIt(t *testing.T) {
	hub, err := stream.New(stream.Config{Consumers: []stream.Consumer{
		{Name: "asr", Type: stream.TypeUnix, Address: filepath.Join(t.TempDir(), "nobody.sock"), Per: stream.PerCall, CatchUp: true, Buffer: time.Second, MaxRestarts: 1 << 20},
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = hub.Run(ctx)
	}()
	e := &Endpoint{hub: hub, calls: map[string]*Call{"lives": nil}, listeners: map[string]int{}}
	over := e.listensBack("listened")
	sink := hub.Open(call.Info{ID: "ended"}, stream.Options{Archive: nothing{}})
	for pos := int64(0); pos < 24_000; pos += 160 { // what its ring does not keep is to be caught up
		b := &media.Batch{Zero: time.Second, Now: time.Second + time.Duration(pos+160)*sampleTime, Tracks: []media.TrackState{{ID: 1, Placed: true, Length: pos + 160}}}
		b.Frames = []media.Frame{{Track: 1, Kind: media.KindReceived, Pos: pos, Samples: 160, Captured: b.Now, PCM: make([]int16, 160)}}
		sink.Write(b)
	}
	sink.End(call.Cause{Code: call.CodeHangup})
	soon(t, "its consumer is at work", func() bool { return len(hub.Live()) == 1 })
	if got := slices.Sorted(maps.Keys(e.wantsAudio())); !slices.Equal(got, []string{"ended", "listened", "lives"}) {
		t.Errorf("wanted: %v", got)
	}
	over()
	cancel()
	<-done
	if got := slices.Sorted(maps.Keys(e.wantsAudio())); !slices.Equal(got, []string{"lives"}) {
		t.Errorf("wanted when nobody reads: %v", got)
	}
}
