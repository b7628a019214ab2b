package sip_test

import (
	"bufio"
	"crypto/md5"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// peer is the other side: a registrar and caller that speaks raw octets over UDP, TCP or TLS on 127.0.0.1. It knows nothing
// of the package under test.
type peer struct {
	t   *testing.T
	net string
	pc  net.PacketConn
	ln  net.Listener
	in  chan *msg

	mu       sync.Mutex
	conns    []net.Conn
	silent   bool // REGISTER is not answered
	noPong   bool
	registr  func(*msg) string // answer to REGISTER
	contact  string            // of the last REGISTER that was accepted
	flow     func(string)      // writes to the last one that registered
	pings    int
	wg       sync.WaitGroup
	branches int
	bye      func(*msg) string // answer to BYE; nil: 200
	asleep   chan struct{}     // not nil: it does not read until that is closed
	hello    string            // what it says to each connection
	pongs    int               // CRLF that came alone
}

// msg is one message that came.
type msg struct {
	start  string
	header textproto.MIMEHeader
	lines  []string
	body   string
	write  func(string)
	from   string
}

func (m *msg) is(what string) bool {
	return strings.HasPrefix(m.start, what+" ") || strings.HasPrefix(m.start, "SIP/2.0 "+what+" ")
}

func (m *msg) get(name string) string { return m.header.Get(name) }

func (m *msg) String() string { return m.start + "\n" + strings.Join(m.lines, "\n") + "\n\n" + m.body }

// method is the request's method, "" for a response.
func (m *msg) method() string {
	if strings.HasPrefix(m.start, "SIP/2.0") {
		return ""
	}
	w, _, _ := strings.Cut(m.start, " ")
	return w
}

// answer builds a response: what must be copied is copied.
func (m *msg) answer(status string, body string, headers ...string) string {
	var b strings.Builder
	b.WriteString("SIP/2.0 " + status + "\r\n")
	for _, l := range m.lines {
		n, _, _ := strings.Cut(l, ":")
		switch strings.ToLower(strings.TrimSpace(n)) {
		case "via", "from", "call-id", "cseq", "record-route":
			b.WriteString(l + "\r\n")
		case "to":
			if !strings.Contains(l, "tag=") && !strings.HasPrefix(status, "100") {
				l += ";tag=peer"
			}
			b.WriteString(l + "\r\n")
		}
	}
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	return b.String()
}

// newPeer listens on network "udp", "tcp" or "tls" at addr ("" for any port).
func newPeer(t *testing.T, network, addr string, conf *tls.Config) *peer {
	t.Helper()
	return newPeerThat(t, network, addr, conf, nil)
}

// newPeerThat answers REGISTER in its own way from the first one on; nil accepts it.
func newPeerThat(t *testing.T, network, addr string, conf *tls.Config, registr func(*msg) string) *peer {
	t.Helper()
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	p := &peer{t: t, net: network, in: make(chan *msg, 256), registr: registr}
	if registr == nil {
		p.registr = p.accept
	}
	var err error
	switch network {
	case "udp":
		p.pc, err = net.ListenPacket("udp", addr)
	case "tcp":
		p.ln, err = net.Listen("tcp", addr)
	case "tls":
		p.ln, err = tls.Listen("tcp", addr, conf)
	}
	if err != nil {
		t.Fatal(err)
	}
	if p.pc != nil {
		p.wg.Go(p.readUDP)
	} else {
		p.wg.Go(p.acceptLoop)
	}
	t.Cleanup(p.close)
	return p
}

func (p *peer) close() {
	if p.pc != nil {
		_ = p.pc.Close()
	} else {
		_ = p.ln.Close()
	}
	p.cut()
	p.wg.Wait()
}

// cut closes all connections.
func (p *peer) cut() {
	p.mu.Lock()
	conns := p.conns
	p.conns = nil
	p.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
	}
}

// greet makes the peer speak first.
func (p *peer) greet(hello string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hello = hello
}

// gone says whether a connection was closed, here or there.
func (p *peer) gone(c net.Conn) bool {
	_, err := c.Write([]byte("\r\n"))
	return err != nil
}

func (p *peer) addr() string {
	if p.pc != nil {
		return p.pc.LocalAddr().String()
	}
	return p.ln.Addr().String()
}

func (p *peer) readUDP() {
	buf := make([]byte, 65535)
	for {
		n, from, err := p.pc.ReadFrom(buf)
		if err != nil {
			return
		}
		if strings.Trim(string(buf[:n]), "\r\n") == "" {
			p.pinged(nil)
			continue
		}
		m := parse(bufio.NewReader(strings.NewReader(string(buf[:n]))))
		if m == nil {
			continue
		}
		m.from = from.String()
		m.write = func(s string) { _, _ = p.pc.WriteTo([]byte(s), from) }
		p.handle(m)
	}
}

