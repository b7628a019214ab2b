package media

import (
	"math"
	"slices"
)

const (
	// envelopePoints bounds what is remembered of a stretch, however long: 32 windows of 2 s each at first, of 256 s in a call
	// of two hours.
	envelopePoints = 32
	// lowShare of the windows may lie below the line that is fitted under them: what came too early, as the first packets
	// of senders that begin with a burst. All others may be late, by whatever the network holds them up.
	lowShare = 0.1
	// middleShare makes it a line through the middle: sender reports err to both sides.
	middleShare = 0.5
	// maxSlope is the steepest line: 2000 ppm, which no clock is off.
	maxSlope = 2e-3
	// slopeSteps narrow it down to 1e-5 ppm: a tenth of a sample in a day.
	slopeSteps = 41
)

// point is one measurement: of transit over arrival, or of a sender's clock over position.
type point struct{ x, y int64 }

// line is y0 + at + slope * (x - x0).
type line struct {
	x0, y0    int64
	at, slope float64
}

// envelope remembers points of a stretch in bounded memory, and fits a line to them: once there are too many, each two
// become one.
type envelope struct {
	low    bool // of two points the lower one stays, else the earlier
	n      int
	width  int // additions that a point stands for
	filled int // of these, in the newest
	slope  float64
	first  point                // that the others are counted from
	points [envelopePoints]near // by x
}

// near is a point counted from the first one: half the memory, and three days of samples.
type near struct{ x, y int32 }

// add takes the next point; x never falls.
func (e *envelope) add(at point) {
	if e.n == 0 {
		e.first = at
	}
	x, y := at.x-e.first.x, at.y-e.first.y
	if x > math.MaxInt32 || y > math.MaxInt32 || y < math.MinInt32 {
		return
	}
	p := near{int32(x), int32(y)}
	if e.n > 0 && e.filled < e.width {
		last := &e.points[e.n-1]
		*last = e.choose(*last, p)
		e.filled++
		return
	}
	if e.n == envelopePoints {
		e.halve()
	}
	e.points[e.n] = p
	e.n++
	e.width, e.filled = max(1, e.width), 1
}

// halve makes one point of each two.
func (e *envelope) halve() {
	e.n /= 2
	for i := range e.n {
		e.points[i] = e.choose(e.points[2*i], e.points[2*i+1])
	}
	e.width *= 2
}

// choose gives the point that stays: seen along the slope, or a fast clock's newest packet would always be the quickest.
func (e *envelope) choose(a, b near) near {
	if e.low && float64(b.y)-float64(a.y)-e.slope*float64(b.x-a.x) < 0 {
		return b
	}
	return a
}

// fit gives the line that a share of the points lie under, with the least sum of distances (quantile regression): unlike
// least squares it does not follow those that are far away. There must be a point.
func (e *envelope) fit(share, steepest float64) line {
	const golden = 0.6180339887498949
	lo, hi := -steepest, steepest
	a, b := hi-golden*(hi-lo), lo+golden*(hi-lo)
	ca, cb := e.cost(a, share), e.cost(b, share)
	for range slopeSteps { // the cost is convex in the slope
		if ca <= cb {
			hi, b, cb = b, a, ca
			a = hi - golden*(hi-lo)
			ca = e.cost(a, share)
		} else {
			lo, a, ca = a, b, cb
			b = lo + golden*(hi-lo)
			cb = e.cost(b, share)
		}
	}
	e.slope = (lo + hi) / 2
	return e.along(e.slope, share)
}

// along gives the line of that slope.
func (e *envelope) along(slope, share float64) line {
	l := line{x0: e.first.x, y0: e.first.y, slope: slope}
	var room [envelopePoints]float64
	l.at = e.residuals(&room, slope)[int(share*float64(e.n-1))]
	return l
}

// residuals are the points' heights over a line through the first one, lowest first.
func (e *envelope) residuals(room *[envelopePoints]float64, slope float64) []float64 {
	r := room[:e.n]
	for i, p := range e.points[:e.n] {
		r[i] = float64(p.y) - slope*float64(p.x)
	}
	slices.Sort(r)
	return r
}

// newest is the x of the newest point, and span how far that is from the first.
func (e *envelope) newest() int64 { return e.first.x + e.span() }

func (e *envelope) span() int64 {
	if e.n == 0 {
		return 0
	}
	return int64(e.points[e.n-1].x)
}

// cost is the weighed sum of distances from the best line of that slope.
func (e *envelope) cost(slope, share float64) (sum float64) {
	var room [envelopePoints]float64
	r := e.residuals(&room, slope)
	at := r[int(share*float64(e.n-1))]
	for _, y := range r {
		if d := y - at; d > 0 {
			sum += share * d
		} else {
			sum -= (1 - share) * d
		}
	}
	return sum
}
