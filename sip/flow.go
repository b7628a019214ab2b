package sip

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// Why a flow is down.
var (
	errFlowClosed  = errors.New("flow: closed by us")
	errFlowSilent  = errors.New("flow: no answer to keep-alive")
	errFlowFraming = errors.New("flow: what came can't be read as SIP")
	errFlowSlow    = errors.New("a message that began was not whole in time")
	errNoFlow      = errors.New("flow: none")
)

// flow is the transport connection that a REGISTER travels on; requests come back on it (RFC 5626 section 3). For UDP it
// is a socket together with one proxy address.
type flow struct {
	// Set by dial, then constant.
	net    string // "UDP", "TCP", "TLS"
	target target
	local  netip.AddrPort // of our end: Via and Contact
	key    gosip.Addr     // how sipgo's pool knows it
	write  func([]byte) error

	down chan struct{} // closed when dead; cause is valid then

	// Changed while it lives.
	rx    atomic.Int64 // octets that came
	pongs atomic.Int64 // CRLF that came alone
	// pingEvery is the keep-alive interval; a smaller Flow-Timer wins (RFC 5626 section 5.4).
	pingEvery atomic.Int64
	sooner    chan struct{} // size 1: pingEvery became smaller
	promised  atomic.Bool   // the registrar said that it answers pings
	// public is how the far side sees us, where that differs from local and the Contact must say so.
	public atomic.Pointer[netip.AddrPort]

	once  sync.Once
	cause error
	close func()
}

// fail marks the flow dead and closes what is under it. The first cause counts.
func (f *flow) fail(cause error) {
	f.once.Do(func() {
		f.cause = cause
		close(f.down)
		if f.close != nil {
			f.close()
		}
	})
}

func (f *flow) alive() bool {
	select {
	case <-f.down:
		return false
	default:
		return true
	}
}

// judged says whether the flow proves its life by pongs.
func (f *flow) judged() bool { return f.pongs.Load() > 0 || f.promised.Load() }

func (f *flow) reliable() bool { return f.net != "UDP" }

// secure says whether keys may be offered on it.
func (f *flow) secure() bool { return f.net == "TLS" }

// connListener hands connections that we dialled to sipgo's accept loop.
type connListener struct {
	conns chan net.Conn
	taken chan struct{}
	done  chan struct{}
	once  sync.Once
	first bool // Accept was called before; owned by the accept loop
}

func newConnListener() *connListener {
	return &connListener{conns: make(chan net.Conn), taken: make(chan struct{}), done: make(chan struct{}), first: true}
}

