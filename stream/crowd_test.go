package stream_test

import (
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/stream"
)

// BenchmarkListeners is 500 calls with a listener each, whose batches come call after call, as a shard gives them.
func BenchmarkListeners(b *testing.B) {
	for _, message := range []time.Duration{20 * time.Millisecond, 60 * time.Millisecond, 100 * time.Millisecond} {
		b.Run(fmt.Sprintf("message=%v", message), func(b *testing.B) { benchmarkListeners(b, 500, int(message/(20*time.Millisecond))) })
	}
}

func benchmarkListeners(b *testing.B, calls, packets int) {
	var wg sync.WaitGroup
	all := make([]*stream.Listener, calls)
	for i := range all {
		l, err := stream.NewListener(stream.ListenConfig{Message: time.Duration(packets) * 20 * time.Millisecond})
		if err != nil {
			b.Fatal(err)
		}
		all[i] = l
		wg.Go(func() { _, _ = l.WriteTo(io.Discard) })
	}
	batch := media.Batch{Zero: zero, Tracks: tracks()}
	for track := range media.TrackID(2) {
		for range packets {
			f := media.Frame{Track: track + 1, Kind: media.KindReceived, Samples: ptime, PCM: make([]int16, ptime)}
			for i := range f.PCM {
				f.PCM[i] = int16(i * 200)
			}
			batch.Frames = append(batch.Frames, f)
		}
	}
	b.ReportAllocs()
	n := int64(0)
	for b.Loop() {
		batch.Now = zero + time.Duration((n+1)*int64(packets))*20*time.Millisecond
		for k := range batch.Frames {
			batch.Frames[k].Pos, batch.Frames[k].Captured = (n*int64(packets)+int64(k%packets))*ptime, batch.Now
		}
		for _, l := range all {
			l.Write(&batch)
		}
		n++
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n)/float64(2*packets*calls), "ns/packet")
	for _, l := range all {
		l.End(call.Cause{})
		if l.DroppedSamples() > 0 {
			b.Log("dropped", l.DroppedSamples())
		}
	}
	wg.Wait()
}
