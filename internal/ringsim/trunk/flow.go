package trunk

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"
)

// flow is the connection a device's requests came on (RFC 5626 section 3): its own for TCP and TLS, for UDP a source.
type flow struct {
	// Set at birth, then constant.
	network string
	remote  netip.AddrPort
	local   netip.AddrPort
	conn    net.Conn // nil for UDP

	// Trunk.mu guards the fields below.
	heard     time.Time
	closed    bool
	forgotten bool // idle for too long: what is sent is lost, until the device is heard again
}

func (f *flow) reliable() bool { return f.conn != nil }

// writeTimeout is for a device that does not read its connection.
const writeTimeout = 5 * time.Second

// send writes a whole message. What goes to a forgotten flow is lost without an error, as at RingCentral.
func (t *Trunk) send(f *flow, raw []byte) error {
	t.mu.Lock()
	closed, forgotten := f.closed, f.forgotten
	t.mu.Unlock()
	switch {
	case closed:
		return ErrNoFlow
	case forgotten:
		return nil
	case f.conn == nil:
		_, err := t.udp.WriteToUDPAddrPort(raw, f.remote)
		return err
	}
	_ = f.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, err := f.conn.Write(raw)
	return err
}

// touch marks a flow as heard.
func (t *Trunk) touch(f *flow) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f.heard, f.forgotten = time.Now(), false
}

func (t *Trunk) readUDP() {
	b := make([]byte, maxMessage)
	local := t.udp.LocalAddr().(*net.UDPAddr).AddrPort()
	for {
		n, from, err := t.udp.ReadFromUDPAddrPort(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error of an earlier send
		}
		if t.shunning() {
			continue
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		if t.stray(from, b[:n]) {
			continue
		}
		f := t.udpFlow(from, local)
		if f == nil {
			continue
		}
		t.touch(f)
		if string(b[:n]) == "\r\n\r\n" {
			t.pong(f)
			continue
		}
		if n < 4 || string(b[:n]) == "\r\n" {
			continue // other keep-alives
		}
		m, err := parseMessage(b[:n])
		if err != nil {
			t.violation("%s %s: %v", f.network, f.remote, err)
			continue
		}
		t.handle(f, m)
	}
}

// stray says whether a datagram is RTP or RTCP (version 2, RFC 3550 section 5.1) of a source that never spoke SIP: it was meant for
// who had this port a moment ago.
func (t *Trunk) stray(from netip.AddrPort, b []byte) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(b) > 0 && b[0]>>6 == 2 && t.flows[from] == nil
}

// udpFlow is the flow of a source; nil where there are too many.
func (t *Trunk) udpFlow(from, local netip.AddrPort) *flow {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.flows[from]
	if f == nil && len(t.flows) < maxFlows {
		f = &flow{network: "udp", remote: from, local: local}
		t.flows[from] = f
	}
	return f
}

func (t *Trunk) accept(ctx context.Context, network string, l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
				return
			}
			continue
		}
		if t.shunning() {
			_ = conn.Close()
			continue
		}
		f := &flow{
			network: network, conn: conn, heard: time.Now(),
			remote: conn.RemoteAddr().(*net.TCPAddr).AddrPort(), local: conn.LocalAddr().(*net.TCPAddr).AddrPort(),
		}
		t.mu.Lock()
		if t.closed || len(t.conns) == maxFlows {
			t.mu.Unlock()
			_ = conn.Close()
			continue
		}
		t.conns[f] = struct{}{}
		t.tasks.Go(func() { t.readConn(f) })
		t.mu.Unlock()
	}
}

func (t *Trunk) readConn(f *flow) {
	defer t.dropConn(f)
	r := bufio.NewReader(counted{f, t})
	for {
		m, ping, err := readMessage(r)
		if errors.Is(err, errMessage) { // the stream's frame is lost, RFC 3261 section 18.3
			t.violation("%s %s: %v", f.network, f.remote, err)
		}
		if err != nil {
			return
		}
		if ping {
			t.pong(f)
			continue
		}
		t.handle(f, m)
	}
}

// counted marks its flow as heard with each read.
type counted struct {
	f *flow
	t *Trunk
}

func (c counted) Read(b []byte) (int, error) {
	n, err := c.f.conn.Read(b)
	if n > 0 {
		c.t.touch(c.f)
	}
	return n, err
}

var _ io.Reader = counted{}

// dropConn closes a connection. Its bindings stay until they expire: a registrar does not know that a device is gone.
func (t *Trunk) dropConn(f *flow) {
	_ = f.conn.Close()
	t.mu.Lock()
	defer t.mu.Unlock()
	f.closed = true
	delete(t.conns, f)
}

func (t *Trunk) pong(f *flow) {
	if !t.cfg.NoPong {
		_ = t.send(f, []byte("\r\n"))
	}
}

// flowLife is how long a UDP source is remembered that is not heard: longer than any binding is granted.
const flowLife = 2 * time.Hour

// forgetFlows makes idle flows deaf, and drops UDP sources that nobody is bound to.
func (t *Trunk) forgetFlows(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	idle := func(f *flow) bool { return t.cfg.IdleFlow > 0 && now.Sub(f.heard) > t.cfg.IdleFlow }
	for f := range t.conns {
		f.forgotten = f.forgotten || idle(f)
	}
	for from, f := range t.flows {
		f.forgotten = f.forgotten || idle(f)
		if now.Sub(f.heard) > flowLife {
			f.closed = true
			delete(t.flows, from)
		}
	}
}

// CutFlows closes every connection of a user's devices without a word, and forgets its UDP sources until they are heard
// again. It tells how many flows it were.
func (t *Trunk) CutFlows(userName string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, b := range t.bindings[userName] {
		if b.flow.closed || b.flow.forgotten {
			continue
		}
		n++
		if b.flow.conn == nil {
			b.flow.forgotten = true
			continue
		}
		b.flow.closed = true
		_ = b.flow.conn.Close()
	}
	return n
}

// handle takes one message of a flow.
func (t *Trunk) handle(f *flow, m *message) {
	if m.code != 0 {
		t.response(m)
		return
	}
	if err := sane(f, m); err != nil {
		t.violation("%s from %s: %v", m.method, f.remote, err)
		if m.method != "ACK" && m.get("Via") != "" {
			t.respond(f, m, &message{code: 400, reason: "Bad Request"})
		}
		return
	}
	if m.get("Max-Forwards") == "" {
		t.strictly("%s from %s: no Max-Forwards", m.method, f.remote)
	}
	t.request(f, m)
}

// sane is what every request must have, RFC 3261 section 8.1.1.
func sane(f *flow, m *message) error {
	for _, name := range []string{"Via", "From", "To", "Call-ID", "CSeq"} {
		if m.get(name) == "" {
			return fmt.Errorf("no %s", name)
		}
	}
	if n, method := m.cseq(); method != m.method || n > 1<<31 {
		return fmt.Errorf("CSeq is %q", m.get("CSeq"))
	}
	if b := m.branch(); len(b) < 8 || b[:7] != "z9hG4bK" {
		return fmt.Errorf("branch %q has no magic cookie", b)
	}
	if tag(m.get("From")) == "" {
		return errors.New("From has no tag")
	}
	if !m.counted && f.reliable() {
		return errors.New("no Content-Length on a stream transport")
	}
	return nil
}
