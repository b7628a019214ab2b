package stream_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/stream"
)

// A second of one party's audio, as media brings it.
func second(to media.Sink) {
	party := call.Party{ID: "p-1", Role: call.RoleAgent}
	for i := range int64(50) {
		now := time.Second + time.Duration(i)*20*time.Millisecond
		to.Write(&media.Batch{
			Now:    now,
			Zero:   time.Second,
			Frames: []media.Frame{{Track: 1, Kind: media.KindReceived, Pos: i * 160, Samples: 160, Captured: now, PCM: make([]int16, 160)}},
			Tracks: []media.TrackState{{ID: 1, Party: party, Placed: true}},
		})
	}
	to.End(call.Cause{Code: call.CodeHangup})
}

// A program per track gets the party's audio on its standard input.
func ExampleHub() {
	dir, err := os.MkdirTemp("", "stream")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	hub, err := stream.New(stream.Config{Consumers: []stream.Consumer{{
		Command: []string{"sh", "-c", `cat > "$DIR/$CALL_ID-$CALL_ROLE.raw"`}, Env: map[string]string{"DIR": dir},
	}}})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended, done := make(chan call.Event, 1), make(chan error)
	go func() { done <- hub.Run(ctx) }()

	sink := hub.Open(call.Info{ID: "s-1"}, stream.Options{Notify: func(e call.Event) {
		if e.Type == call.EventStreamEnded {
			ended <- e
		}
	}})
	second(sink) // media does this, after timeline.Attach(sink)

	fmt.Println((<-ended).Facts["reason"])
	cancel()
	if err := <-done; err != nil {
		panic(err)
	}
	pcm, err := os.ReadFile(filepath.Join(dir, "s-1-agent.raw"))
	if err != nil {
		panic(err)
	}
	fmt.Println(len(pcm), "bytes")
	// Output:
	// call_ended
	// 16000 bytes
}

// A listener hears a call from now on.
func ExampleListener() {
	listener, err := stream.NewListener(stream.ListenConfig{Track: stream.HearAgent, Format: stream.FormatWAV})
	if err != nil {
		panic(err)
	}
	second(listener) // media does this, after timeline.Attach(listener)

	var out bytes.Buffer
	if _, err := listener.WriteTo(&out); err != nil {
		panic(err)
	}
	fmt.Printf("%s, %d bytes\n", out.Bytes()[:4], out.Len())
	// Output: RIFF, 16044 bytes
}