func (p *peer) acceptLoop() {
	for {
		c, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.conns = append(p.conns, c)
		hello := p.hello
		p.mu.Unlock()
		if hello != "" {
			_, _ = c.Write([]byte(hello))
		}
		p.wg.Go(func() { p.readStream(c) })
	}
}

func (p *peer) readStream(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		if b, err := r.Peek(2); err != nil {
			return
		} else if string(b) == "\r\n" {
			_, _ = r.Discard(2)
			if b, err := r.Peek(2); err == nil && string(b) == "\r\n" {
				_, _ = r.Discard(2)
				p.pinged(c)
				continue
			}
			p.mu.Lock()
			p.pongs++
			p.mu.Unlock()
			continue
		}
		m := parse(r)
		if m == nil {
			return
		}
		p.mu.Lock()
		asleep := p.asleep
		p.mu.Unlock()
		if asleep != nil {
			<-asleep
			return
		}
		m.from = c.RemoteAddr().String()
		m.write = func(s string) { _, _ = c.Write([]byte(s)) }
		p.handle(m)
	}
}

// crlfs counts the CRLF that came between messages: one is a pong, and two pongs look like a ping.
func (p *peer) crlfs() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pongs + 2*p.pings
}

func (p *peer) pinged(c net.Conn) {
	p.mu.Lock()
	p.pings++
	pong := !p.noPong
	p.mu.Unlock()
	if c != nil && pong {
		_, _ = c.Write([]byte("\r\n"))
	}
}

// parse reads one message; nil at the end.
func parse(r *bufio.Reader) *msg {
	m := &msg{header: make(textproto.MIMEHeader)}
	for {
		l, err := r.ReadString('\n')
		if err != nil {
			return nil
		}
		l = strings.TrimRight(l, "\r\n")
		if m.start == "" {
			m.start = l
			continue
		}
		if l == "" {
			break
		}
		m.lines = append(m.lines, l)
		n, v, _ := strings.Cut(l, ":")
		m.header.Add(n, strings.TrimSpace(v))
	}
	n, _ := strconv.Atoi(m.get("Content-Length"))
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil
	}
	m.body = string(b)
	return m
}

// sleep makes the peer read no more until wake is called, which may be twice; it looks at nothing that came on its
// connections meanwhile.
func (p *peer) sleep() (wake func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	asleep := make(chan struct{})
	p.asleep = asleep
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.asleep = nil
		close(asleep)
	})
}

func (p *peer) handle(m *msg) {
	if !m.is("REGISTER") {
		select {
		case p.in <- m:
		default: // nobody reads any more
		}
		if m.is("BYE") {
			m.write(p.byeAnswer(m))
		}
		return
	}
	p.mu.Lock()
	f, silent := p.registr, p.silent
	p.mu.Unlock()
	select {
	case p.in <- m:
	default:
	}
	if silent {
		return
	}
	res := f(m)
	if strings.HasPrefix(res, "SIP/2.0 200") {
		p.mu.Lock()
		p.flow = m.write
		c := m.get("Contact")
		if i, j := strings.Index(c, "<"), strings.Index(c, ">"); i >= 0 && j > i {
			p.contact = c[i+1 : j]
		}
		p.mu.Unlock()
	}
	m.write(res)
}

func (p *peer) setBye(f func(*msg) string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bye = f
}

func (p *peer) byeAnswer(m *msg) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bye != nil {
		return p.bye(m)
	}
	return m.answer("200 OK", "")
}

// accept says 200 to REGISTER with the Contact that came.
func (p *peer) accept(m *msg) string {
	return m.answer("200 OK", "", "Contact: "+m.get("Contact")+";expires=600")
}

func (p *peer) onRegister(f func(*msg) string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.registr = f
}

// next gives the next message of a kind: a method or a status code. Others of before are dropped.
func (p *peer) next(what string) *msg {
	p.t.Helper()
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	var seen []string
	for {
		select {
		case m := <-p.in:
			if m.is(what) {
				return m
			}
			seen = append(seen, m.start)
		case <-limit.C:
			p.t.Fatalf("no %s within 20 s; saw %q", what, seen)
		}
	}
}

// final gives the final response to the request with that CSeq.
func (p *peer) final(cseq string) *msg {
	p.t.Helper()
	for {
		m := p.nextOf(func(m *msg) bool { return m.method() == "" && m.get("CSeq") == cseq })
		if !strings.HasPrefix(m.start, "SIP/2.0 1") {
			return m
		}
	}
}

