package media

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

const (
	// portRest is how long a port that was closed is left alone while others are free: packets of the old call still
	// come to it.
	portRest = 10 * time.Second
	// kernelTries is how often the kernel is asked for a pair whose neighbour is free.
	kernelTries = 64
)

// portPair is a track's sockets: RTP on an even port, RTCP on the odd one after it (RFC 3550 section 11); with Mux one
// socket, and rtcp is nil.
type portPair struct {
	rtp, rtcp receiver
	route     netip.Addr // what to tell where the bound address is unspecified
}

// portPool knows which ports are taken and which rest. It is asked once per track.
type portPool struct {
	// Set once, then constant.
	min, max int // of even ports; 0: the kernel chooses
	listen   func(at netip.AddrPort, buffer int) (receiver, error)

	mu sync.Mutex
	// mu guards the fields below, by even port.
	taken map[int]bool
	freed map[int]time.Duration
	next  int
}

func newPortPool(lo, hi uint16) *portPool {
	p := &portPool{listen: listen, taken: map[int]bool{}, freed: map[int]time.Duration{}}
	if lo != 0 {
		p.min, p.max = evenPort(lo), (int(hi)-1)&^1
		// Somewhere in the range: after a crash the far side goes on sending to the ports that the dead process had.
		p.next = p.min + 2*rand.IntN((p.max-p.min)/2+1)
	}
	return p
}

// bind opens sockets on the address that the plan asks for, with room for so many octets.
func (e *Engine) bind(p Plan, buffer int) (portPair, error) {
	at, route, err := e.listenAddress(p)
	if err != nil {
		return portPair{}, err
	}
	var pair portPair
	if e.ports.min == 0 {
		pair, err = e.ports.bindAny(at, p.Mux, buffer, e.Now())
	} else {
		pair, err = e.ports.bindRange(at, p.Mux, buffer, e.Now())
	}
	pair.route = route
	return pair, err
}

// listenAddress is the address to bind, and the one to tell if that is unspecified.
func (e *Engine) listenAddress(p Plan) (at, route netip.Addr, err error) {
	at = e.cfg.ListenIP
	if at.IsValid() && !at.IsUnspecified() {
		if at.Is6() != p.IPv6 {
			return at, at, fmt.Errorf("listen ip: got %v, want an address with IPv6 %v", at, p.IPv6)
		}
		return at, at, nil
	}
	if !e.cfg.AdvertiseIP.IsValid() || !at.IsValid() {
		if route, err = routeTo(p.Toward.Unmap(), p.IPv6); err != nil {
			return at, route, err
		}
	}
	switch {
	case !at.IsValid():
		at = route
	case p.IPv6:
		at = netip.IPv6Unspecified()
	default:
		at = netip.IPv4Unspecified()
	}
	return at, route, nil
}

// routeTo is our address on the way to another: what the kernel binds a connected UDP socket to. Nothing is sent.
func routeTo(a netip.Addr, ipv6 bool) (netip.Addr, error) {
	if !a.IsValid() || a.Is6() != ipv6 {
		return netip.Addr{}, fmt.Errorf("toward: got %v, want an address with IPv6 %v, or a listen ip", a, ipv6)
	}
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 9))) // discard, RFC 863
	if err != nil {
		return netip.Addr{}, fmt.Errorf("route to %v: %w", a, err)
	}
	defer func() { _ = c.Close() }()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}

// bindRange looks through the range from where the last search ended; first among the ports that have rested.
func (p *portPool) bindRange(at netip.Addr, mux bool, buffer int, now time.Duration) (portPair, error) {
	pairs := (p.max-p.min)/2 + 1
	for _, resting := range [...]bool{false, true} {
		for range pairs {
			port, ok := p.reserve(resting, now)
			if !ok {
				continue
			}
			pair, err := p.bindPair(at, port, mux, buffer)
			if err == nil {
				return pair, nil
			}
			p.release(port, now-portRest)
			if !errors.Is(err, syscall.EADDRINUSE) { // such as no more descriptors: other ports won't help
				return portPair{}, err
			}
		}
	}
	return portPair{}, fmt.Errorf("ports %d-%d: %w", p.min, p.max+1, ErrNoPort)
}

// reserve looks at the next port of the range and takes it if it is free, and rests or not as asked for.
func (p *portPool) reserve(resting bool, now time.Duration) (int, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	port := p.next
	if p.next += 2; p.next > p.max {
		p.next = p.min
	}
	freed, was := p.freed[port]
	if p.taken[port] || (was && now-freed < portRest) != resting {
		return 0, false
	}
	p.taken[port] = true
	return port, true
}

// release gives a port back, closed at a time.
func (p *portPool) release(port int, at time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	port &^= 1
	delete(p.taken, port)
	p.freed[port] = at
}

// bindAny takes the kernel's choice. Sockets that don't fit stay open until the search ends, so that the kernel doesn't
// offer them again.
func (p *portPool) bindAny(at netip.Addr, mux bool, buffer int, now time.Duration) (portPair, error) {
	var unfit []receiver
	defer func() {
		for _, r := range unfit {
			_ = r.Close()
		}
	}()
	for try := range kernelTries {
		r, err := p.listen(netip.AddrPortFrom(at, 0), buffer)
		if err != nil {
			return portPair{}, err
		}
		port := int(r.local().Port())
		if p.rests(port, now) && try < kernelTries/2 {
			unfit = append(unfit, r)
			continue
		}
		if mux {
			return portPair{rtp: r}, nil
		}
		other, err := p.listen(netip.AddrPortFrom(at, uint16(port^1)), buffer)
		if err != nil {
			unfit = append(unfit, r)
			continue
		}
		if port&1 == 1 {
			r, other = other, r
		}
		return portPair{rtp: r, rtcp: other}, nil
	}
	return portPair{}, fmt.Errorf("kernel's ports, %d tries: %w", kernelTries, ErrNoPort)
}

// rests tells whether a port was closed a short time ago, and forgets those that have rested.
func (p *portPool) rests(port int, now time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for k, at := range p.freed {
		if now-at >= portRest {
			delete(p.freed, k)
		}
	}
	_, ok := p.freed[port&^1]
	return ok
}

func (p *portPool) bindPair(at netip.Addr, port int, mux bool, buffer int) (portPair, error) {
	rtp, err := p.listen(netip.AddrPortFrom(at, uint16(port)), buffer)
	if err != nil || mux {
		return portPair{rtp: rtp}, err
	}
	rtcp, err := p.listen(netip.AddrPortFrom(at, uint16(port+1)), buffer)
	if err != nil {
		_ = rtp.Close()
		return portPair{}, err
	}
	return portPair{rtp: rtp, rtcp: rtcp}, nil
}

// close closes the sockets and lets their ports rest. A closed UDP socket has nothing to report.
func (q portPair) close(p *portPool, now time.Duration) {
	_ = q.rtp.Close()
	if q.rtcp != nil {
		_ = q.rtcp.Close()
	}
	p.release(int(q.rtp.local().Port()), now)
}
