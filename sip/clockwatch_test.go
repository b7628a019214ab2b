package sip_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot/earshot/sip"
)

func TestRegistrarIsAskedAtOnceWhenTheClockJumped(t *testing.T) {
	for name, c := range map[string]struct {
		by    time.Duration
		asked bool
	}{
		"asleep for an hour": {time.Hour, true}, "set back": {-time.Hour, true}, "11 s": {11 * time.Second, true},
		"stepped by NTP": {2 * time.Second, false}, "nothing": {0, false},
	} {
		t.Run(name, func(t *testing.T) {
			var offset atomic.Int64
			var looks atomic.Int64
			p, h := start(t, "tcp", func(cfg *sip.Config) {
				tm := short
				tm.Look = 10 * time.Millisecond
				*cfg = cfg.WithTimers(tm).WithWall(func() time.Time {
					looks.Add(1)
					return time.Now().Add(time.Duration(offset.Load()))
				})
			})
			p.next("REGISTER")
			seen := looks.Load()
			eventually(t, func() bool { return looks.Load() > seen+1 })
			offset.Store(int64(c.by))
			if c.asked {
				p.next("REGISTER")
			} else {
				seen = looks.Load()
				eventually(t, func() bool { return looks.Load() > seen+5 })
			}
			want := int64(1)
			if !c.asked {
				want = 0
			}
			seen = looks.Load()
			eventually(t, func() bool { return looks.Load() > seen+5 })
			if got := h.counter("clock_jumps"); got != want || len(h.warned("clock jumped")) != int(want) || !h.acc.State().Registered {
				t.Errorf("%d jumps, warned %v, state %+v; want %d", got, h.warned("clock jumped"), h.acc.State(), want)
			}
		})
	}
}

func TestFlowThatDiedInOurSleepIsFoundDeadAtOnce(t *testing.T) {
	var offset atomic.Int64
	p, h := start(t, "tcp", func(cfg *sip.Config) {
		tm := short
		tm.Look = 10 * time.Millisecond
		*cfg = cfg.WithTimers(tm).WithWall(func() time.Time { return time.Now().Add(time.Duration(offset.Load())) })
	})
	old := h.acc.State().Local
	p.mu.Lock()
	p.silent = true // the way is dead, and no RST tells us
	p.mu.Unlock()
	eventually(t, func() bool { return len(p.in) == 1 }) // the REGISTER of the beginning
	offset.Store(int64(8 * time.Hour))
	eventually(t, func() bool { return h.counter("registers_unanswered") > 0 })
	p.mu.Lock()
	p.silent = false
	p.mu.Unlock()
	eventually(t, func() bool { s := h.acc.State(); return s.Registered && s.Local != old })
	if w := h.warned("clock jumped"); len(w) != 1 || !strings.Contains(w[0], "8h0m0s") {
		t.Errorf("warned %v", w)
	}
}
