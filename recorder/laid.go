package recorder

import (
	"fmt"
	"math"
)

const (
	// maxDriftPPM is the largest drift that a manifest may tell: no clock is further off.
	maxDriftPPM = 2001
	// maxMoved is how far an estimate may lie from where the recording has the sample, and 1/256 of its index: what two
	// clocks come to be apart in a day.
	maxMoved = 10 * rate
	// maxRuns bounds what a manifest may ask for: each block of the file is made by a look at all of them.
	maxRuns = 10_000
	// unmoved is how much a run may stretch and still be copied sample by sample.
	unmoved = 0.5
)

// laid is a run of a channel of audio.wav, and where it lies on the call's timeline by the best that the manifest knows.
type laid struct {
	channel  int
	track    uint32  // 0: all there are
	from, to int64   // in audio.wav
	at       float64 // where from lies
	pace     float64 // how much of the timeline a sample takes; 1: the run is copied as it is, and at is whole
}

// end is where the run ends on the timeline.
func (l laid) end() float64 { return l.at + float64(l.to-l.from)*l.pace }

// layOut gives the runs of all tracks in a file of so many samples. Where two meet, the later one is heard.
func (m *Manifest) layOut(samples int64) (runs []laid, err error) {
	if n := len(m.Tracks); n > maxTracks {
		return nil, fmt.Errorf("%d tracks: want at most %d", n, maxTracks)
	}
	for i := range m.Tracks {
		t := &m.Tracks[i]
		if t.Channel < 0 || t.OffsetMethod == "" {
			continue
		}
		own, err := t.layOut()
		if err != nil {
			return nil, fmt.Errorf("track %d: %w", t.ID, err)
		}
		for _, r := range own {
			r.cutTo(0, samples)
			runs = append(runs, m.uncovered(r, i+1)...)
		}
		if len(runs) > maxRuns {
			return nil, fmt.Errorf("more than %d stretches of tracks", maxRuns)
		}
	}
	return runs, nil
}

// layOut gives the track's runs, epoch by epoch.
func (t *Track) layOut() (runs []laid, err error) {
	epochs := t.Epochs
	if len(epochs) == 0 || epochs[0].OffsetEstimate == nil { // the first of the track, or of an older version
		first := Epoch{OffsetEstimate: &t.OffsetEstimate, DriftPPM: &t.DriftPPM}
		epochs = append([]Epoch{first}, epochs[min(1, len(epochs)):]...)
	}
	line := laid{channel: t.Channel, track: t.ID, pace: 1}
	pos := int64(0) // that line is written from
	for i, e := range epochs {
		start, end := e.Pos, t.Samples
		if i == 0 {
			start = 0
		}
		if i+1 < len(epochs) {
			end = min(end, epochs[i+1].Pos)
		}
		if e.OffsetEstimate != nil && e.DriftPPM != nil {
			if d := *e.DriftPPM; !(d >= -maxDriftPPM && d <= maxDriftPPM) {
				return nil, fmt.Errorf("drift_ppm: got %g, want at most %d either way", d, maxDriftPPM)
			}
			line.pace = 1 / (1 + *e.DriftPPM/1e6)
			line.at, pos = float64(e.Pos)+float64(*e.OffsetEstimate), e.Pos
		}
		run := line
		run.from, run.to = start+t.OffsetSamples, end+t.OffsetSamples
		run.at += float64(start-pos) * line.pace
		if run.from >= run.to {
			continue
		}
		run.settle()
		if moved := math.Abs(run.at - float64(run.from)); moved > maxMoved+float64(run.from)/256 {
			return nil, fmt.Errorf("offset_estimate of the epoch at %d: %.1f s from where the recording has it, which no clock comes to", e.Pos, moved/rate)
		}
		runs = append(runs, run)
	}
	return runs, nil
}

// settle makes a run whose samples would hardly move one that is copied.
func (l *laid) settle() {
	if n := float64(l.to - l.from); math.Abs(n*(l.pace-1)) < unmoved {
		l.at, l.pace = math.Round(l.at+n*(l.pace-1)/2), 1
	}
}

// cutTo keeps what lies in [from, to) of the file.
func (l *laid) cutTo(from, to int64) {
	if from > l.from {
		l.at += float64(from-l.from) * l.pace
		l.from = from
	}
	l.to = min(l.to, to)
}

// uncovered gives what of a run is in the file: not what the tracks from the i-th on have put over it.
func (m *Manifest) uncovered(r laid, i int) (runs []laid) {
	if r.from >= r.to {
		return nil
	}
	for ; i < len(m.Tracks); i++ {
		o := &m.Tracks[i]
		if o.Channel != r.channel || o.OffsetMethod == "" || o.OffsetSamples >= r.to || o.OffsetSamples+o.Samples <= r.from || o.Samples == 0 {
			continue
		}
		before, after := r, r
		before.cutTo(r.from, o.OffsetSamples)
		after.cutTo(o.OffsetSamples+o.Samples, r.to)
		return append(m.uncovered(before, i+1), m.uncovered(after, i+1)...)
	}
	return []laid{r}
}
