package sip_test

import (
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot/earshot/sip"
)

// flood sends requests without end, as fast as they are taken, until stop is set.
func flood(p *peer, stop *atomic.Bool, sameBranch bool) {
	d := p.newDialog("flood")
	one := d.request("OPTIONS", "")
	for i := 0; !stop.Load(); i++ {
		var b strings.Builder
		for j := range 100 {
			if sameBranch {
				b.WriteString(one)
				continue
			}
			b.WriteString(strings.Replace(one, "z9hG4bK", fmt.Sprintf("z9hG4bK%dx%d", i, j), 1))
		}
		p.send(b.String())
	}
}

func TestPeerThatSendsAndDoesNotReadCostsOneFlow(t *testing.T) {
	for _, network := range []string{"tcp", "tls"} {
		for _, same := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/same branch %v", network, same), func(t *testing.T) {
				p, h := start(t, network, func(c *sip.Config) {
					tm := short
					tm.Write = 300 * time.Millisecond
					*c = c.WithTimers(tm)
				})
				wake := p.sleep()
				defer wake()
				before, most := runtime.NumGoroutine(), 0
				var stop atomic.Bool
				defer stop.Store(true)
				p.wg.Go(func() { flood(p, &stop, same) })
				eventually(t, func() bool {
					most = max(most, runtime.NumGoroutine())
					return h.counter("flows_lost") > 0
				})
				stop.Store(true)
				if most > before+20_000 {
					t.Errorf("%d goroutines, %d before", most, before)
				}
				wake()
				eventually(t, func() bool { return h.counter("flows") > 1 && h.acc.State().Registered })
				p.newDialog("after").establish(sdpOne)
			})
		}
	}
}

func TestInviteOfAStrangerIsOneWarningAMinute(t *testing.T) {
	p, h := start(t, "udp", nil)
	c, err := net.ListenPacket("udp", "127.0.0.9:0")
	if err != nil {
		t.Skipf("127.0.0.9: %v", err)
	}
	defer c.Close()
	to := net.UDPAddrFromAddrPort(h.acc.State().Local)
	invite := p.newDialog("stranger").request("INVITE", sdpOne)
	for range 20 {
		if _, err := c.WriteTo([]byte(invite), to); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func() bool { return h.counter("datagrams_foreign") == 20 })
	got := h.warned("message not taken")
	if len(got) != 1 || !strings.Contains(got[0], "remote="+c.LocalAddr().String()) || !strings.Contains(got[0], "what=INVITE") ||
		strings.Contains(got[0], "sip:") {
		t.Errorf("%d lines, want 1 with the source and the method: %s", len(got), got)
	}
}

func TestWhatCantBeReadIsCountedAndTold(t *testing.T) {
	p, h := start(t, "udp", nil)
	full := p.newDialog("x").request("INVITE", sdpOne)
	without := func(name string) string {
		var kept []string
		for l := range strings.SplitSeq(full, "\r\n") {
			if !strings.HasPrefix(l, name+":") {
				kept = append(kept, l)
			}
		}
		return strings.Join(kept, "\r\n")
	}
	for i, m := range []string{
		"garbage\x00\xff", "INVITE sip:x SIP/2.0\r\nno colon\r\n\r\n", strings.Repeat("\x1b[31m", 100),
		without("From"), without("To"), without("Call-ID"), without("CSeq"), without("Via"),
	} {
		p.send(strings.Replace(m, "z9hG4bK", fmt.Sprintf("z9hG4bKno%d", i), 1))
		eventually(t, func() bool { return h.counter("requests_malformed") == int64(i+1) })
	}
	for _, reason := range []string{"no SIP message", "a header is missing or wrong"} {
		if got := h.warned(reason); len(got) != 1 || !strings.Contains(got[0], "remote="+p.addr()) || len(got[0]) > 400 {
			t.Errorf("%s: %d lines, want 1: %s", reason, len(got), got)
		}
	}
	for _, l := range h.logs.all() {
		if strings.Contains(l, "\x1b") {
			t.Errorf("control characters in %q", l)
		}
	}
}

func TestGarbageOnAStreamIsCountedAndTold(t *testing.T) {
	p, h := start(t, "tcp", nil)
	p.send("\x00\xff garbage\r\nmore: of it\r\n\r\n")
	eventually(t, func() bool { return h.counter("requests_malformed") == 1 })
	eventually(t, func() bool { return len(h.warned("no SIP message")) == 1 })
}

func TestBlanksAroundTheMethodInCSeqAreLegal(t *testing.T) {
	for _, text := range []string{"CSeq: 1  OPTIONS", "CSeq: 1\r\n OPTIONS", "CSeq:  1 \t OPTIONS "} {
		p, _ := start(t, "udp", nil)
		d := p.newDialog("cseq")
		d.seq = 0
		p.send(strings.Replace(d.request("OPTIONS", ""), "CSeq: 1 OPTIONS", text, 1))
		if res := p.nextOf(func(m *msg) bool { return m.method() == "" && m.get("Call-Id") == "cseq" }); !res.is("200") {
			t.Errorf("%q: got %q", text, res.start)
		}
	}
}

func TestRefusedConnectionIsNamedOnce(t *testing.T) {
	p := newPeer(t, "tcp", "", nil)
	h := newHouse(t)
	c := config(p, h)
	p.close()
	h.run(c)
	eventually(t, func() bool { return h.acc.State().Reason != "" })
	if r := h.acc.State().Reason; strings.Count(r, "dial") != 1 || strings.Count(r, p.addr()) != 1 || !strings.Contains(r, "refused") {
		t.Errorf("reason %q", r)
	}
}