// Accept gives the next dialled connection. sipgo calls it again only after the one before stands in its pool: that is
// what hand waits for.
func (l *connListener) Accept() (net.Conn, error) {
	if !l.first {
		select {
		case l.taken <- struct{}{}:
		case <-l.done:
			return nil, net.ErrClosed
		}
	}
	l.first = false
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// hand gives c to sipgo and waits until it may be used.
func (l *connListener) hand(ctx context.Context, c net.Conn) error {
	select {
	case l.conns <- c:
	case <-l.done:
		return net.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-l.taken:
		return nil
	case <-l.done:
		return net.ErrClosed
	}
}

// Close ends the accept loop.
func (l *connListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr is no real address: nothing listens.
func (l *connListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4zero} }

// flowConn is the connection as sipgo sees it: it notes signs of life, bounds writes, and tells the flow how it ended.
type flowConn struct {
	net.Conn
	f     *flow
	limit time.Duration // of one write
	// slowest is how long one message may take.
	slowest time.Duration
	bad     func()              // hears that what came can't be read
	looked  func([]byte) look   // says whether a message can be parsed
	reject  func([]byte) []byte // gives the answer to one that can't
	note    func(b []byte, out bool)

	// turn holds one token, had around the deadline and its write: whoever waits must not move the deadline of who writes.
	// A channel, for it serves in order of arrival; a mutex lets the reader in before a thousand writers.
	turn chan struct{}

	// Owned by the read loop.
	read   time.Time     // when it was looked at last
	ahead  time.Duration // how far the stream is ahead of its pace
	whole  time.Time     // when the message that has begun must be whole; zero: none has
	until  time.Time     // the deadline of reads
	frames framer
	raw    [maxRead]byte
}

// SetWriteDeadline and SetDeadline do nothing: Write sets its own.
func (c *flowConn) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline does nothing.
func (c *flowConn) SetDeadline(time.Time) error { return nil }

// What one stream may bring: maxRead octets (some dozen requests) before we look again whether answers wait, and pace
// octets a second, burst at once. It is ten thousand requests a second; sipgo starts a goroutine for each, and its lock
// lets them pile up when they come faster than they are served.
const (
	maxRead = 8 << 10
	pace    = 4 << 20
	burst   = 256 << 10
)

// Read gives one whole message that can be parsed. sipgo sees any end as a clean one: what happened is the flow's cause.
func (c *flowConn) Read(b []byte) (int, error) {
	for {
		// First whatever is to be written: a peer that sends and does not read would have us keep an answer, with its goroutine
		// and transaction, for each of its requests.
		c.turn <- struct{}{}
		<-c.turn
		piece, err := c.frames.next()
		if piece != nil {
			c.whole = time.Time{}
		}
		switch {
		case err != nil || len(piece)+maxAdded > len(b):
			c.refuse(piece)
			c.bad()
			c.f.fail(errFlowFraming)
			return 0, net.ErrClosed
		case piece == nil:
			if err := c.fill(); err != nil {
				return 0, net.ErrClosed
			}
			continue
		case isBlank(piece):
			c.pong(piece)
			continue
		}
		c.note(piece, false)
		switch {
		case c.looked(piece) == lookGood:
			return copy(b, normalise(piece)), nil
		default:
			c.refuse(piece)
		}
	}
}

// fill reads what the stream brings next, and notes it. A message that has begun must be whole within the limit: who sends it
// slowly, or says that it is longer than it is, ends the flow.
func (c *flowConn) fill() error {
	c.slow()
	if c.whole.IsZero() && c.frames.pending() {
		c.whole = time.Now().Add(c.slowest)
	}
	if c.whole != c.until {
		c.until = c.whole
		_ = c.SetReadDeadline(c.until)
	}
	n, err := c.Conn.Read(c.raw[:])
	if n > 0 {
		c.ahead += time.Duration(n) * time.Second / pace
		c.f.rx.Add(int64(n))
		if isPong(c.raw[:n]) {
			c.f.pongs.Add(1)
		}
		c.frames.add(c.raw[:n])
		return nil
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.bad()
		err = errFlowSlow
	}
	c.f.fail(fmt.Errorf("flow: read: %w", err))
	return err
}

// pong answers the far side's pings (RFC 5626 section 3.5.1).
func (c *flowConn) pong(blank []byte) {
	for n := bytes.Count(blank, endOfHead); n > 0; n-- {
		if _, err := c.Write([]byte("\r\n")); err != nil {
			return
		}
	}
}

// refuse answers what can't be parsed, if it can be answered.
func (c *flowConn) refuse(b []byte) {
	if res := c.reject(b); res != nil {
		_, _ = c.Write(res)
	}
}

// slow waits while the stream brings more than its pace.
func (c *flowConn) slow() {
	now := time.Now()
	c.ahead = max(c.ahead-now.Sub(c.read), 0)
	c.read = now
	if wait := c.ahead - burst*time.Second/pace; wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-c.f.down:
		}
	}
}

// isPong tells a pong, one CRLF before anything else, from the far side's own ping, two of them (RFC 5626 section 3.5.1).
func isPong(b []byte) bool {
	return len(b) >= 2 && b[0] == '\r' && b[1] == '\n' && (len(b) == 2 || b[2] != '\r')
}

// Write sends all of b within the limit or ends the flow: after half a message nothing that follows could be read.
func (c *flowConn) Write(b []byte) (int, error) {
	c.turn <- struct{}{}
	defer func() { <-c.turn }()
	if !c.f.alive() {
		return 0, c.f.cause
	}
	if !isBlank(b) {
		c.note(b, true)
	}
	_ = c.Conn.SetWriteDeadline(time.Now().Add(c.limit))
	n, err := c.Conn.Write(b)
	_ = c.Conn.SetWriteDeadline(time.Time{}) // what a tls.Conn writes by itself is under no limit of ours that is past
	if err != nil {
		c.f.fail(fmt.Errorf("flow: write: %w", err))
	}
	return n, err
}

