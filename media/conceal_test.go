package media

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// tone is a periodic signal with harmonics.
func tone(n, period int) []int16 {
	pcm := make([]int16, n)
	for i := range pcm {
		x := 2 * math.Pi * float64(i) / float64(period)
		pcm[i] = int16(6000*math.Sin(x) + 3000*math.Sin(2*x+1) + 1500*math.Sin(3*x+2))
	}
	return pcm
}

// TestAPeriodicSoundGoesOn: ITU-T G.711 appendix I: the period is found, goes on in phase, and grows quieter by 20 % each 10 ms
// after the first; after 60 ms it is silence.
func TestAPeriodicSoundGoesOn(t *testing.T) {
	for period := minPitch; period <= maxPitch; period++ {
		want := tone(2000, period)
		var c Concealer
		c.Hear(want[:1000])
		got := make([]int16, 1000)
		c.Conceal(got)
		for i, v := range got {
			gain := min(1, max(0, 1-0.2*float64(i-concealStep)/concealStep))
			if i >= concealFade {
				gain = 0
			}
			if d := float64(v) - gain*float64(want[1000+i]); math.Abs(d) > 200 {
				t.Fatalf("period %d, sample %d: got %d, want %.0f", period, i, v, gain*float64(want[1000+i]))
			}
		}
	}
}

// TestConcealmentDoesNotDependOnFrameLengths: it is the same sample by sample, however it is asked for.
func TestConcealmentDoesNotDependOnFrameLengths(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	speech := speechOf(t, "agent")[80000:81000]
	var whole Concealer
	whole.Hear(speech)
	want := make([]int16, 1200)
	whole.Conceal(want)
	for range 20 {
		var c Concealer
		for rest := speech; len(rest) > 0; {
			n := min(len(rest), 1+rnd.IntN(300))
			c.Hear(rest[:n])
			rest = rest[n:]
		}
		var got []int16
		for len(got) < len(want) {
			part := make([]int16, min(len(want)-len(got), 1+rnd.IntN(200)))
			c.Conceal(part)
			got = append(got, part...)
		}
		if !slices.Equal(got, want) {
			t.Fatal("in other lengths: another concealment")
		}
	}
}

func TestNothingHeardIsSilence(t *testing.T) {
	var c Concealer
	out := slices.Repeat([]int16{1}, 500)
	c.Conceal(out)
	c.Hear(tone(200, 50)) // too little to find a period in
	c.Conceal(out)
	c.Hear(tone(2000, 50))
	c.Forget()
	c.Conceal(out)
	if slices.Max(out) != 0 || slices.Min(out) != 0 {
		t.Error("got sound from nothing")
	}
}

// TestMeetTouchesTheTailOnly and makes the seam as smooth as the signal.
func TestMeetTouchesTheTailOnly(t *testing.T) {
	for period := minPitch; period <= maxPitch; period++ {
		for _, lost := range []int{160, 320, 480, 800} {
			signal := tone(4000, period)
			var c Concealer
			c.Hear(signal[:1000])
			gone := make([]int16, lost)
			c.Conceal(gone)
			next := slices.Clone(signal[1000+lost:][:160])
			before, tail := slices.Clone(gone), gone[max(0, len(gone)-ConcealTail):]
			c.Meet(tail, next)
			if !slices.Equal(next, signal[1000+lost:][:160]) || !slices.Equal(gone[:lost-len(tail)], before[:lost-len(tail)]) {
				t.Fatalf("period %d: more than the tail changed", period)
			}
			if d := int(next[0]) - int(gone[lost-1]); d > 2500 || d < -2500 { // its own steps are up to some 1,900
				t.Errorf("period %d, %d lost: a step of %d at the seam", period, lost, d)
			}
			c.Hear(next)
			if c.Conceals() {
				t.Fatal("the erasure goes on")
			}
		}
	}
}

func TestConcealmentIsClippedAndAllocatesNothing(t *testing.T) {
	square := make([]int16, 1000)
	for i := range square {
		square[i] = int16(65535*(i/30%2) - 32768)
	}
	var c Concealer
	out := make([]int16, 160)
	if n := testing.AllocsPerRun(100, func() {
		c.Hear(square)
		c.Conceal(out)
		c.Meet(out[80:], square)
		c.Hear(square[:160])
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkConceal(b *testing.B) {
	speech := speechOf(b, "agent")
	out := make([]int16, 160)
	var c Concealer
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i = (i + 160) % (len(speech) - 1000)
		c.Hear(speech[i : i+480])
		c.Conceal(out)
	}
}
