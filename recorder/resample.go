package recorder

import "math"

// The resampler is a windowed sinc, looked up in a table of phases: flat within 0.01 dB up to 3.6 kHz, images and noise 90 dB down.
// G.711 ends at 3.4 kHz.
const (
	// sincHalf samples on either side of a place make it up.
	sincHalf = 32
	// sincPhases is how finely the table tells where between two samples that is; between two phases it is a straight line,
	// which errs by 1/8 (pi/sincPhases)^2, 106 dB down.
	sincPhases = 512
	// kaiserBeta is the window's shape: 90 dB (Kaiser 1974: 0.1102 (A - 8.7)).
	kaiserBeta = 8.96
)

// sinc holds a row of weights for each phase, and one more, for what is between the last and the next sample.
type sinc [sincPhases + 1][2 * sincHalf]float32

// newSinc fills the table. Each row adds up to 1: a constant stays what it is.
func newSinc() *sinc {
	s := new(sinc)
	for phase := range s {
		frac := float64(phase) / sincPhases
		sum := 0.0
		var row [2 * sincHalf]float64
		for i := range row {
			x := float64(i-sincHalf+1) - frac
			row[i] = sincOf(x) * kaiser(x/sincHalf)
			sum += row[i]
		}
		for i, v := range row {
			s[phase][i] = float32(v / sum)
		}
	}
	return s
}

func sincOf(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

// kaiser is the window at x from -1 to 1.
func kaiser(x float64) float64 {
	if x <= -1 || x >= 1 {
		return 0
	}
	return bessel(kaiserBeta*math.Sqrt(1-x*x)) / bessel(kaiserBeta)
}

// bessel is the modified Bessel function of order 0, by its series.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for n := 1.0; term > sum*1e-12; n++ {
		term *= x / 2 / n * (x / 2 / n)
		sum += term
	}
	return sum
}

// at gives the sample at index i + frac, 0 <= frac < 1, of in, which has sincHalf - 1 samples before i and sincHalf behind it.
func (s *sinc) at(in []float32, i int, frac float64) float64 {
	place := frac * sincPhases
	phase := int(place)
	rest := float32(place - float64(phase))
	a, b := &s[phase], &s[phase+1]
	win := in[i-sincHalf+1 : i+sincHalf+1]
	var first, second float32
	for j, v := range win[:2*sincHalf] {
		first += v * a[j]
		second += v * b[j]
	}
	return float64(first + rest*(second-first))
}

// toSample rounds to 16 bit.
func toSample(v float64) int16 {
	return int16(math.Round(min(math.MaxInt16, max(math.MinInt16, v))))
}
