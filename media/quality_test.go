package media

import (
	"math"
	"testing"
	"time"
)

// TestRatingsAreTheEModels: worked by hand from ITU-T G.107 equations 7-29 and B-4 with Ie 0, Bpl 25.1.
func TestRatingsAreTheEModels(t *testing.T) {
	for _, c := range []struct {
		expected, lost, runs int64
		burst, r, mos        float64
	}{
		{0, 0, 0, 1, 93.2, 4.41},
		{1000, 0, 0, 1, 93.2, 4.41},
		{1000, 10, 10, 1, 89.56, 4.328},      // 1 %: 95*1/26.1
		{1000, 50, 48, 1, 77.42, 3.92},       // 5 %, a little less bursty than random: taken as random
		{1000, 50, 10, 4.75, 75.037, 3.8235}, // runs of five: 95*5/(5/4.75+25.1)
		{1000, 200, 4, 40, 18.981, 1.223},    // 20 % in runs of fifty
		{1000, 1000, 1, 1, 17.261, 1.177},    // nothing came: 95*100/125.1
		{1000, 999, 1, 1, 17.276, 1.177},     // one came
		{100000, 90000, 1, 9000, 0.00, 1.0},  // R is never below 0
	} {
		got := rate(c.expected, c.lost, c.runs)
		if math.Abs(got.BurstRatio-c.burst) > 0.005 || math.Abs(got.R-c.r) > 0.006 || math.Abs(got.MOS-c.mos) > 0.006 {
			t.Errorf("rate(%d, %d, %d): got %+v, want %v %v %v", c.expected, c.lost, c.runs, got, c.burst, c.r, c.mos)
		}
	}
}

func TestQualityCountsLossesAndTheirRuns(t *testing.T) {
	in := delayed(stream(testSSRC, 65500, 5000, 100*ms, 1500), 40, 900*ms) // late: in the recording
	in = delayed(in, 60, 5*time.Second)                                    // too late
	in = without(in, 100, 200, 201, 202, 203, 204, 300, 301, 302, 303)
	r := newRig(t, Config{}).commit(plainParams()).send(in...).until(20 * time.Second)
	live := r.state().Quality
	if live.ExpectedPackets < 700 || live.ExpectedPackets > 900 || live.LostPackets != 11 || live.LossRuns != 4 {
		t.Errorf("after 20 s: got %+v, want 11 lost in 4 runs of some 850, those beyond the archive window", live)
	}
	r.until(33 * time.Second).close()
	q := r.state().Quality
	if q.ExpectedPackets != 1500 || q.LostPackets != 11 || q.LossRuns != 4 || q.LongestRunPackets != 5 || q.LongestRunSamples != 800 {
		t.Errorf("got %+v, want 11 of 1500 lost in 4 runs, the longest 5 packets and 800 samples", q)
	}
	if w := q.Worst; w.LostPackets != 11 || w.ExpectedPackets < 450 || w.ExpectedPackets > 550 || w.Pos > 60*160 || w.R >= q.R {
		t.Errorf("worst: got %+v, want the window with all losses, from the beginning on", w)
	}
	if w := q.Recent; w.LostPackets != 0 || w.R != bestR || w.Pos+w.Samples != 1500*160 {
		t.Errorf("recent: got %+v, want the track's end, without loss", w)
	}
}

// TestQualityOfAnOutage: numbers that sequence forgets in one leap are counted, also where the step is taken for a restart.
func TestQualityOfAnOutage(t *testing.T) {
	for _, gone := range []int{1, 900, 1022, 1023, 1024, 1100, 2900, 3500} {
		in := stream(testSSRC, 100, 0, 100*ms, 200)
		in = append(in, stream(testSSRC, uint16(300+gone), uint32(160*(200+gone)), 100*ms+time.Duration(200+gone)*20*ms, 200)...)
		end := in[len(in)-1].at
		r := newRig(t, Config{}).commit(plainParams()).send(in...).until(end + 100*ms).close()
		q, n := r.state().Quality, int64(gone)
		if q.ExpectedPackets != 400+n || q.LostPackets != n || q.LossRuns != 1 || q.LongestRunPackets != n {
			t.Errorf("%d packets lost in a row: got %+v", gone, q)
		}
	}
}

func TestQualityGoesOnThroughEpochs(t *testing.T) {
	in := without(stream(1, 10, 0, 100*ms, 300), 50, 51)
	in = append(in, without(stream(2, 60000, 77777, 100*ms+6*time.Second, 300), 70)...)
	in = append(in, stream(3, 5, 1<<31, 100*ms+12*time.Second, 30)...) // two numberings within an archive window
	in = append(in, without(stream(4, 9, 5, 100*ms+12600*ms, 300), 2, 3, 4)...)
	r := newRig(t, Config{}).commit(plainParams()).send(in...).until(20 * time.Second).close()
	q := r.state().Quality
	if q.ExpectedPackets != 930 || q.LostPackets != 6 || q.LossRuns != 3 || q.LongestRunPackets != 3 {
		t.Errorf("got %+v, want 6 of 930 lost in 3 runs", q)
	}
}

// TestPauseIsNoLoss: a silent sender is neither expected nor lost, and a window with hardly a packet isn't rated.
func TestPauseIsNoLoss(t *testing.T) {
	in := append(stream(1, 10, 0, 100*ms, 20), stream(1, 30, 160*(20+3000), 100*ms+3020*20*ms, 20)...)
	r := newRig(t, Config{}).commit(plainParams()).send(without(in, 5)...).until(62 * time.Second).close()
	if q := r.state().Quality; q.ExpectedPackets != 40 || q.LostPackets != 1 || q.Worst.ExpectedPackets != 20 {
		t.Errorf("got %+v, want 1 of 40 lost", q)
	}
}

// TestTheHighestJitterIsThatOfAnyPacket: a peak that has decayed by the end of its second, and by the end of the track.
func TestTheHighestJitterIsThatOfAnyPacket(t *testing.T) {
	in := delayed(stream(testSSRC, 100, 5000, 100*ms, 400), 204, 40*ms) // overtaken by two, 320 samples behind
	r := newRig(t, Config{}).commit(plainParams()).send(in...).until(9 * time.Second).close()
	// Two differences of 320 samples in a row, there and back.
	peak := 20 + (320-20)/16.0
	q := r.state().Quality
	if math.Abs(q.JitterMaxSamples-peak) > 0.5 || q.JitterMeanSamples < 1 || q.JitterMeanSamples > 3 || r.state().Counts.JitterSamples > 1 {
		t.Errorf("got %.2f at most, %.2f on average, %.2f at the end; want %.2f, between 1 and 3, nothing", q.JitterMaxSamples, q.JitterMeanSamples, r.state().Counts.JitterSamples, peak)
	}
}
