package sip_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/sip"
)

const challenge2069 = `WWW-Authenticate: Digest realm="127.0.0.1", nonce="XXvrW1176i9sn4clcQVdEk6ezAYxEy/P"`

// rfc2069 asks for a digest without qop, as RingCentral does, and checks it.
func rfc2069(password string) func(*msg) string {
	return func(m *msg) string {
		a := params(m.get("Authorization"))
		want := md5hex(md5hex("802:127.0.0.1:"+password) + ":" + a["nonce"] + ":" + md5hex("REGISTER:sip:127.0.0.1"))
		if a["response"] != want || a["uri"] != "sip:127.0.0.1" || a["username"] != "802" || a["qop"] != "" || a["cnonce"] != "" {
			return m.answer("401 Unauthorized", "", challenge2069)
		}
		return m.answer("200 OK", "", "Contact: "+m.get("Contact")+";expires=600")
	}
}

func TestRegisterOverEveryTransport(t *testing.T) {
	networks(t, func(t *testing.T, network string) {
		h := newHouse(t)
		conf, ca := certificates(t, "127.0.0.1")
		p := newPeer(t, network, "", conf)
		p.onRegister(rfc2069("s3cret-pw"))
		c := config(p, h)
		c.TLS.CAFile = ca
		h.run(c)
		first, second := p.next("REGISTER"), p.next("REGISTER")
		if first.get("Authorization") != "" || second.get("Authorization") == "" {
			t.Errorf("authorization: %q, then %q", first.get("Authorization"), second.get("Authorization"))
		}
		if first.start != "REGISTER sip:127.0.0.1 SIP/2.0" {
			t.Errorf("start line %q", first.start)
		}
		if first.get("Call-Id") != second.get("Call-Id") || first.get("From") != second.get("From") {
			t.Error("Call-ID or From differ")
		}
		var a, b int
		_, _ = fmt.Sscan(first.get("Cseq"), &a)
		_, _ = fmt.Sscan(second.get("Cseq"), &b)
		if b != a+1 {
			t.Errorf("CSeq %d, then %d", a, b)
		}
		h.registered()
		local := h.acc.State().Local.String()
		upper := strings.ToUpper(network)
		for name, want := range map[string]string{
			"Contact":   `<sip:200@` + local + `;transport=` + upper + `;ob>;reg-id=1;+sip.instance="<urn:uuid:4b1c0000-0000-4000-8000-000000000001>"`,
			"Supported": "path, outbound", "To": "<sip:200@127.0.0.1>", "Expires": "3600", "Max-Forwards": "70", "User-Agent": "earshot",
		} {
			if got := second.get(name); got != want {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
		via := second.get("Via")
		if !strings.HasPrefix(via, "SIP/2.0/"+upper+" "+local+";rport;branch=z9hG4bK") || strings.HasSuffix(via, ";alias") != (network != "udp") {
			t.Errorf("Via: %q", via)
		}
		if network != "udp" && second.from != local {
			t.Errorf("came from %s, state says %s", second.from, local)
		}
	})
}

func TestRegisterWithQop(t *testing.T) {
	h := newHouse(t)
	p := newPeer(t, "tcp", "", nil)
	counts := make(chan string, 100)
	p.onRegister(func(m *msg) string {
		a := params(m.get("Proxy-Authorization"))
		counts <- a["nc"]
		want := md5hex(md5hex("802:r:s3cret-pw") + ":n1:" + a["nc"] + ":" + a["cnonce"] + ":auth:" + md5hex("REGISTER:sip:127.0.0.1"))
		if a["response"] != want {
			return m.answer("407 Proxy Authentication Required", "", `Proxy-Authenticate: Digest realm="r", nonce="n1", qop="auth-int, auth", algorithm=MD5, opaque="o"`)
		}
		if a["opaque"] != "o" {
			return m.answer("403 Forbidden", "")
		}
		return m.answer("200 OK", "", "Contact: "+m.get("Contact")+";expires=1")
	})
	h.run(config(p, h))
	h.registered()
	// The refresh answers the remembered nonce with a higher count, without being asked.
	for _, want := range []string{"", "00000001", "00000002"} {
		select {
		case got := <-counts:
			if got != want {
				t.Errorf("nc: got %q, want %q", got, want)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("no REGISTER")
		}
	}
}

func TestForeignContactOnlyCountsAsRegistered(t *testing.T) {
	h := newHouse(t)
	p := newPeer(t, "udp", "", nil)
	p.onRegister(func(m *msg) string {
		return m.answer("200 OK", "", "Contact: <sip:200@10.128.0.4:52152;transport=TLS;ob>;expires=182;q=0")
	})
	h.run(config(p, h))
	h.registered()
	s := h.acc.State()
	if in := time.Until(s.NextTry); in > 31*time.Second {
		t.Errorf("next REGISTER in %v, want 30 s at most", in)
	}
	if h.counter("foreign_bindings") == 0 {
		t.Error("not counted")
	}
}

func TestTooBriefIntervalIsRaised(t *testing.T) {
	h := newHouse(t)
	p := newPeer(t, "udp", "", nil)
	p.onRegister(func(m *msg) string {
		if m.get("Expires") != "7200" {
			return m.answer("423 Interval Too Brief", "", "Min-Expires: 7200")
		}
		return m.answer("200 OK", "", "Expires: 7200", "Contact: "+m.get("Contact"))
	})
	h.run(config(p, h))
	h.registered()
}

func TestWrongPasswordIsToldLoudlyAndNotHammered(t *testing.T) {
	h := newHouse(t)
	p := newPeer(t, "udp", "", nil)
	p.onRegister(rfc2069("another"))
	c := config(p, h)
	c.RingCentral = false
	h.run(c)
	eventually(t, func() bool { return h.acc.State().Status == "rejected" })
	s := h.acc.State()
	if s.Registered || s.Code != 401 || time.Until(s.NextTry) < 2*time.Second {
		t.Errorf("got %+v, want the next try in 3 s (300 short seconds)", s)
	}
	if n := h.counter("registers_sent"); n != 2 {
		t.Errorf("%d REGISTERs, want 2", n)
	}
	var loud int
	for _, l := range h.logs.all() {
		if strings.Contains(l, "level=ERROR") && strings.Contains(l, "check user name") {
			loud++
		}
		if strings.Contains(l, "s3cret-pw") || strings.Contains(l, "response=") {
			t.Errorf("a secret in the log: %s", l)
		}
	}
	if loud != 1 {
		t.Errorf("%d loud lines, want 1: %v", loud, h.logs.all())
	}
}

func TestForbiddenByRingCentral(t *testing.T) {
	for status, wait := range map[string]time.Duration{
		"403 Forbidden": 3 * time.Second,
		"403 Forbidden, instance id is intercepted by another registration": 600 * time.Millisecond,
		"603 Too Many Contacts": 600 * time.Millisecond,
	} {
		t.Run(status, func(t *testing.T) {
			h := newHouse(t)
			p := newPeer(t, "udp", "", nil)
			p.onRegister(func(m *msg) string { return m.answer(status, "") })
			h.run(config(p, h))
			eventually(t, func() bool { return h.acc.State().Status == "rejected" })
			s := h.acc.State()
			if got := s.NextTry.Sub(s.Since); got < wait-50*time.Millisecond || got > wait+50*time.Millisecond {
				t.Errorf("waits %v, want %v", got, wait)
			}
			if _, text, _ := strings.Cut(status, " "); s.Reason != text {
				t.Errorf("reason %q", s.Reason)
			}
		})
	}
}

func TestRegistrarThatIsDownAtStartIsAwaited(t *testing.T) {
	networks(t, func(t *testing.T, network string) {
		if network == "tls" {
			t.Skip("as tcp")
		}
		// A port that nobody listens on, until later.
		tmp := newPeer(t, network, "", nil)
		addr := tmp.addr()
		tmp.close()
		h := newHouse(t)
		c := config(tmp, h)
		h.run(c)
		failed := func() (n int) {
			for _, l := range h.logs.all() {
				if strings.Contains(l, "registration failed") {
					n++
				}
			}
			return n
		}
		eventually(t, func() bool { return h.acc.State().Status == "backoff" && h.acc.State().Reason != "" && failed() > 0 })
		if n := failed(); n != 1 {
			t.Errorf("%d lines, want 1: %v", n, h.logs.all())
		}
		p := newPeer(t, network, addr, nil)
		h.registered()
		p.newDialog("x").establish(sdpOne)
	})
}

func TestUnregisterAtTheEnd(t *testing.T) {
	h := newHouse(t)
	p := newPeer(t, "udp", "", nil)
	p.onRegister(rfc2069("s3cret-pw"))
	a, err := sip.New(config(p, h))
	if err != nil {
		t.Fatal(err)
	}
	h.acc = a
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	h.registered()
	d := p.newDialog("last")
	d.establish(sdpOne)
	h.leg(0, func(l *leg) bool { return l.dialog != nil })
	cancel()
	bye := p.next("BYE")
	if bye.get("Call-Id") != "last" {
		t.Errorf("BYE: %s", bye)
	}
	un := p.nextOf(func(m *msg) bool { return m.is("REGISTER") && m.get("Expires") == "0" })
	if !strings.Contains(un.get("Contact"), ";expires=0") || strings.Contains(un.get("Contact"), "*") {
		t.Errorf("Contact: %q", un.get("Contact"))
	}
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	if s := a.State(); s.Status != "unregistered" || s.Registered {
		t.Errorf("state %+v", s)
	}
	if c := h.ended(0); c.Code != "shutdown" {
		t.Errorf("cause %+v", c)
	}
}

func TestNextProxyIsTakenWhenOneIsDown(t *testing.T) {
	h := newHouse(t)
	dead := newPeer(t, "tcp", "", nil)
	addr := dead.addr()
	dead.close()
	p := newPeer(t, "tcp", "", nil)
	c := config(p, h)
	c.OutboundProxies = []string{addr, p.addr()}
	h.run(c)
	h.registered()
	if got := h.acc.State().Proxy; got != p.addr() {
		t.Errorf("proxy %s, want %s", got, p.addr())
	}
}

func TestProxyThatIsUnwellIsLeft(t *testing.T) {
	h := newHouse(t)
	bad, p := newPeer(t, "tcp", "", nil), newPeer(t, "tcp", "127.0.0.2:0", nil)
	bad.onRegister(func(m *msg) string { return m.answer("503 Service Unavailable", "", "Retry-After: 600") })
	c := config(p, h)
	c.OutboundProxies = []string{bad.addr(), p.addr()}
	h.run(c)
	h.registered()
	if got := h.acc.State().Proxy; got != p.addr() {
		t.Errorf("proxy %s, want %s", got, p.addr())
	}
}

func TestCertificates(t *testing.T) {
	for name, c := range map[string]struct {
		names    []string
		insecure bool
		otherCA  bool
		want     string // part of the reason; "" means registered
	}{
		"address":     {names: []string{"127.0.0.1"}},
		"sip uri":     {names: []string{"sip:sip.example.com"}},
		"sip domain":  {names: []string{"sip.example.com"}},
		"wildcard":    {names: []string{"*.example.com"}},
		"sip user":    {names: []string{"sip:200@sip.example.com"}, want: "want 127.0.0.1 or sip.example.com"},
		"other name":  {names: []string{"evil.example.org"}, want: "names evil.example.org, want 127.0.0.1 or sip.example.com"},
		"other ca":    {names: []string{"127.0.0.1"}, otherCA: true, want: "unknown authority"},
		"insecure":    {names: []string{"evil.example.org"}, insecure: true},
		"no names":    {want: "names CN=leaf"},
		"insecure ca": {names: []string{"x"}, otherCA: true, insecure: true},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			conf, ca := certificates(t, c.names...)
			if c.otherCA {
				_, ca = certificates(t, "127.0.0.1")
			}
			p := newPeer(t, "tls", "", conf)
			cfg := config(p, h)
			cfg.Domain = "sip.example.com"
			cfg.TLS = sip.TLS{CAFile: ca, InsecureSkipVerify: c.insecure}
			h.run(cfg)
			if c.want == "" {
				h.registered()
				return
			}
			eventually(t, func() bool { return h.acc.State().Status == "backoff" })
			if got := h.acc.State().Reason; !strings.Contains(got, c.want) {
				t.Errorf("reason %q, want %q in it", got, c.want)
			}
		})
	}
}

func TestOuterAddressGoesIntoTheContactOnUDP(t *testing.T) {
	h := newHouse(t)
	p := newPeer(t, "udp", "", nil)
	p.onRegister(func(m *msg) string {
		res := m.answer("200 OK", "", "Contact: "+m.get("Contact")+";expires=600")
		return strings.Replace(res, ";rport", ";rport=1234;received=192.0.2.7", 1)
	})
	c := config(p, h)
	c.RingCentral = false
	h.run(c)
	p.nextOf(func(m *msg) bool {
		return m.is("REGISTER") && strings.Contains(m.get("Contact"), "<sip:200@192.0.2.7:1234;")
	})
}

func TestListenSocketIsUsed(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := pc.LocalAddr().String()
	_ = pc.Close()
	p, h := start(t, "udp", func(c *sip.Config) { c.Listen = addr })
	if got := h.acc.State().Local.String(); got != addr {
		t.Errorf("local %s, want %s", got, addr)
	}
	if m := p.next("REGISTER"); m.from != addr {
		t.Errorf("came from %s", m.from)
	}
}

func TestWildcardListenTellsTheRoutesAddress(t *testing.T) {
	p, h := start(t, "udp", func(c *sip.Config) { c.Listen = "0.0.0.0:0" })
	if got := h.acc.State().Local; got.Addr().String() != "127.0.0.1" || got.Port() == 0 {
		t.Errorf("local %s", got)
	}
	p.newDialog("w").establish(sdpOne)
}
