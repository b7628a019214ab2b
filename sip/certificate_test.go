package sip_test

import (
	"crypto/tls"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot/earshot/sip"
)

func TestBadCertificateIsOneClearErrorWithWhatToDo(t *testing.T) {
	now := time.Now()
	date := func(t time.Time) string { return t.UTC().Format("2006-01-02") }
	for name, c := range map[string]struct {
		from, until time.Duration // from now
		names       []string
		otherCA     bool
		reason      []string // what it must say
		hint        string
	}{
		"other name": {from: -time.Hour, until: time.Hour, names: []string{"evil.example.org", "sip:evil.example.org"},
			reason: []string{"names sip:evil.example.org, evil.example.org, want sip.example.com;", "CN=test CA", "valid until " + date(now.Add(time.Hour))},
			hint:   "set sip.outbound_proxy or sip.domain to a name that the certificate has, or have sip.example.com put into it"},
		"expired": {from: -100 * time.Hour, until: -50 * time.Hour, names: []string{"sip.example.com"},
			reason: []string{"certificate of sip.example.com: expired on " + date(now.Add(-50*time.Hour)), "names sip.example.com", "CN=test CA"},
			hint:   "must renew"},
		"not yet valid": {from: 50 * time.Hour, until: 100 * time.Hour, names: []string{"sip.example.com"},
			reason: []string{"not valid before " + date(now.Add(50*time.Hour))}, hint: "set this machine's clock: it says " + date(now)},
		"unknown issuer": {from: -time.Hour, until: time.Hour, names: []string{"sip.example.com"}, otherCA: true,
			reason: []string{"unknown authority", "names sip.example.com", "issued by CN=test CA"}, hint: "sip.tls.ca_file"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			pair, ca := issue(t, now.Add(c.from), now.Add(c.until), c.names...)
			if c.otherCA {
				_, ca = issue(t, now.Add(-time.Hour), now.Add(time.Hour), "x")
			}
			file := t.TempDir() + "/ca.pem"
			if err := os.WriteFile(file, ca, 0o600); err != nil {
				t.Fatal(err)
			}
			p := newPeer(t, "tls", "", &tls.Config{Certificates: []tls.Certificate{pair}})
			cfg := config(p, h).WithResolver(zone{addrs: map[string][]string{"sip.example.com": {"127.0.0.1"}}})
			cfg.Domain, cfg.TLS.CAFile = "sip.example.com", file
			cfg.OutboundProxies = []string{"sip.example.com:" + p.addr()[strings.LastIndex(p.addr(), ":")+1:]}
			h.run(cfg)
			eventually(t, func() bool { return h.acc.State().Status == "backoff" && h.counter("flows_failed") > 2 })
			s := h.acc.State()
			for _, want := range c.reason {
				if !strings.Contains(s.Reason, want) {
					t.Errorf("reason %q, want %q in it", s.Reason, want)
				}
			}
			if !strings.Contains(s.Hint, c.hint) {
				t.Errorf("hint %q, want %q in it", s.Hint, c.hint)
			}
			var loud []string
			for _, l := range h.logs.all() {
				if strings.Contains(l, "level=ERROR") || strings.Contains(l, "level=WARN") {
					loud = append(loud, l)
				}
			}
			if len(loud) != 1 || !strings.Contains(loud[0], "hint=") || !strings.Contains(loud[0], "level=ERROR") {
				t.Errorf("log %q, want one error with its hint", loud)
			}
		})
	}
}

func TestSNIIsTheProxysNameOrTheDomain(t *testing.T) {
	for name, c := range map[string]struct{ proxy, domain, want string }{
		"name":    {"edge.example.com", "sip.example.com", "edge.example.com"},
		"address": {"127.0.0.1", "sip.example.com", "sip.example.com"},
		"nothing": {"127.0.0.1", "127.0.0.1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			conf, ca := certificates(t, c.proxy)
			var got atomic.Pointer[string]
			pair := conf.Certificates[0]
			p := newPeer(t, "tls", "", &tls.Config{GetCertificate: func(i *tls.ClientHelloInfo) (*tls.Certificate, error) {
				got.Store(&i.ServerName)
				return &pair, nil
			}})
			cfg := config(p, h).WithResolver(zone{addrs: map[string][]string{c.proxy: {"127.0.0.1"}}})
			cfg.Domain, cfg.TLS.CAFile = c.domain, ca
			cfg.OutboundProxies = []string{c.proxy + p.addr()[strings.LastIndex(p.addr(), ":"):]}
			h.run(cfg)
			h.registered()
			if *got.Load() != c.want {
				t.Errorf("got %q, want %q", *got.Load(), c.want)
			}
		})
	}
}

