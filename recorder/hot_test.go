package recorder_test

import (
	"testing"

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

// idle opens a recording in a store that does not run.
func idle(tb testing.TB) *recorder.Recording {
	s, err := recorder.New(recorder.Config{Dir: tb.TempDir()})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	r, err := s.Open(stereoInfo("hot"), anchor)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func TestHotPathAllocs(t *testing.T) {
	r := idle(t)
	batches, advance := sweeps()
	n := testing.AllocsPerRun(10, func() {
		for _, b := range batches {
			r.Write(b)
			advance(b)
		}
		r.Drop()
	})
	if n > 0 {
		t.Errorf("Write: got %v allocations a second of audio, want 0", n)
	}
}

func BenchmarkWrite(b *testing.B) {
	r := idle(b)
	batches, advance := sweeps()
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		x := batches[n%len(batches)]
		r.Write(x)
		advance(x)
		if n++; n%len(batches) == 0 {
			r.Drop()
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(2*n), "ns/packet")
}
