package stream

// upsampleTaps is one side of the odd phase of a half-band low-pass at 16000 Hz, in units of 1/32768: a Kaiser window
// (beta 7) over sin(x)/x, 32 taps in all. Its passband is flat to 0.003 dB up to 3400 Hz, and what mirrors a sound below
// 3400 Hz at 4600 Hz and above is 70 dB down; TestUpsamplerResponse measures both. The even phase is the sample itself.
var upsampleTaps = [16]int32{20798, -6759, 3854, -2548, 1785, -1279, 920, -656, 459, -314, 207, -130, 77, -42, 20, -8}

const (
	upsampleAhead  = len(upsampleTaps)     // samples after the present one that an output needs
	upsampleBefore = len(upsampleTaps) - 1 // samples before it
	upsampleWindow = upsampleBefore + 1 + upsampleAhead
)

// upsampler turns 8000 Hz into 16000 Hz. Output 2n is input n, output 2n+1 lies between n and n+1: nothing is shifted,
// so it holds back 16 samples (2 ms) until flush.
type upsampler struct {
	channels int
	// hist holds interleaved groups that later outputs need.
	hist []int16
}

func newUpsampler(channels int) *upsampler {
	u := &upsampler{channels: channels}
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
		for c := range ch {
			out = append(out, u.between(now+c))
		}
	}
	u.hist = u.hist[:copy(u.hist, u.hist[i:])]
	return out
}

// between gives the sample half way from hist[at] to the next of its channel.
func (u *upsampler) between(at int) int16 {
	var sum int64
	for k, tap := range upsampleTaps {
		a, b := u.hist[at-k*u.channels], u.hist[at+(k+1)*u.channels]
		sum += int64(tap) * (int64(a) + int64(b))
	}
	return clip((sum + 1<<14) >> 15)
}

// flush appends what next held back.
func (u *upsampler) flush(out []int16) []int16 {
	out = u.next(out, make([]int16, upsampleAhead*u.channels))
	u.hist = u.hist[:0]
	u.hist = append(u.hist, make([]int16, upsampleBefore*u.channels)...)
	return out
}

// clip limits a sum to a sample.
func clip(v int64) int16 {
	return int16(max(-1<<15, min(1<<15-1, v)))
}
