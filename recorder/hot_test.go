package recorder_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
)

// sweeps makes the batches of a two-party call, one second, in which the same frames can be written at ever later positions.
func sweeps() (batches []*media.Batch, advance func(b *media.Batch)) {
	customer, agent := newTalker(1, call.RoleCustomer, 0), newTalker(2, call.RoleAgent, 80)
	customer.placeAt, agent.placeAt = 0, 0
	customer.Epochs = []media.Epoch{{SSRC: 1, Why: "first"}}
	for range 50 {
		batches = append(batches, batch(0, append(customer.speaks(1), agent.speaks(1)...), customer, agent))
	}
	return batches, func(b *media.Batch) {
		for i := range b.Frames {
			b.Frames[i].Pos += 8000
		}
	}
}

func TestHotPathAllocs(t *testing.T) {
	s, _ := start(t, recorder.Config{Sync: 5 * time.Second, Buffer: time.Minute})
	r := open(t, s, stereoInfo("hot"))
	defer seal(t, r)
	batches, advance := sweeps()
	write := func() {
		for _, b := range batches {
			r.Write(b)
			advance(b)
		}
	}
	for range 8 { // the buffer has its size
		write()
	}
	before := s.Counters().Syncs
	eventually(t, "a sync", func() bool { return s.Counters().Syncs > before })
	if n := testing.AllocsPerRun(4, write); n > 0 && s.Counters().Syncs == before+1 {
		t.Errorf("Write: got %v allocations a second of audio, want 0", n)
	}
}

func BenchmarkWrite(b *testing.B) {
	s, err := recorder.New(recorder.Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	ctx, done := b.Context(), make(chan error, 1)
	_ = ctx
	_ = done
	defer s.Close()
	r, err := s.Open(stereoInfo("bench"), anchor)
	if err != nil {
		b.Fatal(err)
	}
	batches, advance := sweeps()
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		x := batches[n%len(batches)]
		r.Write(x)
		advance(x)
		n++
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(2*n), "ns/packet")
}

func BenchmarkCallSecond(b *testing.B) {
	for _, format := range []string{recorder.FormatWAV, recorder.FormatMulaw} {
		b.Run(fmt.Sprintf("format=%s", format), func(b *testing.B) {})
	}
}
