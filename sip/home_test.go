package sip_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot/earshot/sip"
)

// zone is a name server of the tests.
type zone struct {
	addrs map[string][]string
	srv   map[string][]*net.SRV
}

func (z zone) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	var out []netip.Addr
	for _, a := range z.addrs[host] {
		out = append(out, netip.MustParseAddr(a))
	}
	if len(out) == 0 {
		return nil, errors.New("no such host")
	}
	return out, nil
}

func (z zone) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	if s := z.srv["_"+service+"._"+proto+"."+name]; s != nil {
		return "", s, nil
	}
	return "", nil, errors.New("no such record")
}

func port(p *peer) uint16 {
	_, text, _ := net.SplitHostPort(p.addr())
	n, _ := strconv.ParseUint(text, 10, 16)
	return uint16(n)
}

// waiting gives an address where nobody listens yet, and a function that listens there.
func waiting(t *testing.T, network, ip string) (addr string, open func(registr func(*msg) string) *peer) {
	t.Helper()
	tmp := newPeer(t, network, ip+":0", nil)
	addr = tmp.addr()
	tmp.close()
	return addr, func(registr func(*msg) string) *peer { return newPeerThat(t, network, addr, nil, registr) }
}

// between is the configuration of an account that prefers addr to second, with a short rest for who failed.
func between(h *house, addr string, second *peer) sip.Config {
	tm := short
	tm.Rest = 100 * time.Millisecond
	c := config(second, h).WithTimers(tm)
	c.OutboundProxies = []string{addr, second.addr()}
	return c
}

func TestReturnsToTheFirstProxyBetweenCalls(t *testing.T) {
	for _, network := range []string{"tcp", "udp"} {
		t.Run(network, func(t *testing.T) {
			h := newHouse(t)
			addr, open := waiting(t, network, "127.0.0.1")
			second := newPeer(t, network, "127.0.0.2:0", nil)
			h.run(between(h, addr, second))
			h.registered()
			d := second.newDialog("first")
			d.establish(sdpOne)
			first := open(nil)
			// A minute is 600 ms here, and passes while the call is up.
			since := h.acc.State().Since
			eventually(t, func() bool { return time.Since(since) > time.Second })
			if got := h.acc.State().Proxy; got != second.addr() {
				t.Fatalf("in the call: proxy %s, want %s", got, second.addr())
			}
			if res := d.ask("BYE", ""); !res.is("200") {
				t.Fatalf("BYE: %q", res.start)
			}
			eventually(t, func() bool { return h.acc.State().Proxy == addr })
			if s := h.acc.State(); !s.Registered || s.Since != since {
				t.Errorf("state %+v, want registered all the time since %v", s, since)
			}
			first.newDialog("second").establish(sdpOne)
			if n := h.counter("flows_lost"); n != 0 {
				t.Errorf("%d flows lost, want 0: the old one was left", n)
			}
		})
	}
}

// moving is a zone that another takes the place of.
type moving struct{ atomic.Pointer[zone] }

func (m *moving) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	return m.Load().LookupNetIP(ctx, network, host)
}

func (m *moving) LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error) {
	return m.Load().LookupSRV(ctx, service, proto, name)
}

// The names of all proxies are looked up when a better one is tried: the registered flow is served all the same.
func TestFlowIsHeardWhateverItsNameMeansLater(t *testing.T) {
	for name, later := range map[string][]string{"another address": {"127.0.0.7"}, "nothing": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			second := newPeer(t, "udp", "127.0.0.2:0", nil)
			var names moving
			names.Store(&zone{addrs: map[string][]string{"two.example.com": {"127.0.0.2"}}})
			c := between(h, "127.0.0.1:9", second).WithResolver(&names)
			c.OutboundProxies[1] = "two.example.com:" + strconv.Itoa(int(port(second)))
			h.run(c)
			h.registered()
			names.Store(&zone{addrs: map[string][]string{"two.example.com": later}})
			n := h.counter("registers_unanswered")
			eventually(t, func() bool { return h.counter("registers_unanswered") > n })
			second.newDialog("x").establish(sdpOne)
		})
	}
}