func (p *peer) nextOf(ok func(*msg) bool) *msg {
	p.t.Helper()
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	var seen []string
	for {
		select {
		case m := <-p.in:
			if ok(m) {
				return m
			}
			seen = append(seen, m.start)
		case <-limit.C:
			p.t.Fatalf("nothing fitting within 20 s; saw %.40q", seen)
		}
	}
}

// send writes to the one that registered last.
func (p *peer) send(s string) {
	p.mu.Lock()
	w := p.flow
	p.mu.Unlock()
	if w == nil {
		p.t.Error("nobody has registered")
		return
	}
	w(s)
}

// dialog is a call of the peer's.
type dialog struct {
	p             *peer
	id, tag, far  string
	seq           int
	contact       string
	invite        string // the last INVITE's Via
	routes        string
	remoteContact string
}

func (p *peer) newDialog(id string) *dialog {
	p.mu.Lock()
	defer p.mu.Unlock()
	return &dialog{p: p, id: id, tag: "far-" + id, seq: 100, contact: p.contact}
}

func (d *dialog) via() string {
	d.p.mu.Lock()
	defer d.p.mu.Unlock()
	d.p.branches++
	return fmt.Sprintf("SIP/2.0/%s %s;branch=z9hG4bK%s-%d;rport", strings.ToUpper(d.p.net), d.p.addr(), d.id, d.p.branches)
}

// request builds a request of the dialog. The seq rises except for ACK and CANCEL.
func (d *dialog) request(method, body string, headers ...string) string {
	via := d.via()
	switch method {
	case "ACK":
	case "CANCEL":
		via = d.invite
	default:
		d.seq++
	}
	if method == "INVITE" {
		d.invite = via
	}
	to := "<sip:200@127.0.0.1>"
	if d.far != "" && method != "CANCEL" {
		to += ";tag=" + d.far
	}
	uri := d.contact
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s SIP/2.0\r\nVia: %s\r\nMax-Forwards: 70\r\nFrom: \"Bob \\\"B\\\" Brown\" <sip:108@127.0.0.1>;tag=%s\r\nTo: %s\r\n", method, uri, via, d.tag, to)
	fmt.Fprintf(&b, "Call-ID: %s\r\nCSeq: %d %s\r\nContact: <sip:108@%s>\r\n", d.id, d.seq, method, d.p.addr())
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	if body != "" && !strings.Contains(strings.Join(headers, "\n"), "Content-Type") {
		b.WriteString("Content-Type: application/sdp\r\n")
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	return b.String()
}

func (d *dialog) cseq(method string) string { return fmt.Sprintf("%d %s", d.seq, method) }

// call sends an INVITE and gives its final answer; the tag is learned.
func (d *dialog) call(body string, headers ...string) *msg {
	d.p.t.Helper()
	d.p.send(d.request("INVITE", body, headers...))
	return d.learn(d.p.final(d.cseq("INVITE")))
}

func (d *dialog) learn(res *msg) *msg {
	if _, tag, ok := strings.Cut(res.get("To"), "tag="); ok && res.is("200") {
		d.far = tag
	}
	return res
}

// establish calls and acknowledges.
func (d *dialog) establish(body string, headers ...string) *msg {
	d.p.t.Helper()
	res := d.call(body, headers...)
	if !res.is("200") {
		d.p.t.Fatalf("INVITE: got %q, want 200", res.start)
	}
	d.p.send(d.request("ACK", ""))
	return res
}

// ask sends an in-dialog request and gives its final answer.
func (d *dialog) ask(method, body string, headers ...string) *msg {
	d.p.t.Helper()
	d.p.send(d.request(method, body, headers...))
	return d.p.final(d.cseq(method))
}

func md5hex(s string) string {
	h := md5.Sum([]byte(s))
	return hex.EncodeToString(h[:])
}

// params reads the parameters of an Authorization header.
func params(h string) map[string]string {
	out := make(map[string]string)
	_, h, _ = strings.Cut(h, " ")
	for f := range strings.SplitSeq(h, ",") {
		k, v, _ := strings.Cut(f, "=")
		out[strings.TrimSpace(k)] = strings.Trim(strings.TrimSpace(v), `"`)
	}
	return out
}

const sdpOne = "v=0\r\no=- 26105925182860117023 4600226109999676363 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n" +
	"m=audio 42898 RTP/AVP 111 0 8 101\r\na=rtpmap:111 OPUS/48000/2\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"

const sdpTwo = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n" +
	"m=audio 50400 RTP/AVP 0 8 101\r\ni=Y3M party-id=cs1-7\r\n" +
	"m=audio 50402 RTP/AVP 8 0 101\r\ni=Y3M party-id=cs1-8\r\na=sendrecv\r\n"
