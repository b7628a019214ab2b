package sip

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// resolver is what we need of net.Resolver.
type resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
}

// target is one address to dial.
type target struct {
	proxy string // as configured
	host  string // that has the address
	addr  netip.AddrPort
	tier  int // a smaller one is preferred: place among the proxies, then the SRV priority
}

const (
	portTLS     = 5061
	portPlain   = 5060
	lookupLimit = 5 * time.Second
	maxTargets  = 16 // addresses of one proxy
)

// srvNames are the services of RFC 3263 section 4.1 by transport.
var srvNames = map[string][2]string{"tls": {"sips", "tcp"}, "tcp": {"sip", "tcp"}, "udp": {"sip", "udp"}}

// resolve finds the addresses of one proxy: an address or port given means that no SRV is asked (RFC 3263 section 4.2).
func resolve(ctx context.Context, r resolver, proxy, transport string) ([]target, error) {
	host, port, err := splitProxy(proxy)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, lookupLimit)
	defer cancel()
	if port == 0 && !isIP(host) {
		if ts := bySRV(ctx, r, proxy, host, transport); len(ts) > 0 {
			return ts, nil
		}
	}
	if port == 0 {
		port = portPlain
		if transport == "tls" {
			port = portTLS
		}
	}
	return byAddress(ctx, r, target{proxy: proxy, host: host}, host, port)
}

func bySRV(ctx context.Context, r resolver, proxy, host, transport string) []target {
	// Half of the time is left for the plain addresses: a server that swallows SRV questions must not keep us away.
	ctx, cancel := context.WithTimeout(ctx, lookupLimit/2)
	defer cancel()
	name := srvNames[transport]
	_, records, err := r.LookupSRV(ctx, name[0], name[1], host)
	if err != nil {
		return nil
	}
	var ts []target
	for _, s := range records {
		name := strings.TrimSuffix(s.Target, ".")
		if name == "" || len(ts) >= maxTargets {
			continue
		}
		more, err := byAddress(ctx, r, target{proxy: proxy, host: name, tier: int(s.Priority)}, name, s.Port)
		if err == nil {
			ts = append(ts, more...)
		}
	}
	return ts
}

func byAddress(ctx context.Context, r resolver, t target, host string, port uint16) ([]target, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		t.addr = netip.AddrPortFrom(a.Unmap(), port)
		return []target{t}, nil
	}
	addrs, err := r.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("resolve %s: %w", host, err)
	}
	// IPv4 first: what we advertise in SDP is IPv4 in most houses.
	slices.SortStableFunc(addrs, func(a, b netip.Addr) int { return b2i(a.Unmap().Is6()) - b2i(b.Unmap().Is6()) })
	var ts []target
	for _, a := range addrs[:min(len(addrs), maxTargets)] {
		t.addr = netip.AddrPortFrom(a.Unmap(), port)
		ts = append(ts, t)
	}
	if len(ts) == 0 {
		return nil, fmt.Errorf("resolve %s: no addresses", host)
	}
	return ts, nil
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// proxies remembers which addresses failed. Owned by the registrar loop.
type proxies struct {
	rest    time.Duration
	resting map[netip.AddrPort]time.Time
	last    netip.AddrPort // the one that worked
}

// order sorts targets: the one that works, then those that did not fail of late, as configured, then the others.
func (p *proxies) order(ts []target, now time.Time) []target {
	for a, until := range p.resting {
		if !now.Before(until) {
			delete(p.resting, a)
		}
	}
	rank := func(t target) int {
		_, rests := p.resting[t.addr]
		switch {
		case rests:
			return 2
		case t.addr == p.last:
			return 0
		}
		return 1
	}
	out := slices.Clone(ts)
	slices.SortStableFunc(out, func(a, b target) int { return rank(a) - rank(b) })
	return out
}

// rests says whether an address failed of late; order has forgotten those whose rest is over.
func (p *proxies) rests(a netip.AddrPort) bool {
	_, rests := p.resting[a]
	return rests
}

func (p *proxies) failed(a netip.AddrPort, now time.Time, least time.Duration) {
	if p.resting == nil {
		p.resting = make(map[netip.AddrPort]time.Time)
	}
	p.resting[a] = now.Add(max(p.rest, least))
	if p.last == a {
		p.last = netip.AddrPort{}
	}
}