func TestReturnsToTheFirstPriorityOfOneDomain(t *testing.T) {
	h := newHouse(t)
	addr, open := waiting(t, "tcp", "127.0.0.1")
	first := netip.MustParseAddrPort(addr)
	second := newPeer(t, "tcp", "127.0.0.2:0", nil)
	z := zone{
		addrs: map[string][]string{"a.example.com": {"127.0.0.1"}, "b.example.com": {"127.0.0.2"}},
		srv: map[string][]*net.SRV{"_sip._tcp.example.com": {
			{Target: "a.example.com.", Port: first.Port(), Priority: 10}, {Target: "b.example.com.", Port: port(second), Priority: 20},
		}},
	}
	c := between(h, addr, second).WithResolver(z)
	c.OutboundProxies = []string{"example.com"}
	h.run(c)
	h.registered()
	away := h.acc.State().Local
	p := open(nil)
	eventually(t, func() bool { return h.acc.State().Local != away }) // it is home once its REGISTER is answered, not before
	p.newDialog("home").establish(sdpOne)
}

func TestFlowThatWasLeftIsHeardForAWhile(t *testing.T) {
	h := newHouse(t)
	addr, open := waiting(t, "tcp", "127.0.0.1")
	second := newPeer(t, "tcp", "127.0.0.2:0", nil)
	h.run(between(h, addr, second))
	h.registered()
	late := second.newDialog("late")
	first := open(nil)
	first.next("REGISTER")
	eventually(t, func() bool { return h.acc.State().Proxy == addr })
	late.establish(sdpOne) // was on its way
	h.leg(0, func(l *leg) bool { return l.dialog != nil })
	if res := late.ask("BYE", ""); !res.is("200") {
		t.Errorf("BYE: %q", res.start)
	}
	h.ended(0)
	// Then it is closed.
	second.mu.Lock()
	conns := second.conns
	second.mu.Unlock()
	if len(conns) != 1 {
		t.Fatalf("%d connections, want 1", len(conns))
	}
	eventually(t, func() bool { return second.gone(conns[0]) })
}

func TestFirstProxyThatRefusesLeavesUsWhereWeAre(t *testing.T) {
	for _, network := range []string{"tcp", "udp"} {
		t.Run(network, func(t *testing.T) {
			h := newHouse(t)
			addr, open := waiting(t, network, "127.0.0.1")
			second := newPeer(t, network, "127.0.0.2:0", nil)
			h.run(between(h, addr, second))
			h.registered()
			since := h.acc.State().Since
			first := open(func(m *msg) string { return m.answer("503 Service Unavailable", "") })
			first.next("REGISTER")
			second.newDialog("x").establish(sdpOne)
			if s := h.acc.State(); !s.Registered || s.Proxy != second.addr() || s.Since != since {
				t.Errorf("state %+v, want registered at %s since %v", s, second.addr(), since)
			}
		})
	}
}

func TestEveryAddressOfEveryProxyIsTriedInOrder(t *testing.T) {
	// SRV with two priorities; the target of the first has an IPv4 and an IPv6 address. Only the last one listens.
	h := newHouse(t)
	last := newPeer(t, "tcp", "127.0.0.3:0", nil)
	z := zone{
		addrs: map[string][]string{"a.example.com": {"::1", "127.0.0.1"}, "b.example.com": {"127.0.0.2", "127.0.0.3"}},
		srv:   map[string][]*net.SRV{"_sip._tcp.example.com": {{Target: "a.example.com.", Port: port(last), Priority: 1}, {Target: "b.example.com.", Port: port(last), Priority: 2}}},
	}
	c := config(last, h).WithResolver(z)
	c.OutboundProxies = []string{"127.0.0.9:1", "example.com"}
	h.run(c)
	h.registered()
	if s := h.acc.State(); s.Proxy != "example.com" || h.counter("flows_failed") != 4 {
		t.Errorf("proxy %s after %d failed flows; want example.com after 4", s.Proxy, h.counter("flows_failed"))
	}
}

