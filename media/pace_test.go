package media

import (
	"testing"
	"time"

	"github.com/earshot/earshot/call"
)

// pacer is a sink with a pace, which notes how long what came had waited.
type pacer struct {
	pace    time.Duration
	coded   bool
	batches int
	longest time.Duration // from a packet's arrival to its batch
	samples int64
	pcm     bool // some received frame had it
}

func (p *pacer) Write(b *Batch) {
	p.batches++
	for i := range b.Frames {
		f := &b.Frames[i]
		p.longest = max(p.longest, b.Now-f.Captured)
		p.samples += f.Samples
		p.pcm = p.pcm || f.PCM != nil
	}
}

func (*pacer) End(call.Cause)        {}
func (p *pacer) Pace() time.Duration { return p.pace }
func (p *pacer) Coded() bool         { return p.coded }

// atItsPace sweeps as Run would, up to a time.
func (r *rig) atItsPace(end time.Duration) *rig {
	for r.now < end {
		r.now += r.s.every
		r.port.now = r.now
		r.s.sweep(r.e.start.Add(r.now))
	}
	return r
}

func TestBatchesWaitAsLongAsTheMostImpatientSinkLets(t *testing.T) {
	for _, c := range []struct {
		paces        []time.Duration
		longest      time.Duration // what the shard makes of it
		least, most  int           // batches in 4 s
		sweepsBehind time.Duration
	}{
		{[]time.Duration{0}, 20 * ms, 200, 200, 20 * ms},
		{[]time.Duration{30 * ms}, 30 * ms, 133, 134, 30 * ms},
		{[]time.Duration{60 * ms}, 60 * ms, 66, 67, 60 * ms},
		{[]time.Duration{100 * ms}, 100 * ms, 40, 40, 100 * ms},
		{[]time.Duration{time.Hour}, 200 * ms, 20, 20, 200 * ms},
		{[]time.Duration{time.Hour, 60 * ms, 100 * ms}, 60 * ms, 66, 67, 60 * ms},
	} {
		r := newRig(t, Config{SlowSweep: 200 * ms}).commit(plainParams()).send(stream(1, 1, 0, 0, 400)...)
		r.tape.blind = true
		r.until(2 * time.Second)
		r.line.live.seats = nil
		var sinks []*pacer
		for _, p := range c.paces {
			sinks = append(sinks, &pacer{pace: p})
			r.line.Attach(sinks[len(sinks)-1])
		}
		r.until(2020 * ms)
		for _, s := range sinks {
			s.batches, s.longest = 0, 0
		}
		r.atItsPace(6020 * ms)
		for i, s := range sinks {
			if s.batches < c.least || s.batches > c.most || s.longest > c.longest || s.longest < c.longest-20*ms {
				t.Errorf("paces %v, sink %d: %d batches, longest wait %v, want %d to %d and %v", c.paces, i, s.batches, s.longest, c.least, c.most, c.longest)
			}
		}
		if r.s.every != c.sweepsBehind {
			t.Errorf("paces %v: a sweep each %v, want %v", c.paces, r.s.every, c.sweepsBehind)
		}
	}
}

// TestOnePaceDoesNotRuleAnother: two timelines of one shard.
func TestOnePaceDoesNotRuleAnother(t *testing.T) {
	c := newCrowd(t, Config{SlowSweep: 200 * ms})
	var all []*member
	sinks := []*pacer{{pace: 0}, {pace: 60 * ms}, {pace: 90 * ms}, {pace: time.Hour}}
	for i := range sinks {
		all = append(all, c.open(at("198.51.100.1", 4000+2*i), false))
	}
	c.says(all[0], 20)
	for i, m := range all {
		m.line.live.seats = nil
		m.line.Attach(sinks[i])
	}
	c.sweep()
	for _, s := range sinks {
		s.batches, s.longest = 0, 0
	}
	for range 200 {
		for _, m := range all {
			c.talk(m)
		}
		c.sweep()
	}
	for i, want := range []int{200, 66, 50, 20} {
		if got := sinks[i].batches; got < want-1 || got > want+1 {
			t.Errorf("pace %v: got %d batches in 4 s, want %d", sinks[i].pace, got, want)
		}
		if s := sinks[i]; s.samples < 190*160 {
			t.Errorf("pace %v: got %d samples", s.pace, s.samples)
		}
	}
}

func TestPCMIsMadeForWhoReadsIt(t *testing.T) {
	for _, c := range []struct {
		coded []bool
		pcm   bool
	}{{[]bool{true}, false}, {[]bool{true, false}, true}, {[]bool{true, true}, false}} {
		r := newRig(t, Config{}).commit(plainParams()).send(stream(1, 1, 0, 0, 100)...)
		r.until(ms)
		r.line.live.seats = nil
		var sinks []*pacer
		for _, coded := range c.coded {
			sinks = append(sinks, &pacer{coded: coded})
			r.line.Attach(sinks[len(sinks)-1])
		}
		r.until(time.Second)
		for _, s := range sinks {
			if s.pcm != c.pcm || s.samples == 0 {
				t.Errorf("coded %v: PCM %v, %d samples, want PCM %v", c.coded, s.pcm, s.samples, c.pcm)
			}
		}
	}
}

// TestWhatWaitsForATrackThatEndsIsGivenBack: or the intake would fill.
func TestWhatWaitsForATrackThatEndsIsGivenBack(t *testing.T) {
	r := newRig(t, Config{SlowSweep: 200 * ms}).commit(plainParams()).send(stream(1, 1, 0, 0, 100)...)
	r.until(500 * ms)
	k := r.track.live
	r.line.live.pace = time.Second // nothing takes what comes
	r.until(1000 * ms)
	if k.first == 0 {
		t.Fatal("nothing waits")
	}
	r.s.serve(r.line.live)
	k.close(call.Cause{Code: call.CodeInternal}) // takes nothing more
	if in := &r.s.intake; k.first != 0 || len(in.free) != len(in.slabs)*slabChunks {
		t.Errorf("%d chunks are free of %d", len(in.free), len(in.slabs)*slabChunks)
	}
}

// TestTimelineOnTwoPortsTakesOneTurnASweep: when the last of its ports was read, with what came to both.
func TestTimelineOnTwoPortsTakesOneTurnASweep(t *testing.T) {
	r := newRig(t, Config{}).commit(plainParams()).send(stream(1, 1, 0, 0, 200)...)
	other, port := r.open()
	commit, _, err := other.Prepare(plainParams())
	if err != nil {
		t.Fatal(err)
	}
	commit()
	for _, l := range stream(2, 1, 0, 0, 200) {
		l.from = wire
		port.queue = append(port.queue, l)
	}
	sweep := func() {
		port.now = r.now + 20*ms
		r.until(r.now + 20*ms)
	}
	for r.now < time.Second {
		sweep()
	}
	sink := &pacer{}
	r.line.live.seats = []*seat{{sink: sink}}
	for range 50 {
		sweep()
		if sink.samples != int64(sink.batches)*320 {
			t.Fatalf("batch %d: got %d samples in all, want both tracks' packets in each", sink.batches, sink.samples)
		}
	}
	if sink.batches != 50 {
		t.Errorf("got %d batches in 50 sweeps", sink.batches)
	}
}
