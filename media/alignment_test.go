package media

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// step is 2 ms in samples: what two parties may be apart.
const step = 16

// one gives a speaker of an hour under one source.
func one(start time.Duration, ssrc uint32, ppm float64, jitter func(*rand.Rand) time.Duration) Speaker {
	return Speaker{
		Start: start, End: time.Hour, PPM: ppm, Delay: 20 * ms, Jitter: jitter, Loss: 0.01, Host: "host",
		Sources: []Source{{SSRC: ssrc, Seq: 65000, TS: -(100000 * ssrc)}},
	}
}

// worst is the largest error of a track's estimates at any minute, and of how far two tracks are apart by them.
func worst(h *Hall, i, j int) (alone, apart float64) {
	a, b := h.State(i), h.State(j)
	for e := range a.Epochs {
		end := a.Length
		if e+1 < len(a.Epochs) {
			end = a.Epochs[e+1].Pos
		}
		for p := a.Epochs[e].Pos; p < end; p += 60 * SampleRate {
			err := h.Error(i, e, p-a.Epochs[e].Pos)
			alone = max(alone, math.Abs(err))
			for f := range b.Epochs { // the other one's error at that time
				if to := f + 1; to == len(b.Epochs) || b.Epochs[to].Pos > p {
					apart = max(apart, math.Abs(err-h.Error(j, f, p-b.Epochs[f].Pos)))
					break
				}
			}
		}
	}
	return alone, apart
}

// TestAnHourInStep: what the estimates say is the truth within 2 ms at any minute of an hour, whatever the clocks do; where
// sender reports name one clock, within a sample of each other. The offset in the file is as good where it is fixed.
func TestAnHourInStep(t *testing.T) {
	type net struct {
		name string
		gen  func(*rand.Rand) time.Duration
	}
	nets := []net{{"exponential 3 ms", Exponential(3 * ms)}, {"uniform 40 ms", Uniform(40 * ms)}}
	for _, c := range []struct {
		name   string
		ppm    [2]float64
		ntp    float64       // of the clock that the reports tell
		report time.Duration // of a track's first one, after its start
		fixed  float64       // how far apart the file may have them at the beginning
		apart  float64       // and the estimates, later
	}{
		{name: "one clock, reports at once", report: 100 * ms, fixed: 1, apart: 1},
		{name: "one clock, reports later", report: 3 * time.Second, fixed: step, apart: 1},
		{name: "one clock, no report", fixed: step, apart: step},
		{name: "one clock, 50 ppm fast", ppm: [2]float64{50, 50}, ntp: 50, report: 100 * ms, fixed: 1, apart: 1},
		{name: "one clock, sampled 30 and -40 ppm off it", ppm: [2]float64{30, -40}, report: 100 * ms, fixed: 2, apart: 2},
		{name: "20 and -20 ppm", ppm: [2]float64{20, -20}, fixed: step, apart: step},
		{name: "50 and -50 ppm", ppm: [2]float64{50, -50}, fixed: step, apart: step},
		{name: "100 and -100 ppm", ppm: [2]float64{100, -100}, fixed: step, apart: step},
	} {
		for _, n := range nets {
			t.Run(c.name+", "+n.name, func(t *testing.T) {
				t.Parallel()
				length := time.Hour
				if Raced {
					length = 15 * time.Minute
				}
				h := NewHall(t, Config{Sweep: 100 * ms}, 7, nil)
				for i, start := range []time.Duration{500 * ms, 1700*ms + 333*time.Microsecond} {
					s := one(start, uint32(i+1), c.ppm[i], n.gen)
					s.Report, s.NTPPPM = c.report, c.ntp
					h.Add(s)
				}
				h.Until(length + time.Second).Close()
				alone, apart := worst(h, 0, 1)
				fixed := math.Abs(h.Fixed(0, 0, 1200*8) - h.Fixed(1, 0, 0))
				a, b := h.State(0), h.State(1)
				t.Logf("file %.2f samples apart (%s), estimates %.2f off, %.2f apart at worst; drift %.3f and %.3f ppm",
					fixed, b.OffsetMethod, alone, apart, a.DriftPPM, b.DriftPPM)
				if fixed > c.fixed || alone > step || apart > c.apart {
					t.Errorf("want %g, %d, %g at most", c.fixed, step, c.apart)
				}
				for i, s := range []TrackState{a, b} {
					if math.Abs(s.DriftPPM-c.ppm[i]) > 0.5 {
						t.Errorf("track %d: drift %.3f ppm, want %g", i, s.DriftPPM, c.ppm[i])
					}
				}
			})
		}
	}
}

