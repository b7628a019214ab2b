package media

import (
	"testing"
	"time"
)

func TestKernelStampsBecomeEngineTime(t *testing.T) {
	r := newRig(t, Config{})
	s := r.s
	base := r.e.start
	s.setClock(base.Add(10 * time.Second))
	s.setClock(base.Add(10*time.Second + 20*ms))
	now := s.now
	for _, c := range []struct {
		name  string
		stamp int64
		want  time.Duration
	}{
		{"within the sweep", base.Add(10*time.Second + 7*ms).UnixNano(), 10*time.Second + 7*ms},
		{"while the sweep runs", base.Add(10*time.Second + 30*ms).UnixNano(), 10*time.Second + 30*ms},
		{"waited since the port was opened", base.Add(4 * time.Second).UnixNano(), 4 * time.Second},
		{"none", 0, now},
		{"far future", base.Add(time.Hour).UnixNano(), now},
		{"far past", base.Add(-time.Hour).UnixNano(), now},
	} {
		if got := s.arrival(c.stamp); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestAStepOfTheWallClockMovesNoPacket(t *testing.T) {
	r := newRig(t, Config{})
	s := r.s
	s.setClock(r.e.start.Add(time.Second))
	s.setClock(r.e.start.Add(time.Second + 20*ms))
	s.clock.wall += int64(3 * time.Second) // as if the sweep had seen a clock that was set forward
	s.clock.stepped = true
	before := r.e.start.Add(time.Second + 10*ms).UnixNano() // stamped before the step
	if got := s.arrival(before); got != s.now {
		t.Errorf("stamp from before the step: got %v, want %v", got, s.now)
	}
	after := s.clock.wall - int64(5*ms)
	if got := s.arrival(after); got != s.now-5*ms {
		t.Errorf("stamp from after the step: got %v, want %v", got, s.now-5*ms)
	}
}

// TestWhatComesWhileASweepIsHeldUpKeepsItsTime: the processor was taken away for 200 ms between the clock and the port.
func TestWhatComesWhileASweepIsHeldUpKeepsItsTime(t *testing.T) {
	r := newRig(t, Config{})
	s := r.s
	r.e.start = time.Now().Add(-10 * time.Second)
	s.setClock(r.e.start.Add(9780 * ms))
	s.setClock(r.e.start.Add(9800 * ms))
	for _, c := range []struct{ came, want time.Duration }{
		{9900 * ms, 9900 * ms}, {9999 * ms, 9999 * ms}, {time.Hour, 9800 * ms},
	} {
		if got := s.arrival(r.e.start.Add(c.came).UnixNano()); got != c.want {
			t.Errorf("came at %v: got %v, want %v", c.came, got, c.want)
		}
	}
	s.clock.stepped = true // then nobody knows
	if got := s.arrival(r.e.start.Add(9900 * ms).UnixNano()); got != s.now {
		t.Errorf("in the sweep after a step: got %v, want %v", got, s.now)
	}
}
