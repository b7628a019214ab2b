package sip_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/sip"
)

func TestCutConnectionIsRegisteredAnewAndTheCallHealed(t *testing.T) {
	for _, network := range []string{"tcp", "tls"} {
		t.Run(network, func(t *testing.T) {
			p, h, d, l, first := up(t, network, nil)
			old := h.acc.State().Local
			p.cut()
			re := p.next("INVITE")
			s := h.acc.State()
			if !s.Registered || s.Local == old || re.from != s.Local.String() {
				t.Errorf("re-INVITE from %s, flow %s, before %s", re.from, s.Local, old)
			}
			if re.body != first.body {
				t.Errorf("another SDP: %s", re.body)
			}
			if !strings.Contains(re.get("Contact"), s.Local.String()) {
				t.Errorf("Contact %q", re.get("Contact"))
			}
			re.write(re.answer("200 OK", sdpOne, "Contact: <sip:108@"+p.addr()+">", "Content-Type: application/sdp"))
			p.next("ACK")
			if res := d.ask("BYE", ""); !res.is("200") {
				t.Errorf("BYE: %q", res.start)
			}
			if c := h.ended(0); c.Code != call.CodeHangup {
				t.Errorf("cause %+v", c)
			}
			if l.dialog == nil || h.counter("flows_lost") != 1 {
				t.Errorf("flows lost: %d", h.counter("flows_lost"))
			}
		})
	}
}

func TestByeDuringTheCutComesAfterTheHealing(t *testing.T) {
	p, h, _, l, _ := up(t, "tcp", nil)
	p.mu.Lock()
	p.silent = true
	p.mu.Unlock()
	p.cut()
	eventually(t, func() bool { return !h.acc.State().Registered })
	done := make(chan error, 1)
	h.mu.Lock()
	dlg := l.dialog
	h.mu.Unlock()
	go func() { done <- dlg.Bye(t.Context(), call.Cause{Code: call.CodeReleased}) }()
	p.mu.Lock()
	p.silent = false
	p.mu.Unlock()
	re := p.next("INVITE")
	re.write(re.answer("200 OK", sdpOne, "Contact: <sip:108@"+p.addr()+">", "Content-Type: application/sdp"))
	p.next("BYE")
	if err := <-done; err != nil {
		t.Errorf("Bye: %v", err)
	}
	if c := h.ended(0); c.Code != call.CodeReleased {
		t.Errorf("cause %+v", c)
	}
}

func TestUnansweredACKSurvivesTheCut(t *testing.T) {
	p, h := start(t, "tcp", nil)
	d := p.newDialog("cutack")
	d.call(sdpOne)
	p.cut()
	res := p.nextOf(func(m *msg) bool {
		return m.is("200") && m.get("CSeq") == d.cseq("INVITE") && m.from == h.acc.State().Local.String()
	})
	d.learn(res)
	p.send(d.request("ACK", ""))
	h.leg(0, func(l *leg) bool { return l.dialog != nil })
}

func TestSilentFlowIsDead(t *testing.T) {
	p, h := start(t, "tcp", func(c *sip.Config) { c.Keepalive = 20 * time.Millisecond })
	eventually(t, func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.pings > 2 })
	if n := h.counter("flows_lost"); n != 0 {
		t.Fatalf("%d flows lost", n)
	}
	p.mu.Lock()
	p.noPong = true
	p.mu.Unlock()
	eventually(t, func() bool { return h.counter("flows_lost") > 0 && h.acc.State().Registered })
}

func TestFlowWithoutPongsIsJudgedByREGISTER(t *testing.T) {
	for _, network := range []string{"tcp", "udp"} {
		t.Run(network, func(t *testing.T) {
			p, h := start(t, network, func(c *sip.Config) {
				c.Keepalive = 20 * time.Millisecond
				tm := short
				tm.Probe, tm.Register = 50*time.Millisecond, 100*time.Millisecond
				*c = c.WithTimers(tm)
			})
			p.mu.Lock()
			p.noPong = true
			p.mu.Unlock()
			eventually(t, func() bool { return h.counter("registers_sent") > 2 })
			p.mu.Lock()
			p.silent = true
			p.mu.Unlock()
			eventually(t, func() bool { return h.counter("registers_unanswered") > 0 && !h.acc.State().Registered })
			p.mu.Lock()
			p.silent = false
			p.mu.Unlock()
			h.registered()
			eventually(t, func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.pings > 0 })
		})
	}
}

// An edge proxy may pass on what the registrar promises, and answer no ping itself.
func TestBrokenPromiseOfPongsCostsOneFlow(t *testing.T) {
	for header, lost := range map[string]int64{"Supported: outbound": 0, "Require: outbound": 1, "Flow-Timer: 1": 1} {
		t.Run(header, func(t *testing.T) {
			h, p := newHouse(t), newPeer(t, "tcp", "", nil)
			p.noPong = true
			p.onRegister(func(m *msg) string {
				return m.answer("200 OK", "", "Contact: "+m.get("Contact")+";expires=600", header)
			})
			tm := short
			tm.Probe, tm.Pong, tm.FirstPing = 50*time.Millisecond, 20*time.Millisecond, 10*time.Millisecond
			c := config(p, h).WithTimers(tm)
			c.Keepalive = 20 * time.Millisecond
			h.run(c)
			eventually(t, func() bool { return h.counter("registers_sent") > 12 })
			if n := h.counter("flows_lost"); n != lost || !h.acc.State().Registered {
				t.Errorf("%d flows lost, registered %v; want %d, true", n, h.acc.State().Registered, lost)
			}
		})
	}
}