// TestEstimatesKeepToWhatWasNotHeldUp: a network that is slow for most of an hour, a sender that begins with a burst, reports that are
// wrong, calls of seconds: 2 ms all the same.
func TestEstimatesKeepToWhatWasNotHeldUp(t *testing.T) {
	slow := func(at time.Duration) time.Duration {
		if m := at % (20 * time.Minute); m < 12*time.Minute {
			return 30 * ms
		}
		return 0
	}
	burst := func(at time.Duration) time.Duration {
		return min(0, at-600*ms) // the first packets are sent at once
	}
	for name, c := range map[string]struct {
		length time.Duration
		change func(*Speaker)
	}{
		"slow for 12 of 20 min":    {time.Hour, func(s *Speaker) { s.Held = slow }},
		"a burst at the beginning": {10 * time.Minute, func(s *Speaker) { s.Held = burst }},
		"reports off by a second":  {10 * time.Minute, func(s *Speaker) { s.Report, s.Lie = 100*ms, 1 }},
		"reports of another clock": {10 * time.Minute, func(s *Speaker) { s.Report, s.NTPPPM = 100*ms, 3000 }},
		"a minute":                 {time.Minute, func(*Speaker) {}},
		"eight seconds":            {8 * time.Second, func(*Speaker) {}},
		"one second":               {time.Second, func(*Speaker) {}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := NewHall(t, Config{Sweep: 100 * ms}, 5, nil)
			for i, start := range []time.Duration{500 * ms, 700*ms + 333*time.Microsecond} {
				s := one(start, uint32(i+1), float64(40-80*i), Exponential(3*ms))
				s.End, s.Report = start+c.length, 100*ms
				if i == 1 {
					c.change(&s)
				}
				h.Add(s)
			}
			h.Until(c.length + 2*time.Second).Close()
			alone, apart := worst(h, 0, 1)
			t.Logf("estimates %.2f off, %.2f apart at worst; drift %.3f and %.3f ppm", alone, apart, h.State(0).DriftPPM, h.State(1).DriftPPM)
			if alone > step || apart > step {
				t.Errorf("want at most %d", step)
			}
		})
	}
}

// TestOffsetInTheFileIsAsGoodAsHalfASecondTells: it is fixed by the first 500 ms: 2 ms where the network's jitter is that of a good one, and no
// worse than its quickest packets where it is not.
func TestOffsetInTheFileIsAsGoodAsHalfASecondTells(t *testing.T) {
	for _, c := range []struct {
		name   string
		jitter func(*rand.Rand) time.Duration
		most   float64 // samples, of 100 pairs of tracks
	}{
		{"no jitter", nil, 1},
		{"exponential 3 ms", Exponential(3 * ms), step},
		{"exponential 5 ms", Exponential(5 * ms), step},
		{"exponential 10 ms", Exponential(10 * ms), 2 * step},
		{"uniform 40 ms", Uniform(40 * ms), 8 * step},
	} {
		var all []float64
		for seed := range uint64(100) {
			h := NewHall(t, Config{Sweep: 100 * ms}, seed, nil)
			for i, start := range []time.Duration{500 * ms, 700*ms + 333*time.Microsecond} {
				h.Add(one(start, uint32(i+1), 0, c.jitter))
			}
			h.Until(1500 * ms)
			all = append(all, math.Abs(h.Fixed(0, 0, 0)-h.Fixed(1, 0, 0)))
		}
		slices.Sort(all)
		t.Logf("%s: median %.1f, 95 of 100 within %.1f, all within %.1f samples", c.name, all[50], all[94], all[99])
		if all[99] > c.most {
			t.Errorf("%s: want at most %g", c.name, c.most)
		}
	}
}

// TestReportsSeeThroughTheNetworksDelay: two ways of 20 and 60 ms, which arrival can't tell; one clock, which the reports tell. In the file and by
// the estimates what was spoken at one time lies at one index, also of an epoch that was over before the other track could lead.
func TestReportsSeeThroughTheNetworksDelay(t *testing.T) {
	h := NewHall(t, Config{Sweep: 100 * ms}, 9, nil)
	first := one(500*ms, 1, 25, Exponential(3*ms))
	first.End, first.NTPPPM, first.Report = 10*time.Minute, 25, 100*ms
	first.Sources = append(first.Sources, Source{SSRC: 3, Seq: 8, TS: 1 << 30, From: 4 * time.Minute})
	second := first
	second.Start, second.Delay = 5333*ms, 60*ms
	second.Sources = one(0, 2, 0, nil).Sources
	h.Add(first).Add(second)
	h.Until(10*time.Minute + time.Second).Close()
	spoken := func(i int, err float64) float64 { return err + float64(h.Speeches[i].Delay/sampleTime) }
	if s := h.State(1); s.OffsetMethod != OffsetRTCP {
		t.Fatalf("placed by %s", s.OffsetMethod)
	}
	file := spoken(0, h.Fixed(0, 0, 0)) - spoken(1, h.Fixed(1, 0, 0))
	t.Logf("file %.2f apart", file)
	if math.Abs(file) > 1 {
		t.Error("want at most 1 in the file")
	}
	if n := len(h.State(0).Epochs); n != 2 {
		t.Fatalf("%d epochs, want 2", n)
	}
	for epoch := range 2 {
		for _, beyond := range []int64{0, 200 * SampleRate} {
			apart := spoken(0, h.Error(0, epoch, beyond)) - spoken(1, h.Error(1, 0, beyond))
			t.Logf("epoch %d at %d: %.2f apart", epoch, beyond, apart)
			if math.Abs(apart) > 1 {
				t.Error("want at most 1")
			}
		}
	}
}
