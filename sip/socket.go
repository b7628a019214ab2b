package sip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// socket is the UDP socket as sipgo sees it: only datagrams of those whom we listen to come through. Dropping here costs
// nothing that lasts; sipgo would keep each source for ever.
type socket struct {
	net.PacketConn
	accept  []netip.Prefix
	proxies *atomic.Pointer[map[netip.Addr]bool] // the account's
	count   *counters
	account *Account // hears of what is not let through
	pool    *gosip.ConnectionPool
	// received hears of each datagram of a proxy.
	received atomic.Pointer[flow]
	once     sync.Once
	closed   chan struct{}
	served   chan struct{} // closed when sipgo no longer reads

	// Owned by the read loop.
	sources map[string]time.Time // when each was heard last
	swept   time.Time            // when the silent ones were looked for
	guard   guard
}

// maxSources bounds the addresses that sipgo keeps: a network in AcceptFrom may use any port. Where there are as many, those
// that were silent for sourceLife make room, looked for once each sweepEvery: else a neighbour that calls from ever new
// ports, or one that means it, would in time lock out all that are new. By then nothing is to be answered to them; requests
// of ours in their dialogs leave by the socket's own address.
const (
	maxSources = 4096
	sourceLife = time.Hour
	sweepEvery = time.Minute
)

// maxReadErrors in a row end a socket: it will not get better.
const maxReadErrors = 100

// ReadFrom gives the next datagram that may be a message. Errors of single datagrams are left out, so that none of them
// ends sipgo's read loop; the last one is net.ErrClosed.
func (s *socket) ReadFrom(b []byte) (int, net.Addr, error) {
	bad := 0
	for {
		n, from, err := s.PacketConn.ReadFrom(b)
		if err != nil {
			if bad++; errors.Is(err, net.ErrClosed) || bad > maxReadErrors {
				s.bury()
				s.shut(err)
				return 0, nil, net.ErrClosed
			}
			continue
		}
		bad = 0
		src := addrPortOf(from)
		if !s.allowed(src.Addr()) {
			s.account.foreign(noticeStranger, src.String(), b[:n])
			continue
		}
		if f := s.received.Load(); f != nil && f.target.addr.Addr() == src.Addr() {
			f.rx.Add(int64(n))
		}
		proxy := s.account.isProxy(src.Addr())
		if !s.guard.allow(src.Addr(), proxy, time.Now()) {
			s.account.flooded(src.String(), b[:n])
			continue
		}
		switch {
		case n == 0 || isBlank(b[:n]):
			s.count.add(cntDropKeepalive, 1)
			continue
		case isSTUN(b[:n]):
			s.count.add(cntDropSTUN, 1)
			continue
		}
		seen := s.account.looked(b[:n], src.String(), proxy)
		if seen != lookDrop {
			s.account.ladders.note(b[:n], Step{Peer: src.String(), Net: "UDP"})
		}
		switch seen {
		case lookDrop:
		case lookBad:
			if res := s.account.reject(b[:n]); res != nil {
				_, _ = s.WriteTo(res, from)
			}
		case lookGood:
			if s.remember(from.String(), proxy, time.Now()) {
				return copy(b, normalise(b[:n])), from, nil
			}
			s.account.foreign(noticeSources, src.String(), b[:n])
		}
	}
}

// remember notes an address. There is always room for the proxies'.
func (s *socket) remember(source string, proxy bool, now time.Time) bool {
	if _, ok := s.sources[source]; !ok && !s.room(proxy, now) {
		return false
	}
	s.sources[source] = now
	return true
}

// room makes room for one more address, if it can.
func (s *socket) room(proxy bool, now time.Time) bool {
	if len(s.sources) >= maxSources && now.Sub(s.swept) >= sweepEvery {
		s.swept = now
		for source, heard := range s.sources {
			if now.Sub(heard) >= sourceLife {
				delete(s.sources, source)
				s.pool.Delete(source)
			}
		}
	}
	return len(s.sources) < maxSources || proxy && len(s.sources) < 2*maxSources
}

// bury leaves a dead connection in sipgo's pool for each address that it knows this socket by. Messages that were read
// last may still be on their way through sipgo; finding no connection, it would open a socket of its own for them, which
// nobody ever closes.
func (s *socket) bury() {
	dead := deadConn{s.LocalAddr()}
	s.pool.Add(s.LocalAddr().String(), dead)
	for source := range s.sources {
		s.pool.Add(source, dead)
	}
}

// deadConn is a connection to nowhere.
type deadConn struct{ local net.Addr }

func (c deadConn) LocalAddr() net.Addr        { return c.local }
func (deadConn) WriteMsg(gosip.Message) error { return errNoFlow }
func (deadConn) Ref(int) int                  { return 1 }
func (deadConn) TryClose() (int, error)       { return 1, nil }
func (deadConn) Close() error                 { return nil }

// isProxy says whether one of the proxies has that address.
func (a *Account) isProxy(addr netip.Addr) bool {
	m := a.proxyAddrs.Load()
	return m != nil && (*m)[addr.Unmap()]
}