func TestNothingOlderThanTLS12IsSpoken(t *testing.T) {
	for name, limit := range map[string]uint16{"1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			conf, ca := certificates(t, "127.0.0.1")
			conf.MinVersion, conf.MaxVersion = tls.VersionTLS10, limit //nolint:gosec // that is the test
			p := newPeer(t, "tls", "", conf)
			cfg := config(p, h)
			cfg.TLS.CAFile = ca
			h.run(cfg)
			if limit == tls.VersionTLS12 {
				h.registered()
				return
			}
			eventually(t, func() bool { return h.acc.State().Status == "backoff" })
			if got := h.acc.State().Reason; !strings.Contains(got, "protocol version") {
				t.Errorf("reason %q, want the protocol version in it", got)
			}
		})
	}
}

func TestPortThatSpeaksNoTLSIsNamed(t *testing.T) {
	h := newHouse(t)
	p := newPeer(t, "tcp", "", nil)
	cfg := config(p, h)
	cfg.Transport = "tls"
	// What comes looks like no SIP either; the peer says so as a plain server would.
	p.greet("SIP/2.0 400 Bad Request\r\n\r\n")
	h.run(cfg)
	eventually(t, func() bool { return h.acc.State().Hint != "" })
	if s := h.acc.State(); !strings.Contains(s.Hint, "does not speak TLS") {
		t.Errorf("reason %q, hint %q", s.Reason, s.Hint)
	}
}

func TestReplacedCertificateNeedsNoRestart(t *testing.T) {
	for name, c := range map[string]struct{ other bool }{"by the same name": {false}, "by another, then mended": {true}} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			now := time.Now()
			pair, ca := issue(t, now.Add(-time.Hour), now.Add(time.Hour), "127.0.0.1")
			var present atomic.Pointer[tls.Certificate]
			present.Store(&pair)
			file := t.TempDir() + "/ca.pem"
			write := func(pem []byte) {
				t.Helper()
				if err := os.WriteFile(file, pem, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write(ca)
			p := newPeer(t, "tls", "", &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return present.Load(), nil }})
			cfg := config(p, h)
			cfg.TLS = sip.TLS{CAFile: file}
			h.run(cfg)
			h.registered()
			d := p.newDialog("tls")
			d.establish(sdpOne)
			h.leg(0, func(l *leg) bool { return l.dialog != nil })
			named := "127.0.0.1"
			if c.other {
				named = "evil.example.org"
			}
			next, nextCA := issue(t, now.Add(-time.Hour), now.Add(time.Hour), named)
			write(append(append([]byte{}, ca...), nextCA...)) // its authority is another one too
			present.Store(&next)
			p.cut()
			if c.other {
				eventually(t, func() bool { return strings.Contains(h.acc.State().Reason, "names evil.example.org") })
				present.Store(&pair)
			}
			h.heal(p)
			if res := d.ask("BYE", ""); !res.is("200") {
				t.Errorf("BYE: %q", res.start)
			}
			if c := h.ended(0); c.Code != "hangup" {
				t.Errorf("cause %+v", c)
			}
		})
	}
}

// heal answers the re-INVITE that comes on the new flow.
func (h *house) heal(p *peer) {
	h.t.Helper()
	re := p.next("INVITE")
	re.write(re.answer("200 OK", sdpOne, "Contact: <sip:108@"+p.addr()+">", "Content-Type: application/sdp"))
	p.next("ACK")
}

func TestCAFileThatBreaksLaterIsToldAndTheOldOneCounts(t *testing.T) {
	h := newHouse(t)
	conf, file := certificates(t, "127.0.0.1")
	p := newPeer(t, "tls", "", conf)
	cfg := config(p, h)
	cfg.TLS.CAFile = file
	h.run(cfg)
	h.registered()
	if err := os.WriteFile(file, []byte("half a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.cut()
	eventually(t, func() bool { return h.counter("flows") == 2 && h.acc.State().Registered })
	var told bool
	for _, l := range h.logs.all() {
		told = told || strings.Contains(l, "level=ERROR") && strings.Contains(l, "ca file not read")
	}
	if !told {
		t.Error("not told")
	}
}

func TestRefusedConnectionIsAWarningWithWhereToLook(t *testing.T) {
	h := newHouse(t)
	p := newPeer(t, "tcp", "", nil)
	cfg := config(p, h)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg.OutboundProxies = []string{l.Addr().String()}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	h.run(cfg)
	eventually(t, func() bool { return h.acc.State().Status == "backoff" })
	if s := h.acc.State(); !strings.Contains(s.Hint, "nothing listens there") {
		t.Errorf("reason %q, hint %q", s.Reason, s.Hint)
	}
	eventually(t, func() bool {
		return slices.ContainsFunc(h.logs.all(), func(l string) bool {
			return strings.Contains(l, "level=WARN") && strings.Contains(l, "registration failed") && strings.Contains(l, "nothing listens there")
		})
	})
}
