package vault_test

import (
	"net"
	"sync"
	"testing"
	"time"
)

// proxy stands between a vault and its server, and does to octets what networks do.
type proxy struct {
	addr, target string
	l            net.Listener
	wg           sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool
	spoil func(sent int64, b []byte) bool // of what goes up on a connection; false: it is cut
	away  bool
	count int // connections
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return proxyOn(t, l, target)
}

func proxyOn(t *testing.T, l net.Listener, target string) *proxy {
	t.Helper()
	p := &proxy{addr: l.Addr().String(), target: target, l: l, conns: map[net.Conn]bool{}}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.cut()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) accept() {
	for {
		c, err := p.l.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.count++
		away := p.away
		if !away {
			p.conns[c] = true
		}
		p.mu.Unlock()
		if away {
			_ = c.Close()
			continue
		}
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetReadBuffer(64 << 10) // so that what we hold back is held back at the sender, too
		}
		p.wg.Go(func() { p.serve(c) })
	}
}

func (p *proxy) serve(c net.Conn) {
	defer c.Close()
	s, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer s.Close()
	p.mu.Lock()
	p.conns[s] = true
	p.mu.Unlock()
	p.wg.Go(func() {
		pump(c, s, func(int64, []byte) bool { return true })
		_ = c.Close()
	})
	pump(s, c, func(n int64, b []byte) bool {
		p.mu.Lock()
		f := p.spoil
		p.mu.Unlock()
		return f == nil || f(n, b)
	})
}

func pump(to, from net.Conn, pass func(int64, []byte) bool) {
	var n int64
	b := make([]byte, 16<<10)
	for {
		k, err := from.Read(b)
		if k > 0 {
			if !pass(n, b[:k]) {
				return
			}
			n += int64(k)
			if _, err := to.Write(b[:k]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// set changes what becomes of octets, and ends the connections there are.
func (p *proxy) set(away bool, spoil func(int64, []byte) bool) {
	p.mu.Lock()
	p.away, p.spoil = away, spoil
	p.mu.Unlock()
	p.cut()
}

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
		delete(p.conns, c)
	}
}

func (p *proxy) connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

// crawl lets through so much and then hardly anything, until the connection is closed.
func crawl(t *testing.T) func(int64, []byte) bool {
	return func(n int64, _ []byte) bool {
		if n < 64<<10 {
			return true
		}
		select {
		case <-t.Context().Done():
			return false
		case <-time.After(200 * time.Millisecond):
			return true
		}
	}
}
