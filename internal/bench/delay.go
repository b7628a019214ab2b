package bench

import "time"

const (
	// delayStep is how finely delays are told.
	delayStep = 100 * time.Microsecond
	// delaySteps is how many of them are told apart: up to 2 s.
	delaySteps = 20000
)

// delays is a distribution in the making.
type delays struct {
	steps [delaySteps + 1]int64 // the last is for all that took longer
	n     int64
	most  time.Duration
}

func (d *delays) add(t time.Duration) {
	d.steps[min(max(t, 0)/delayStep, delaySteps)]++
	d.n++
	d.most = max(d.most, t)
}

// Delay is a distribution: from the kernel's stamp of a packet until the consumer has read its last octet.
type Delay struct {
	Packets int64         `json:"packets"`
	P50     time.Duration `json:"p50_ns"` // in steps of 100 us, as P99
	P99     time.Duration `json:"p99_ns"`
	Most    time.Duration `json:"most_ns"`
}

// sum gives what there is.
func (d *delays) sum() Delay {
	return Delay{Packets: d.n, P50: d.share(50), P99: d.share(99), Most: d.most}
}

// share is what so many of a hundred did not exceed: the upper end of the step.
func (d *delays) share(percent int64) time.Duration {
	want, so := (d.n*percent+99)/100, int64(0)
	if want == 0 {
		return 0
	}
	for i, n := range d.steps[:delaySteps] {
		if so += n; so >= want {
			return min(time.Duration(i+1)*delayStep, d.most)
		}
	}
	return d.most
}
