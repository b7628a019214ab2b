package sip_test

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/sip"
)

// neighbour is a host in AcceptFrom.
type neighbour struct {
	net.PacketConn
	t  *testing.T
	to net.Addr
	n  int
}

// withNeighbour starts an account that listens to 127.0.0.9 besides the registrar; slower divides what both may bring.
func withNeighbour(t *testing.T, slower int) (*peer, *house, *neighbour) {
	t.Helper()
	p, h := start(t, "udp", func(c *sip.Config) {
		tm := short
		tm.Slower = slower
		*c = c.WithTimers(tm)
		c.AcceptFrom = []netip.Prefix{netip.MustParsePrefix("127.0.0.9/32")}
	})
	c, err := net.ListenPacket("udp", "127.0.0.9:0")
	if err != nil {
		t.Skipf("127.0.0.9: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return p, h, &neighbour{PacketConn: c, t: t, to: net.UDPAddrFromAddrPort(h.acc.State().Local)}
}

func (n *neighbour) request(method, via string, headers ...string) string {
	n.n++
	if via == "" {
		via = n.LocalAddr().String() + ";rport"
	}
	head := append([]string{
		method + " sip:200@127.0.0.1 SIP/2.0", fmt.Sprintf("Via: SIP/2.0/UDP %s;branch=z9hG4bKn%d", via, n.n), "From: <sip:n@127.0.0.9>;tag=n",
		"To: <sip:200@127.0.0.1>", fmt.Sprintf("Call-ID: n%d", n.n), fmt.Sprintf("CSeq: %d %s", n.n, method),
	}, headers...)
	return strings.Join(head, "\r\n") + "\r\nContent-Length: 0\r\n\r\n"
}

func (n *neighbour) send(s string) {
	if _, err := n.WriteTo([]byte(s), n.to); err != nil {
		n.t.Fatal(err)
	}
}

// answer gives what comes within the limit, "" if nothing does.
func (n *neighbour) answer(limit time.Duration) string {
	b := make([]byte, 65535)
	if err := n.SetReadDeadline(time.Now().Add(limit)); err != nil {
		n.t.Fatal(err)
	}
	got, _, err := n.ReadFrom(b)
	if err != nil {
		return ""
	}
	return string(b[:got])
}

func TestFloodOfOneSourceCostsNobodyElse(t *testing.T) {
	p, h, n := withNeighbour(t, 50)
	for h.counter("datagrams_flood") < 300 {
		for range 20 {
			n.send(n.request("OPTIONS", ""))
		}
	}
	p.newDialog("beside").establish(sdpOne)
	if got := h.warned("more messages from there"); len(got) != 1 {
		t.Errorf("%d lines, want 1: %s", len(got), got)
	}
}

func TestScannerGetsNoAnswer(t *testing.T) {
	p, h, n := withNeighbour(t, 0)
	n.send(n.request("OPTIONS", "", "User-Agent: friendly-scanner"))
	n.send(n.request("OPTIONS", ""))
	if got := n.answer(5 * time.Second); !strings.Contains(got, "Call-ID: n2") {
		t.Errorf("the first answer is %q, want that to the second request", got)
	}
	if h.counter("datagrams_scanner") != 1 {
		t.Errorf("%d counted", h.counter("datagrams_scanner"))
	}
	// By the proxy it is a caller like others: a proxy that gets no answer would try again and again.
	d := p.newDialog("proxied")
	p.send(d.request("OPTIONS", "", "User-Agent: friendly-scanner"))
	if res := p.final(d.cseq("OPTIONS")); !res.is("200") {
		t.Errorf("got %q", res.start)
	}
}

func TestAnswerGoesToTheSourceWhateverViaSays(t *testing.T) {
	_, _, n := withNeighbour(t, 0)
	victim, err := net.ListenPacket("udp", "127.0.0.77:0")
	if err != nil {
		t.Skipf("127.0.0.77: %v", err)
	}
	defer victim.Close()
	for _, via := range []string{
		victim.LocalAddr().String() + ";rport", "127.0.0.9;rport;maddr=127.0.0.77;received=127.0.0.77", "victim.example.com;rport",
	} {
		n.send(n.request("OPTIONS", via))
		if got := n.answer(5 * time.Second); !strings.HasPrefix(got, "SIP/2.0 200") {
			t.Errorf("Via %s: got %q at the source", via, got)
		}
	}
	if err := victim.SetReadDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 2000)
	if got, _, err := victim.ReadFrom(b); err == nil {
		t.Errorf("sent to who did not ask: %s", b[:got])
	}
}

func TestNoAnswerIsTwiceItsRequest(t *testing.T) {
	_, _, n := withNeighbour(t, 0)
	for _, method := range []string{"OPTIONS", "INVITE", "BYE", "FOO", "REGISTER", "SUBSCRIBE", "NOTIFY", "CANCEL", "UPDATE"} {
		for _, sdp := range []string{"", "Accept: x/y", "Require: a, b, c, d, e, f"} {
			var req string
			if sdp == "" {
				req = n.request(method, "", "Max-Forwards: 70", "Contact: <sip:n@127.0.0.9>")
			} else {
				req = n.request(method, "", "Max-Forwards: 70", "Contact: <sip:n@127.0.0.9>", sdp)
			}
			if method == "INVITE" && sdp == "" {
				continue // that is a call
			}
			n.send(req)
			if got := n.answer(5 * time.Second); len(got) > 2*len(req) || got == "" {
				t.Errorf("%s: %d octets of answer to %d: %s", method, len(got), len(req), got)
			}
		}
	}
}

func TestMalformedMessageCostsNoFlow(t *testing.T) {
	for _, network := range []string{"tcp", "tls"} {
		p, h := start(t, network, nil)
		d, e := p.newDialog("bad"), p.newDialog("good")
		bad := strings.Replace(d.request("INVITE", sdpOne), "INVITE ", "INVITE  ", 1)
		p.send(bad + bad[:len(bad)-10] + "0123456789" + e.request("OPTIONS", ""))
		if res := p.next("400"); res.get("Call-Id") != "bad" || res.get("CSeq") != d.cseq("INVITE") || !strings.Contains(res.get("To"), "tag=") {
			t.Errorf("%s: got %s", network, res)
		}
		if res := p.final(e.cseq("OPTIONS")); !res.is("200") {
			t.Errorf("%s: the request after it: %q", network, res.start)
		}
		if h.counter("flows") != 1 || h.counter("requests_malformed") != 2 {
			t.Errorf("%s: %d flows, %d malformed, want 1 and 2", network, h.counter("flows"), h.counter("requests_malformed"))
		}
	}
}

func TestSlowSenderEndsItsFlow(t *testing.T) {
	for _, begun := range []string{"OPTIONS sip:200@", "OPTIONS sip:a SIP/2.0\r\nl: 60000\r\n\r\nx"} {
		p, h := start(t, "tcp", func(c *sip.Config) {
			tm := short
			tm.Message = 100 * time.Millisecond
			*c = c.WithTimers(tm)
		})
		p.send(p.newDialog("x").request("OPTIONS", "") + begun)
		p.next("200")
		eventually(t, func() bool { return h.counter("flows") == 2 && h.acc.State().Registered })
		p.newDialog("after").establish(sdpOne)
	}
}

// Each octet is a sign of life, and none of them is a message.
func TestSlowSenderThatNeverPausesEndsItsFlow(t *testing.T) {
	p, h := start(t, "tcp", func(c *sip.Config) {
		tm := short
		tm.Message = 200 * time.Millisecond
		*c = c.WithTimers(tm)
	})
	p.mu.Lock()
	write := p.flow // of this flow, not of the next
	p.mu.Unlock()
	write("OPTIONS sip:200@")
	eventually(t, func() bool { write("x"); return h.counter("flows") == 2 && h.acc.State().Registered })
	p.newDialog("after").establish(sdpOne)
}

func TestMessagesOnABusyStreamAreNotSlow(t *testing.T) {
	p, h := start(t, "tcp", func(c *sip.Config) {
		tm := short
		tm.Message = 400 * time.Millisecond
		*c = c.WithTimers(tm)
	})
	d := p.newDialog("busy")
	one := d.request("OPTIONS", "")
	rest := ""
	for began := time.Now(); time.Since(began) < 600*time.Millisecond; { // always in the middle of a message
		text := rest + strings.Replace(one, "z9hG4bK", "z9hG4bK"+fmt.Sprint(time.Since(began)), 1)
		half := len(text) - 20
		p.send(text[:half])
		rest = text[half:]
		p.nextOf(func(m *msg) bool { return m.is("200") || h.counter("flows") > 1 || rest != "" })
	}
	if n := h.counter("flows"); n != 1 {
		t.Errorf("%d flows", n)
	}
}

func TestEachPingIsAnswered(t *testing.T) {
	p, h := start(t, "tcp", nil)
	p.send("\r\n\r\n\r\n\r\n" + p.newDialog("x").request("OPTIONS", "")) // two in one segment, and a request
	p.next("200")
	eventually(t, func() bool { return p.crlfs() == 2 })
	if h.counter("flows") != 1 {
		t.Error("the flow is lost")
	}
}

func TestNobodyCanConnectToUs(t *testing.T) {
	for _, network := range []string{"tcp", "tls"} {
		_, h := start(t, network, nil)
		if c, err := net.DialTimeout("tcp", h.acc.State().Local.String(), time.Second); err == nil {
			_ = c.Close()
			t.Errorf("%s: something listens at %s", network, h.acc.State().Local)
		}
	}
}

func TestLimitsOfAMessage(t *testing.T) {
	networks(t, func(t *testing.T, network string) {
		p, h := start(t, network, nil)
		for name, extra := range map[string][]string{
			"headers":   strings.Split(strings.Repeat("X-A: b\n", 150), "\n")[:150],
			"header":    {"X-A: " + strings.Repeat("a", 9000)},
			"call-id":   {"Call-ID: " + strings.Repeat("a", 600)},
			"branch":    {"Via: SIP/2.0/UDP a;branch=" + strings.Repeat("a", 9000)},
			"forwards":  {"Max-Forwards: 300"},
			"from":      {"From: <sip:a@b>;tag=2"},
			"uri":       nil,
			"oversized": {"X-A: " + strings.Repeat("a", 30_000)},
		} {
			d := p.newDialog(name)
			text := d.request("OPTIONS", "", extra...)
			switch name {
			case "call-id":
				text = strings.Replace(text, "Call-ID: "+name+"\r\n", "", 1)
			case "forwards":
				text = strings.Replace(text, "Max-Forwards: 70\r\n", "", 1)
			case "uri":
				text = strings.Replace(text, "sip:200@", "sip:"+strings.Repeat("a", 9000)+"@", 1)
			}
			p.send(text)
			want := "400"
			if name == "uri" {
				want = "414"
			}
			if res := p.final(d.cseq("OPTIONS")); !res.is(want) {
				t.Errorf("%s: got %q, want %s", name, res.start, want)
			}
		}
		if h.counter("flows") != 1 {
			t.Error("the flow is lost")
		}
	})
}

func TestNothingOfAStrangerMovesTheTerminal(t *testing.T) {
	p, h := start(t, "udp", nil)
	d := p.newDialog("a\x1b[2Jb/../\xff\u202e")
	d.establish(strings.Replace(sdpOne, "s=x", "s=\x1b[2J", 1), "p-rc-api-ids: party-id=p\x1b[2J;session-id=s\x07")
	l := h.leg(0, func(l *leg) bool { return l.dialog != nil })
	h.set(func() {
		for _, s := range []string{l.inv.CallID, l.inv.From, l.inv.FromName, l.inv.Own.Party, l.inv.Own.Session, l.inv.RequestURI} {
			if strings.ContainsAny(s, "\x1b\x07\xff") {
				t.Errorf("control characters in %q", s)
			}
		}
	})
	d.ask("BYE", "", "Reason: SIP;text=\"\x1b[2J\x00\"")
	if c := h.ended(0); strings.ContainsAny(c.Text, "\x1b\x00") {
		t.Errorf("cause %q", c.Text)
	}
	for _, l := range h.logs.all() {
		if strings.ContainsAny(l, "\x1b\xff") {
			t.Errorf("control characters in %q", l)
		}
	}
}
