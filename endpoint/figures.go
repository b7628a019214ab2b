package endpoint

import (
	"time"

	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/stream"
)

// Figures are counters for metrics that Status does not show.
type Figures struct {
	SweepAge      time.Duration // of the media engine: since the newest sweep of the slowest shard; negative: none yet
	Tracks        int64         // open now
	DiskFreeBytes int64         // of the recordings' file system; negative: not known
	Disk          recorder.DiskState
	Recorder      recorder.Counters
	Stream        stream.Totals
	Consumers     map[string]stream.ConsumerTotals // by name
	Requests      map[string]int64                 // REST requests by class
	LoggedIn      bool                             // every supervisor is
	Masks         map[string]int64                 // that were begun, by holder
	Unmasks       map[string]int64                 // that ended while the call went on
	Waiting       int64                            // wanted calls that the pool has no room for
}

// Figures may be called from anywhere.
func (e *Endpoint) Figures() Figures {
	f := Figures{SweepAge: e.engine.SweepAge(), DiskFreeBytes: -1, Stream: e.hub.Totals(), Consumers: e.hub.Consumers(), Requests: map[string]int64{}, LoggedIn: true}
	if e.store != nil {
		f.Recorder, f.Disk = e.store.Counters(), e.store.Disk()
		if n, err := e.store.DiskFree(); err == nil {
			f.DiskFreeBytes = n
		}
	}
	f.Masks, f.Unmasks = e.masks.figures()
	f.Tracks = int64(e.engine.Totals().Tracks)
	for _, p := range e.pools {
		for k, v := range p.sup.Requests() {
			f.Requests[k] += v
		}
		st := p.sup.Status()
		f.LoggedIn = f.LoggedIn && st.LoggedIn
		f.Waiting += int64(st.Waiting)
	}
	return f
}
