package stream

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// loud is n samples, many of them as loud as can be.
func loud(rnd *rand.Rand, n int) []int16 {
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = []int16{math.MinInt16, math.MaxInt16, 0, -1, 1, int16(rnd.Int()), int16(rnd.Int())}[rnd.IntN(7)]
	}
	return pcm
}

func TestSumsAreLimitedAsSamplesAre(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	for range 3000 {
		n := rnd.IntN(70)
		a, b := loud(rnd, n+3)[rnd.IntN(4):][:n], loud(rnd, n+3)[rnd.IntN(4):][:n]
		want := make([]int16, n)
		for i := range want {
			want[i] = int16(max(math.MinInt16, min(math.MaxInt16, int(a[i])+int(b[i]))))
		}
		got := make([]int16, n)
		addSamples(got, a, b)
		if !slices.Equal(got, want) {
			t.Fatalf("%v + %v: got %v, want %v", a, b, got, want)
		}
		if addSamples(a, a, b); !slices.Equal(a, want) {
			t.Fatalf("where one of them lies: got %v, want %v", a, want)
		}
	}
}

// TestAnyNumberOfSourcesOfAnyLengthAddUp in mono and on each side of stereo, over what was in the place before.
func TestAnyNumberOfSourcesOfAnyLengthAddUp(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	for range 3000 {
		n := rnd.IntN(100)
		l := newLane(laneConfig{channels: 1 + rnd.IntN(2)}, nil)
		ch := l.cfg.channels
		sums := make([]int64, n*ch)
		at := rnd.IntN(20)
		for range rnd.IntN(5) {
			s := source{sides: uint8(rnd.IntN(4)), buf: loud(rnd, rnd.IntN(at+n+20))}
			for i := range min(n, max(0, len(s.buf)-at)) {
				for c := range ch {
					if ch == 1 || s.sides&(1<<c) != 0 { // one after the other, each sum limited
						sums[i*ch+c] = int64(clip(sums[i*ch+c] + int64(s.buf[at+i])))
					}
				}
			}
			l.sources = append(l.sources, s)
		}
		got := loud(rnd, n*ch)
		l.mix(got, at)
		for i, v := range got {
			if int64(v) != sums[i] {
				t.Fatalf("%d channels, %d sources, value %d of %d: got %d, want %d", ch, len(l.sources), i, len(got), v, sums[i])
			}
		}
	}
}
