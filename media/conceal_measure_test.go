package media

import (
	"math"
	"math/cmplx"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
)

const (
	packetSamples = 160
	lsdFrame      = 256 // 32 ms
	lsdHop        = 128
	// lsdFloor, times the mean power of the strongest frame, is added to each bin: 50 dB below it a telephone is silent.
	lsdFloor = 1e-5
	// burstPackets is the mean length of a burst.
	burstPackets = 2
)

// speechOf reads one of the demonstration's voices, without the time for which it is silent to the bit: its turns to listen.
func speechOf(t testing.TB, name string) []int16 {
	t.Helper()
	b, err := os.ReadFile("../internal/ringsim/speech/" + name + ".ulaw")
	if err != nil {
		t.Fatal(err)
	}
	var pcm []int16
	packet, silence := make([]int16, packetSamples), make([]int16, packetSamples)
	for ; len(b) >= packetSamples; b = b[packetSamples:] {
		if decode(LawPCMU, packet, b[:packetSamples]); !slices.Equal(packet, silence) {
			pcm = append(pcm, packet...)
		}
	}
	return pcm
}

// lossPattern says which packets are lost: at random, or in bursts (Gilbert's model).
func lossPattern(n int, share float64, bursty bool, seed uint64) []bool {
	r := rand.New(rand.NewPCG(seed, 77))
	lost := make([]bool, n)
	bad := false
	const stay = 1 - 1.0/burstPackets
	for i := range lost {
		if i < 20 { // a history to begin with
			continue
		}
		switch {
		case !bursty:
			lost[i] = r.Float64() < share
		case bad:
			bad = r.Float64() < stay
			lost[i] = bad
		default:
			bad = r.Float64() < share*(1-stay)/(1-share)
			lost[i] = bad
		}
	}
	return lost
}

// fills are the ways to fill what is lost, by name.
var fills = []struct {
	name string
	fill func(pcm []int16, lost []bool) []int16
}{
	{"silence", func(pcm []int16, lost []bool) []int16 {
		return eachPacket(pcm, lost, func(out []int16, _ []int16, gone bool) {
			if gone {
				clear(out)
			}
		})
	}},
	{"repetition", func(pcm []int16, lost []bool) []int16 {
		last := make([]int16, packetSamples)
		return eachPacket(pcm, lost, func(out []int16, _ []int16, gone bool) {
			if gone {
				copy(out, last)
			}
			copy(last, out)
		})
	}},
	{"concealment", func(pcm []int16, lost []bool) []int16 {
		var c Concealer
		return eachPacket(pcm, lost, func(out, tail []int16, gone bool) {
			if gone {
				c.Conceal(out)
			} else {
				c.Meet(tail, out)
				c.Hear(out)
			}
		})
	}},
}

func eachPacket(pcm []int16, lost []bool, do func(out, tail []int16, gone bool)) []int16 {
	out := append([]int16(nil), pcm...)
	for i, gone := range lost {
		at := i * packetSamples
		from := at
		for j := i - 1; j >= 0 && lost[j]; j-- {
			from -= packetSamples
		}
		do(out[at:at+packetSamples:at+packetSamples], out[from:at], gone)
	}
	return out
}

// distance is the log-spectral distance in dB, over all frames; where nothing was lost it is 0.
func distance(a, b []int16, floor float64) float64 {
	var sum float64
	n := 0
	for at := 0; at+lsdFrame <= len(a); at += lsdHop {
		n++
		x, y := a[at:at+lsdFrame], b[at:at+lsdFrame]
		if slices.Equal(x, y) {
			continue
		}
		p, q := power(x), power(y)
		var d float64
		for k := range p {
			e := 10 * math.Log10((p[k]+floor)/(q[k]+floor))
			d += e * e / float64(len(p))
		}
		sum += math.Sqrt(d)
	}
	return sum / float64(n)
}

// floorOf is lsdFloor of a signal.
func floorOf(a []int16) (floor float64) {
	for at := 0; at+lsdFrame <= len(a); at += lsdHop {
		var mean float64
		for _, v := range power(a[at : at+lsdFrame]) {
			mean += v / (lsdFrame/2 + 1)
		}
		floor = max(floor, mean*lsdFloor)
	}
	return floor
}

// power is the spectrum of one frame under a Hann window.
func power(x []int16) []float64 {
	z := make([]complex128, len(x))
	for i, v := range x {
		z[i] = complex(float64(v)*(0.5-0.5*math.Cos(2*math.Pi*float64(i)/float64(len(x)))), 0)
	}
	z = fft(z)
	p := make([]float64, len(x)/2+1)
	for k := range p {
		p[k] = real(z[k])*real(z[k]) + imag(z[k])*imag(z[k])
	}
	return p
}

func fft(z []complex128) []complex128 {
	n := len(z)
	if n == 1 {
		return z
	}
	even, odd := make([]complex128, n/2), make([]complex128, n/2)
	for i := range n / 2 {
		even[i], odd[i] = z[2*i], z[2*i+1]
	}
	even, odd = fft(even), fft(odd)
	out := make([]complex128, n)
	for k := range n / 2 {
		t := cmplx.Rect(1, -2*math.Pi*float64(k)/float64(n)) * odd[k]
		out[k], out[k+n/2] = even[k]+t, even[k]-t
	}
	return out
}

// TestConcealmentBeatsSilenceAndRepetition on speech of two voices, at each rate of loss, random or in bursts. With -v it prints the
// table of docs/concealment.md.
func TestConcealmentBeatsSilenceAndRepetition(t *testing.T) {
	speech := slices.Concat(speechOf(t, "agent"), speechOf(t, "customer"))
	floor := floorOf(speech)
	for _, kind := range []string{"random", "bursty"} {
		for _, percent := range []float64{1, 3, 5, 10} {
			var d [3]float64
			seeds := 3 + 12/int(percent) // the fewer losses, the more tries
			for seed := range uint64(seeds) {
				lost := lossPattern(len(speech)/packetSamples, percent/100, kind == "bursty", seed)
				for i, f := range fills {
					d[i] += distance(speech, f.fill(speech, lost), floor) / float64(seeds)
				}
			}
			t.Logf("| %s, %v %% | %.2f | %.2f | %.2f |", kind, percent, d[0], d[1], d[2])
			if d[2] >= d[0] || d[2] >= d[1] {
				t.Errorf("%s loss of %v %%: concealment is %.3f dB away, silence %.3f, repetition %.3f", kind, percent, d[2], d[0], d[1])
			}
		}
	}
}