func TestGarbageOnTheStreamEndsTheFlowNotTheAccount(t *testing.T) {
	p, h, _, _, _ := up(t, "tcp", nil)
	p.send("\x00\xff garbage\r\nmore: of it\r\n\r\n")
	eventually(t, func() bool { return h.counter("flows_lost") == 1 })
	re := p.next("INVITE")
	re.write(re.answer("200 OK", sdpOne, "Contact: <sip:108@"+p.addr()+">", "Content-Type: application/sdp"))
	p.next("ACK")
	p.newDialog("after").establish(sdpOne)
}

func TestTinySegmentsAndJoinedMessages(t *testing.T) {
	p, h := start(t, "tcp", nil)
	d := p.newDialog("tiny")
	for _, c := range d.request("INVITE", sdpOne) {
		p.send(string(c))
	}
	d.learn(p.final(d.cseq("INVITE")))
	p.send("\r\n\r\n" + d.request("ACK", "") + d.request("OPTIONS", "") + "\r\n")
	if res := p.final(d.cseq("OPTIONS")); !res.is("200") {
		t.Errorf("OPTIONS: %q", res.start)
	}
	h.leg(0, func(l *leg) bool { return l.dialog != nil })
}

func TestMessagesWithMissingHeadersAreAnswered400(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		p, h := start(t, network, nil)
		full := p.newDialog("nil").request("INVITE", sdpOne)
		for i, drop := range []string{"From", "To", "Call-ID", "CSeq", "Contact", "Max-Forwards"} {
			var kept []string
			for l := range strings.SplitSeq(full, "\r\n") {
				if !strings.HasPrefix(l, drop+":") {
					kept = append(kept, l)
				}
			}
			text := strings.Replace(strings.Join(kept, "\r\n"), "z9hG4bK", fmt.Sprintf("z9hG4bKdrop%d", i), 1)
			for _, method := range []string{"INVITE", "BYE", "ACK", "CANCEL", "INFO"} {
				m := strings.NewReplacer("INVITE sip:", method+" sip:", "101 INVITE", "101 "+method, "z9hG4bK", "z9hG4bK"+method).Replace(text)
				p.send(m)
				if method == "BYE" && (drop == "From" || drop == "To" || drop == "Call-ID") {
					if res := p.nextOf(func(m *msg) bool { return m.is("400") }); res.get("Via") == "" {
						t.Errorf("without %s: %s", drop, res)
					}
				}
			}
		}
		if n := h.counter("panics"); n != 0 {
			t.Errorf("%d panics", n)
		}
		many := strings.Replace(p.newDialog("many").request("OPTIONS", ""), "Max-Forwards", strings.Repeat("X-A: b\r\n", 200)+"Max-Forwards", 1)
		p.send(many)
		if res := p.nextOf(func(m *msg) bool { return m.get("Call-Id") == "many" }); !res.is("400") {
			t.Errorf("many headers: %q", res.start)
		}
	}
}

func TestHandlerPanicIs500AndNothingElse(t *testing.T) {
	p, h := start(t, "udp", nil)
	h.set(func() { h.refuse = errPanic })
	if res := p.newDialog("panic").call(sdpOne); !res.is("500") {
		t.Errorf("got %q", res.start)
	}
	if h.counter("panics") != 1 {
		t.Error("not counted")
	}
	h.set(func() { h.refuse = nil })
	p.newDialog("fine").establish(sdpOne)
}

func TestLegPanicEndsItsCallOnly(t *testing.T) {
	p, h, d, _, _ := up(t, "udp", nil)
	other := p.newDialog("other")
	other.establish(sdpOne)
	d.ask("INFO", "D", "Content-Type: application/dtmf")
	if c := h.ended(0); c.Code != call.CodeInternal {
		t.Errorf("cause %+v", c)
	}
	if res := other.ask("OPTIONS", ""); !res.is("200") {
		t.Errorf("the other call: %q", res.start)
	}
}

func TestSIPgoNeverDialsForAStranger(t *testing.T) {
	// A Via that names another host must not make us connect there.
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	got := make(chan struct{}, 1)
	go func() {
		if c, err := ln.Accept(); err == nil {
			c.Close()
			got <- struct{}{}
		}
	}()
	p, h := start(t, "tcp", nil)
	h.set(func() { h.hold = make(chan struct{}) })
	d := p.newDialog("via")
	p.send(strings.Replace(d.request("INVITE", sdpOne), p.addr()+";branch", ln.Addr().String()+";branch", 1))
	h.leg(0, func(*leg) bool { return true })
	p.cut()
	h.set(func() { close(h.hold) })
	eventually(t, func() bool { return h.acc.State().Registered && h.counter("flows_lost") == 1 })
	h.ended(0)
	select {
	case <-got:
		t.Error("a connection was made to the Via's host")
	default:
	}
}

func TestACallCostsTwoInfoLines(t *testing.T) {
	_, h, d, _, _ := up(t, "udp", nil)
	d.ask("INVITE", sdpOne)
	d.ask("BYE", "")
	h.ended(0)
	eventually(t, func() bool { return h.acc.State().Dialogs == 0 })
	var n int
	for _, l := range h.logs.all() {
		if strings.Contains(l, "leg=d1") {
			n++
		}
	}
	if n != 2 {
		t.Errorf("%d lines: %s", n, strings.Join(h.logs.all(), ""))
	}
}
