package stream

import (
	"sync/atomic"
	"testing"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

// What a consumer that hangs for ten minutes loses is told in few events, and they name all of it.
func TestWhatAHangingConsumerLosesIsToldEverMoreSeldom(t *testing.T) {
	var dropped atomic.Int64
	var told []call.Event
	p := &outlook{
		consumer: &Consumer{Name: "asr"}, ring: newRing(minBuffer, minMessage, 1, &dropped), late: &lateness{}, notify: func(e call.Event) { told = append(told, e) },
	}
	second := func() {
		p.ring.silence(media.SampleRate)
		p.report()
	}
	for range 600 {
		second()
	}
	if len(told) > 16 {
		t.Errorf("%d events in ten minutes", len(told))
	}
	p.tellLost()
	end, sum := int64(0), int64(0)
	for _, e := range told {
		from, samples := e.Facts["from_samples"].(int64), e.Facts["samples"].(int64)
		if from != end {
			t.Errorf("told from %d on, want from %d", from, end)
		}
		end, sum = from+samples, sum+samples
	}
	if sum != dropped.Load() || sum != 600*media.SampleRate-int64(p.ring.n) {
		t.Errorf("told %d samples, dropped %d", sum, dropped.Load())
	}
	// One that reads again and is too slow anew is told of at once.
	told = nil
	p.ring.read(make([]int16, minBuffer/sampleTime))
	for range reportMost + 1 {
		p.report()
	}
	p.ring.silence(2 * media.SampleRate)
	if p.report(); len(told) != 1 {
		t.Errorf("%d events, want one", len(told))
	}
}

// What comes too late is named run by run, and what lies between and was given is not counted: also where there are more runs than an event names.
func TestWhatIsLateIsToldRunByRun(t *testing.T) {
	for _, packets := range []int64{20, 100} { // each second one is late
		var dropped atomic.Int64
		var told []call.Event
		p := &outlook{
			consumer: &Consumer{Name: "asr"}, ring: newRing(minBuffer, minMessage, 1, &dropped), late: &lateness{}, notify: func(e call.Event) { told = append(told, e) },
		}
		var l lane
		for i := range packets {
			if i%2 == 0 {
				l.miss(i*ptime, ptime)
			}
			if i%10 == 9 {
				p.late.add(&l)
			}
		}
		p.left = reportMost // it told of something a moment ago
		if packets/2 < maxRuns/2 {
			if p.report(); len(told) > 0 {
				t.Errorf("%d runs: told already", packets/2)
			}
			p.left = 0
		}
		p.report()
		if len(told) != 1 || told[0].Facts["samples"] != packets/2*ptime {
			t.Fatalf("%d runs: told %+v, want %d samples", packets/2, told, packets/2*ptime)
		}
		if runs := told[0].Facts["runs"].([][2]int64); len(runs) != int(min(packets/2, maxRuns)) || runs[1] != [2]int64{2 * ptime, ptime} {
			t.Errorf("%d runs: told of %v", packets/2, runs)
		}
	}
}

func TestConsumersOfOneNameAreToldApart(t *testing.T) {
	h, err := New(Config{Consumers: []Consumer{{Command: []string{"cat"}}, {Command: []string{"cat"}, Per: PerCall}, {Command: []string{"cat"}, Name: "other"}}})
	if err != nil {
		t.Fatal(err)
	}
	list := *h.consumers.Load()
	if list[0].Name != "cat" || list[1].Name != "cat-2" || list[2].Name != "other" {
		t.Errorf("got %s, %s, %s", list[0].Name, list[1].Name, list[2].Name)
	}
}