func (s *socket) allowed(a netip.Addr) bool {
	if m := s.proxies.Load(); m != nil && (*m)[a] {
		return true
	}
	for _, p := range s.accept {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// datagramLimit bounds a write to a socket whose queue is full: that is the machine's trouble, no peer's.
const datagramLimit = time.Second

// WriteTo bounds each write.
func (s *socket) WriteTo(b []byte, to net.Addr) (int, error) {
	s.account.ladders.note(b, Step{Out: true, Peer: to.String(), Net: "UDP"})
	_ = s.SetWriteDeadline(time.Now().Add(datagramLimit))
	return s.PacketConn.WriteTo(b, to)
}

// Close leaves the socket open: sipgo does not own it.
func (s *socket) Close() error { return nil }

func (s *socket) shut(err error) {
	s.once.Do(func() {
		close(s.closed)
		_ = s.PacketConn.Close()
		if f := s.received.Load(); f != nil {
			f.fail(fmt.Errorf("flow: read: %w", err))
		}
	})
}

// isBlank: CRLF keep-alives, and the NULs that some devices send.
func isBlank(b []byte) bool {
	for _, c := range b {
		if c != '\r' && c != '\n' && c != 0 {
			return false
		}
	}
	return true
}

// isSTUN: first two bits zero and the magic cookie (RFC 8489 section 5). No SIP message begins so.
func isSTUN(b []byte) bool {
	return len(b) >= 20 && b[0]&0xc0 == 0 && b[4] == 0x21 && b[5] == 0x12 && b[6] == 0xa4 && b[7] == 0x42
}

// dialUDP makes a flow of our socket and t; the socket is made anew when the route to t leaves by another address.
func (a *Account) dialUDP(ctx context.Context, t target) (*flow, error) {
	via, err := routeTo(ctx, t.addr)
	if err != nil {
		return nil, fmt.Errorf("route to %s: %w", t.addr, err)
	}
	s, err := a.socketAt(ctx, via)
	if err != nil {
		return nil, err
	}
	at := addrPortOf(s.LocalAddr())
	f := a.newFlow(t)
	f.key = sipAddr(at)
	f.local = at
	if at.Addr().IsUnspecified() {
		f.local = netip.AddrPortFrom(via, at.Port())
		f.key = gosip.Addr{IP: s.LocalAddr().(*net.UDPAddr).IP, Port: int(at.Port())}
	}
	if a.lastHeal.local == f.local && a.lastHeal.public.IsValid() {
		f.public.Store(&a.lastHeal.public) // the same socket behind the same NAT, most likely
	}
	to := net.UDPAddrFromAddrPort(t.addr)
	f.write = func(b []byte) error { _, err := s.WriteTo(b, to); return err }
	s.received.Store(f)
	return f, nil
}

// routeTo asks the kernel which of our addresses packets to ap leave from. Nothing is sent.
func routeTo(ctx context.Context, ap netip.AddrPort) (netip.Addr, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "udp", ap.String())
	if err != nil {
		return netip.Addr{}, err
	}
	defer c.Close()
	return addrPortOf(c.LocalAddr()).Addr(), nil
}

// socketAt gives the socket for packets that leave by via. Called by the registrar loop only.
func (a *Account) socketAt(ctx context.Context, via netip.Addr) (*socket, error) {
	if s := a.socket; s != nil {
		select {
		case <-s.closed:
		default:
			at := addrPortOf(s.LocalAddr()).Addr()
			if a.cfg.Listen != "" || at == via {
				return s, nil
			}
			s.shut(net.ErrClosed)
		}
		<-s.served
	}
	listen := a.cfg.Listen
	if listen == "" {
		listen = netip.AddrPortFrom(via, 0).String()
	}
	var lc net.ListenConfig
	pc, err := lc.ListenPacket(ctx, "udp", listen)
	if err != nil {
		return nil, fmt.Errorf("udp socket: %w", err)
	}
	s := &socket{
		PacketConn: pc, accept: a.cfg.AcceptFrom, proxies: &a.proxyAddrs, count: &a.counters, account: a,
		pool:   a.ua.TransportLayer().Pool("udp"),
		closed: make(chan struct{}), served: make(chan struct{}), sources: make(map[string]time.Time),
		guard: guard{slower: a.cfg.tune.guardSlower},
	}
	a.socket = s
	a.wg.Go(func() {
		defer close(s.served)
		_ = a.srv.ServeUDP(s)
	})
	return s, a.awaitPool(ctx, s)
}

// awaitPool waits until sipgo knows the socket: before that a request would leave from a socket of its own.
func (a *Account) awaitPool(ctx context.Context, s *socket) error {
	addr := s.LocalAddr().String()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		if c, err := a.ua.TransportLayer().GetConnection("udp", addr); err == nil {
			_, _ = c.TryClose()
			return nil
		}
		select {
		case <-ctx.Done():
			s.shut(ctx.Err())
			return fmt.Errorf("udp socket: %w", ctx.Err())
		case <-tick.C:
		}
	}
}
