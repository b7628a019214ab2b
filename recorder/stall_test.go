package recorder_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
)

// stillFor is how long the disk of the test stands still.
const stillFor = 5 * time.Second

// freeze holds up whoever comes while it lasts.
type freeze struct{ over atomic.Pointer[chan struct{}] }

func (z *freeze) begin() {
	c := make(chan struct{})
	z.over.Store(&c)
}

func (z *freeze) end() {
	if c := z.over.Swap(nil); c != nil {
		close(*c)
	}
}

func (z *freeze) wait() {
	if c := z.over.Load(); c != nil {
		<-*c
	}
}

// still is an audio file on a disk that stands still while a freeze lasts.
type still struct {
	recorder.BlockFile
	z *freeze
}

func (f still) WriteAt(b []byte, at int64) (int, error) {
	f.z.wait()
	return f.BlockFile.WriteAt(b, at)
}

func (f still) Datasync() error {
	f.z.wait()
	return f.BlockFile.Datasync()
}

// TestManyRecordingsOutliveADiskThatStandsStill: for 5 s no write and no sync comes back, and not one sample is lost. EARSHOT_STALL says of how many
// recordings of two parties, in real time.
func TestManyRecordingsOutliveADiskThatStandsStill(t *testing.T) {
	t.Parallel()
	n := 50
	if s := os.Getenv("EARSHOT_STALL"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	var z freeze
	var d diary
	cfg := recorder.Config{Sync: time.Second, Log: d.log()}
	cfg.Beneath(func(_ *os.File, ask func() error) error {
		z.wait()
		return ask()
	}, nil)
	s, _ := start(t, cfg, func(s *recorder.Store) {
		s.Wrap(func(_ string, f recorder.BlockFile) recorder.BlockFile { return still{f, &z} })
	})
	calls := make([]*recorder.Recording, n)
	for i := range calls {
		calls[i] = open(t, s, stereoInfo(fmt.Sprintf("still-%d", i)))
	}
	k := [2]*talker{newTalker(1, call.RoleCustomer, 0), newTalker(2, call.RoleAgent, 400)} // all say the same
	const pace = 200 * time.Millisecond                                                    // as media gives batches to files
	tick := time.NewTicker(pace)
	defer tick.Stop()
	begun := time.Now()
	var shutAt, told time.Time
	var worst, worstStill time.Duration
	t.Cleanup(z.end)
	for done := false; !done; {
		<-tick.C
		at := time.Since(begun)
		switch {
		case at > 3*time.Second && shutAt.IsZero():
			shutAt = time.Now()
			z.begin()
		case !shutAt.IsZero() && time.Since(shutAt) > stillFor:
			z.end()
		}
		if told.IsZero() && !shutAt.IsZero() && s.Disk().Fault != "" {
			told = time.Now()
		}
		var frames []media.Frame
		for _, k := range k {
			if missing := int64(at)*8000/int64(time.Second) - int64(len(k.kinds)); missing >= 160 {
				frames = append(frames, k.frame(media.KindReceived, int(missing/160*160)))
			}
		}
		b := batch(time.Minute+at, frames, k[0], k[1])
		for _, r := range calls {
			begin := time.Now()
			r.Write(b)
			took := time.Since(begin)
			if !shutAt.IsZero() && time.Since(shutAt) <= stillFor {
				worstStill = max(worstStill, took)
			} else {
				worst = max(worst, took)
			}
		}
		done = at > 3*time.Second+stillFor+2*time.Second
	}
	for _, r := range calls {
		r.End(hangup)
	}
	for _, r := range calls {
		<-r.Sealed()
		if res := r.Result(); res.Err != nil || res.State != recorder.StateRecorded || res.Samples != k[1].end() {
			t.Errorf("%s: %s, %d samples, %v; want recorded, %d", res.CallID, res.State, res.Samples, res.Err, k[1].end())
		}
	}
	if lost := s.Counters().DiskSamples; lost != 0 {
		t.Errorf("%d samples lost", lost)
	}
	// The look is each 200 ms here.
	if after := told.Sub(shutAt); told.IsZero() || after > 5*time.Second || !strings.Contains(d.text(), "the disk does not answer") {
		t.Errorf("told after %v: %s", after, d.text())
	}
	c := s.Counters()
	t.Logf("%d recordings: told after %v; the longest Write %v, while the disk stood still %v; %d group syncs, %v on average", n, told.Sub(shutAt).Round(10*time.Millisecond),
		worst, worstStill, c.Syncs, (c.SyncTime / time.Duration(max(1, c.Syncs))).Round(time.Millisecond))
}
