package stream

import "slices"

const (
	upsampleAhead  = 16 // samples after the present one that an output needs
	upsampleBefore = 15 // samples before it
	upsampleWindow = upsampleBefore + 1 + upsampleAhead
	// maxUpsample is the largest factor: 24000 Hz.
	maxUpsample = 3
)

// A phase weighs the samples around a place between two of them, in units of 1/32768: a Kaiser window (beta 7) over sin(x)/x, 32 taps, of which the 16th is
// the sample before that place. The passband is flat to 0.003 dB up to 3400 Hz, and what mirrors a sound below 3400 Hz at 4600 Hz and above is 70 dB down;
// TestUpsamplerResponse measures both at both rates. The place of a sample itself needs no phase.
type phase [upsampleWindow]int32

var (
	halfWay = phase{ //nolint:gochecknoglobals // constant
		-8, 20, -42, 77, -130, 207, -314, 459, -656, 920, -1279, 1785, -2548, 3854, -6759, 20798,
		20798, -6759, 3854, -2548, 1785, -1279, 920, -656, 459, -314, 207, -130, 77, -42, 20, -8,
	}
	thirdOfTheWay = phase{ //nolint:gochecknoglobals // constant
		-8, 20, -41, 73, -122, 192, -290, 423, -601, 842, -1170, 1637, -2351, 3613, -6624, 27063,
		13475, -5233, 3094, -2074, 1461, -1049, 754, -536, 374, -254, 166, -104, 61, -33, 15, -5,
	}
)

// phasesOf gives those between two samples at so many times 8000 Hz.
func phasesOf(factor int) []phase {
	if factor == 2 {
		return []phase{halfWay}
	}
	twoThirds := thirdOfTheWay
	slices.Reverse(twoThirds[:])
	return []phase{thirdOfTheWay, twoThirds}
}

// upsampler turns 8000 Hz into 16000 or 24000 Hz. Output n*factor is input n, the others lie between n and n+1: nothing is shifted,
// so it holds back 16 samples (2 ms) until flush.
type upsampler struct {
	channels int
	phases   []phase
	// hist holds interleaved groups that later outputs need.
	hist []int16
}

func newUpsampler(factor, channels int) *upsampler {
	u := &upsampler{channels: channels, phases: phasesOf(factor)}
	u.hist = make([]int16, upsampleBefore*channels, (upsampleWindow+chunkSamples)*channels)
	return u
}

// next appends to out what in completes; both are interleaved.
func (u *upsampler) next(out, in []int16) []int16 {
	u.hist = append(u.hist, in...)
	ch := u.channels
	i := 0
	for ; len(u.hist)-i >= upsampleWindow*ch; i += ch {
		now := i + upsampleBefore*ch
		out = append(out, u.hist[now:now+ch]...)
		for p := range u.phases {
			for c := range ch {
				out = append(out, u.between(&u.phases[p], i+c))
			}
		}
	}
	u.hist = u.hist[:copy(u.hist, u.hist[i:])]
	return out
}

// between gives the sample at a phase of the window that begins with hist[at].
func (u *upsampler) between(p *phase, at int) int16 {
	var sum int64
	for k, tap := range p {
		sum += int64(tap) * int64(u.hist[at+k*u.channels])
	}
	return clip((sum + 1<<14) >> 15)
}

// flush appends what next held back.
func (u *upsampler) flush(out []int16) []int16 {
	out = u.next(out, make([]int16, upsampleAhead*u.channels))
	u.reset()
	return out
}

// reset begins anew, after silence.
func (u *upsampler) reset() {
	u.hist = append(u.hist[:0], make([]int16, upsampleBefore*u.channels)...)
}

// clip limits a sum to a sample.
func clip(v int64) int16 {
	return int16(max(-1<<15, min(1<<15-1, v)))
}