func TestRedirectionIsFollowedToAConfiguredProxyOnly(t *testing.T) {
	for name, c := range map[string]struct {
		status, to string // to: %s is the other's port
		follow     bool
	}{
		"302":             {"302 Moved Temporarily", "<sip:127.0.0.2:%s;transport=tcp>", true},
		"301":             {"301 Moved Permanently", "<sip:127.0.0.2:%s>", true},
		"305":             {"305 Use Proxy", "<sip:127.0.0.2:%s;lr>", true},
		"a stranger":      {"302 Moved Temporarily", "<sip:127.0.0.3:%s>", false},
		"other transport": {"302 Moved Temporarily", "<sip:127.0.0.2:%s;transport=udp>", false},
		"nowhere":         {"302 Moved Temporarily", "<sip:200@>", false},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			first, other := newPeer(t, "tcp", "", nil), newPeer(t, "tcp", "127.0.0.2:0", nil)
			stranger := newPeer(t, "tcp", "127.0.0.3:"+strconv.Itoa(int(port(other))), nil)
			to := strings.Replace(c.to, "%s", strconv.Itoa(int(port(other))), 1)
			first.onRegister(func(m *msg) string { return m.answer(c.status, "", "Contact: "+to) })
			cfg := config(first, h)
			cfg.OutboundProxies = []string{first.addr(), "127.0.0.2:1"} // the host counts
			h.run(cfg)
			if !c.follow {
				eventually(t, func() bool { return h.acc.State().Code > 300 && h.counter("registers_refused") > 1 })
			} else {
				h.registered()
				if got := h.acc.State().Proxy; got != other.addr() {
					t.Errorf("proxy %s, want %s", got, other.addr())
				}
			}
			if len(stranger.in) != 0 {
				t.Error("the stranger was asked")
			}
		})
	}
}

func TestRedirectionInACircleIsFollowedOnce(t *testing.T) {
	h := newHouse(t)
	p := newPeer(t, "tcp", "", nil)
	p.onRegister(func(m *msg) string { return m.answer("302 Moved", "", "Contact: <sip:"+p.addr()+">") })
	c := config(p, h)
	c.RingCentral = false
	h.run(c)
	eventually(t, func() bool { return h.acc.State().Status == "backoff" && h.acc.State().Code == 302 })
	if n := h.counter("registers_sent"); n != 2 {
		t.Errorf("%d REGISTERs before we wait, want 2", n)
	}
}

func TestSRVTargetIsNoNameForTheCertificate(t *testing.T) {
	for name, c := range map[string]struct {
		named string
		ok    bool
	}{
		"the domain": {"example.com", true}, "the sip uri of the domain": {"sip:example.com", true}, "the target": {"a.example.net", false},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			conf, ca := certificates(t, c.named)
			p := newPeer(t, "tls", "", conf)
			cfg := config(p, h).WithResolver(zone{
				addrs: map[string][]string{"a.example.net": {"127.0.0.1"}},
				srv:   map[string][]*net.SRV{"_sips._tcp.example.com": {{Target: "a.example.net.", Port: port(p)}}},
			})
			cfg.Domain, cfg.OutboundProxies, cfg.TLS = "example.com", nil, sip.TLS{CAFile: ca}
			h.run(cfg)
			if c.ok {
				h.registered()
				return
			}
			eventually(t, func() bool { return h.acc.State().Status == "backoff" })
			if got := h.acc.State().Reason; !strings.Contains(got, "names a.example.net, want example.com;") {
				t.Errorf("reason %q", got)
			}
		})
	}
}
