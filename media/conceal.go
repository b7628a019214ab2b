package media

// ConcealTail is the longest end of an erasure that Concealer.Meet looks at, in samples, and ConcealSamples how much of it is
// not silence.
const (
	ConcealTail    = concealStep
	ConcealSamples = concealFade
)

// Of concealment, in samples (ITU-T G.711 appendix I).
const (
	minPitch       = 40  // 5 ms: 200 Hz
	maxPitch       = 120 // 15 ms: 66 Hz
	pitchLook      = 160 // 20 ms, of which the period is sought
	maxQuarter     = maxPitch / 4
	concealHistory = 3*maxPitch + maxQuarter // 48.75 ms
	concealStep    = 80                      // 10 ms: at each the erasure is looked at anew
	concealFade    = 6 * concealStep         // 60 ms: from there on it is silence
	// resumeMore is what the blend at the end, a quarter of a wavelength at first, grows by with each step after the first.
	resumeMore = 32
)

// Concealer fills what is lost with what was heard before it: the method of ITU-T G.711 appendix I, written from its description.
// The newest pitch period is repeated, then the newest two, then three, with a quarter of a wavelength blended at each seam; after
// 10 ms it grows quieter by 20 % each 10 ms, and after 60 ms it is silence. It differs in one point: nothing that came is held back
// or changed. So there is no blend at the beginning, where the period repeated goes on in phase, and that at the end lies within
// the erasure, not after it (Meet).
//
// The zero value is ready: it has heard nothing, so it gives silence. It allocates nothing; one goroutine uses it. Each sample of
// a track goes through Hear or Conceal once, in order.
type Concealer struct {
	heard [concealHistory]int16 // the newest, in order; the newest last
	n     int                   // how many of them there are

	erased  int                   // samples since the erasure began; 0: there is none
	before  [concealHistory]int16 // what was heard when it began
	pitch   int                   // period; 0: there is nothing to repeat
	quarter int
	periods int // that are repeated
	cycle   [3 * maxPitch]float32
	at      int // the next sample in cycle
	seam    blend
}

// blend is a run that fades out while another one fades in.
type blend struct {
	from [maxQuarter]float32
	i, n int
}

// Forget drops all that was heard: what comes has nothing to do with it, or must not be heard in it (a mask).
func (c *Concealer) Forget() { *c = Concealer{} }

// Conceals tells whether the newest samples were concealed.
func (c *Concealer) Conceals() bool { return c.erased > 0 }

// Silent tells whether the erasure is so long that Conceal gives silence from here on.
func (c *Concealer) Silent() bool { return c.erased >= concealFade+concealHistory }

// Conceal fills dst, which follows what was heard or concealed last.
func (c *Concealer) Conceal(dst []int16) {
	if c.erased == 0 {
		c.begin()
	}
	if c.Silent() {
		clear(dst) // nothing of the speech is left to remember
		return
	}
	for i := range dst {
		dst[i] = toSample(c.next())
	}
	c.remember(dst)
}

// Hear takes samples that came, and ends an erasure.
func (c *Concealer) Hear(pcm []int16) {
	c.erased = 0
	c.remember(pcm)
}

// Meet is for the end of an erasure, before Hear(next): the end of what was concealed, tail, goes over into what next would have
// come from, by the period of next. tail is up to ConcealTail samples of it, next not shorter than a packet of 20 ms; else the
// seam stays as it is.
func (c *Concealer) Meet(tail, next []int16) {
	n := min(len(tail), c.erased, concealStep, c.quarter+resumeMore*(max(0, c.erased-1)/concealStep))
	if c.erased == 0 || c.pitch == 0 || len(next) < c.pitch {
		return
	}
	for i := range n { // from the seam backwards
		w := 1 - (float32(i)+0.5)/float32(n)
		t := &tail[len(tail)-1-i]
		*t = toSample(float32(*t)*(1-w) + float32(next[c.pitch-1-i%c.pitch])*w)
	}
	copy(c.heard[concealHistory-n:], tail[len(tail)-n:])
}

// begin looks at what was heard for something to repeat.
func (c *Concealer) begin() {
	c.seam, c.at = blend{}, 0
	c.pitch, c.quarter, c.periods = 0, 0, 0
	if c.n < concealHistory {
		return
	}
	c.before = c.heard
	c.pitch = c.period()
	c.quarter = c.pitch / 4
	c.repeat(1)
}

// repeat makes the cycle of the newest periods; its end goes over into what came before its beginning.
func (c *Concealer) repeat(periods int) {
	n := periods * c.pitch
	from := concealHistory - n
	for i := range n {
		c.cycle[i] = float32(c.before[from+i])
	}
	for i := range c.quarter {
		w := (float32(i) + 0.5) / float32(c.quarter)
		at := n - c.quarter + i
		c.cycle[at] = c.cycle[at]*(1-w) + float32(c.before[from-c.quarter+i])*w
	}
	c.periods = periods
}

// next is the next sample of the erasure.
func (c *Concealer) next() float32 {
	i := c.erased
	c.erased++
	if c.pitch == 0 || i >= concealFade {
		return 0
	}
	if i == concealStep || i == 2*concealStep {
		c.lengthen()
	}
	v := c.cycled()
	if c.seam.i < c.seam.n {
		w := (float32(c.seam.i) + 0.5) / float32(c.seam.n)
		v = c.seam.from[c.seam.i]*(1-w) + v*w
		c.seam.i++
	}
	if i > concealStep {
		v *= 1 - 0.2*float32(i-concealStep)/concealStep
	}
	return v
}

func (c *Concealer) cycled() float32 {
	v := c.cycle[c.at]
	if c.at++; c.at == c.periods*c.pitch {
		c.at = 0
	}
	return v
}

// lengthen takes one period more: the shorter cycle goes over into the longer one, in phase.
func (c *Concealer) lengthen() {
	at := c.at
	for i := range c.quarter {
		c.seam.from[i] = c.cycled()
	}
	c.seam.i, c.seam.n = 0, c.quarter
	c.at = at % c.pitch
	c.repeat(c.periods + 1)
}

// period seeks the lag at which what was heard is most like itself: normalised cross-correlation of the newest 20 ms, first over
// every second sample and lag, then over all next to the best.
func (c *Concealer) period() int {
	best := c.search(minPitch, maxPitch, 2)
	return c.search(max(minPitch, best-1), min(maxPitch, best+1), 1)
}

func (c *Concealer) search(from, to, stride int) (best int) {
	var top float32
	best = to
	for lag := from; lag <= to; lag += stride {
		var corr, energy float32
		for i := concealHistory - pitchLook; i < concealHistory; i += stride {
			a, b := float32(c.before[i]), float32(c.before[i-lag])
			corr += a * b
			energy += b * b
		}
		if corr <= 0 || energy == 0 {
			continue
		}
		if like := corr * corr / energy; like > top {
			top, best = like, lag
		}
	}
	return best
}

// remember keeps the newest samples.
func (c *Concealer) remember(pcm []int16) {
	if len(pcm) > concealHistory {
		pcm = pcm[len(pcm)-concealHistory:]
	}
	copy(c.heard[:], c.heard[len(pcm):])
	copy(c.heard[concealHistory-len(pcm):], pcm)
	c.n = min(concealHistory, c.n+len(pcm))
}

func toSample(v float32) int16 {
	switch {
	case v >= 32767:
		return 32767
	case v <= -32768:
		return -32768
	case v < 0:
		return int16(v - 0.5)
	}
	return int16(v + 0.5)
}