// Close is called by sipgo when it can't read on: the flow dies with it.
func (c *flowConn) Close() error {
	if c.f.alive() {
		c.bad()
	}
	c.f.fail(errFlowFraming)
	return nil
}

// dial opens a flow to one address, within the dial limit.
func (a *Account) dial(ctx context.Context, t target) (*flow, error) {
	ctx, cancel := context.WithTimeout(ctx, a.cfg.tune.dialLimit)
	defer cancel()
	if a.cfg.Transport == "udp" {
		return a.dialUDP(ctx, t)
	}
	d := net.Dialer{Control: dialControl}
	raw, err := d.DialContext(ctx, "tcp", t.addr.String())
	if err != nil {
		return nil, err // it names what was dialled
	}
	conn := raw
	if a.cfg.Transport == "tls" {
		tc := tls.Client(raw, a.tlsFor(t))
		if err := tc.HandshakeContext(ctx); err != nil {
			_ = raw.Close()
			return nil, fmt.Errorf("tls %s: %w", t.addr, err)
		}
		conn = tc
	}
	f := a.newFlow(t)
	fc := &flowConn{Conn: conn, f: f, limit: a.cfg.tune.writeLimit, turn: make(chan struct{}, 1)}
	fc.slowest = a.cfg.tune.messageLimit
	fc.bad = func() { a.unreadable(noticeParse, t.addr.String(), "") }
	fc.looked = func(b []byte) look { return a.looked(b, t.addr.String(), true) }
	fc.reject = a.reject
	fc.note = func(b []byte, out bool) { a.ladders.note(b, Step{Out: out, Peer: t.addr.String(), Net: f.net}) }
	f.close = func() {
		// The raw connection: closing a tls.Conn would first wait for a peer that does not read.
		_ = raw.Close()
	}
	f.write = func(b []byte) error { _, err := fc.Write(b); return err }
	f.local = addrPortOf(conn.LocalAddr())
	f.key = sipAddr(f.local)
	if err := a.listener.hand(ctx, fc); err != nil {
		f.fail(err)
		return nil, fmt.Errorf("dial %s: %w", t.addr, err)
	}
	return f, nil
}

func (a *Account) newFlow(t target) *flow {
	f := &flow{net: strings.ToUpper(a.cfg.Transport), target: t, down: make(chan struct{}), sooner: make(chan struct{}, 1)}
	f.pingEvery.Store(int64(a.cfg.Keepalive))
	return f
}

func addrPortOf(a net.Addr) netip.AddrPort {
	switch a := a.(type) {
	case *net.TCPAddr:
		return unmapped(a.AddrPort())
	case *net.UDPAddr:
		return unmapped(a.AddrPort())
	}
	ap, _ := netip.ParseAddrPort(a.String())
	return unmapped(ap)
}

func unmapped(ap netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

func sipAddr(ap netip.AddrPort) gosip.Addr {
	return gosip.Addr{IP: net.IP(ap.Addr().AsSlice()), Port: int(ap.Port()), Zone: ap.Addr().Zone()}
}

// keepalive pings until the flow dies: TCP and TLS by a double CRLF (RFC 5626 section 4.4.1), UDP by a CRLF that keeps the
// NAT's binding.
func (a *Account) keepalive(f *flow) {
	t := time.NewTimer(0)
	defer t.Stop()
	t.Stop()
	for first := true; ; first = false {
		every := time.Duration(f.pingEvery.Load())
		if every <= 0 {
			return
		}
		if first {
			// So that it is known early whether pongs come, before one is missed.
			every = min(every, a.cfg.tune.firstPing)
		}
		// 80-100 %: a thousand devices must not ping in step.
		t.Reset(time.Duration(float64(every) * (0.8 + 0.2*a.random())))
		select {
		case <-f.down:
			return
		case <-f.sooner:
			continue
		case <-t.C:
		}
		before := f.rx.Load()
		ping := "\r\n\r\n"
		if !f.reliable() {
			ping = "\r\n"
		}
		if err := f.write([]byte(ping)); err != nil && f.reliable() {
			return
		}
		a.counters.add(cntPings, 1)
		if !f.reliable() || !f.judged() {
			continue
		}
		t.Reset(a.cfg.tune.pongLimit)
		select {
		case <-f.down:
			return
		case <-t.C:
		}
		if f.rx.Load() == before {
			f.fail(errFlowSilent)
			return
		}
	}
}
