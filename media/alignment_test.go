package media

import (
	"math"
	"math/rand/v2"
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
				h := NewHall(t, Config{Sweep: 100 * ms}, 7, nil)
				for i, start := range []time.Duration{500 * ms, 1700*ms + 333*time.Microsecond} {
					s := one(start, uint32(i+1), c.ppm[i], n.gen)
					s.Report, s.NTPPPM = c.report, c.ntp
					h.Add(s)
				}
				h.Until(time.Hour + time.Second).Close()
				alone, apart := worst(h, 0, 1)
				fixed := math.Abs(h.Fixed(0, 0, 1200*8) - h.Fixed(1, 0, 0))
				a, b := h.State(0), h.State(1)
				t.Logf("file %.2f samples apart (%s), estimates %.2f off, %.2f apart at worst; drift %.3f and %.3f ppm",
					fixed, b.OffsetMethod, alone, apart, a.DriftPPM, b.DriftPPM)
				if n.name != "exponential 3 ms" && c.report != 100*ms {
					c.fixed *= 4 // 500 ms of it tell no more: the estimates do later
				}
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
