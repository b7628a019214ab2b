package sip_test

import (
	"net"
	"testing"
	"time"

	"github.com/earshot/earshot/sip"
)

func TestEveryWayAFlowDiesIsNoticedAndTheCallLives(t *testing.T) {
	for name, kill := range map[string]func(c *net.TCPConn){
		"RST":        func(c *net.TCPConn) { _ = c.SetLinger(0); _ = c.Close() },
		"FIN":        func(c *net.TCPConn) { _ = c.Close() },
		"half close": func(c *net.TCPConn) { _ = c.CloseWrite() },
	} {
		t.Run(name, func(t *testing.T) {
			p, h, d, _, _ := up(t, "tcp", nil)
			p.mu.Lock()
			c := p.conns[0].(*net.TCPConn)
			p.mu.Unlock()
			kill(c)
			h.heal(p)
			if res := d.ask("BYE", ""); !res.is("200") {
				t.Errorf("BYE: %q", res.start)
			}
		})
	}
}

func TestSilentFlowIsDeadWithinTwoMissedPongs(t *testing.T) {
	const every, pong = 20 * time.Millisecond, 60 * time.Millisecond
	p, h := start(t, "tcp", func(c *sip.Config) { c.Keepalive = every })
	eventually(t, func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.pings > 1 })
	p.mu.Lock()
	p.noPong = true
	before := p.pings
	p.mu.Unlock()
	eventually(t, func() bool { return h.counter("flows_lost") == 1 })
	p.mu.Lock()
	defer p.mu.Unlock()
	// One ping may have been under way when the pongs ended.
	if n := p.pings - before; n > 2 {
		t.Errorf("%d pings without a pong, want 2 at most", n)
	}
}

func TestManyShortOutagesLeaveNothingBehind(t *testing.T) {
	p, h := start(t, "tcp", nil)
	for n := int64(1); n <= 20; n++ {
		p.cut()
		eventually(t, func() bool { return h.counter("flows") == n+1 && h.acc.State().Registered })
	}
	if n := h.counter("flows_lost"); n != 20 {
		t.Errorf("%d flows lost, want 20", n)
	}
}

func TestFirstPingComesEarlyToLearnWhetherPongsDo(t *testing.T) {
	p, h := start(t, "tcp", func(c *sip.Config) {
		tm := short
		tm.FirstPing = 20 * time.Millisecond
		*c = c.WithTimers(tm)
		c.Keepalive = time.Hour
	})
	eventually(t, func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.pings == 1 })
	// Then the flow is judged by them, and no longer by a REGISTER each 30 s.
	h.acc.Probe()
	eventually(t, func() bool { return time.Until(h.acc.State().NextTry) > time.Minute })
}
