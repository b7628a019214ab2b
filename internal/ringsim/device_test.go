package ringsim_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/ringsim"
)

// device is the supervisor's phone of these tests: plain SIP over TCP, plain RTP, as little of both as will do. It shares
// nothing with the simulator nor with what the simulator tests.
type device struct {
	t    *testing.T
	conn net.Conn
	addr string
	wg   sync.WaitGroup

	// mu guards the fields below.
	mu      sync.Mutex
	invites []*message
	lines   map[string][]*mediaLine // by Call-ID
	closed  bool
	all     []*mediaLine // those that a re-INVITE replaced too
	byes    int
}

type mediaLine struct {
	title  string
	law    byte
	remote *net.UDPAddr
	conn   *net.UDPConn
	mu     sync.Mutex
	got    map[uint32][]byte // payload by timestamp
}

type message struct {
	start  string
	header textproto.MIMEHeader
	body   string
}

// registered dials the TCP proxy and registers.
func registered(t *testing.T, sim *ringsim.Sim) *device {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", sim.Proxy("tcp"))
	if err != nil {
		t.Fatal(err)
	}
	d := &device{t: t, conn: conn, addr: conn.LocalAddr().String(), lines: map[string][]*mediaLine{}}
	t.Cleanup(func() {
		_ = conn.Close()
		d.mu.Lock()
		d.closed = true
		for _, l := range d.all {
			_ = l.conn.Close()
		}
		d.mu.Unlock()
		d.wg.Wait()
	})
	r := bufio.NewReader(conn)
	d.register(r, 600)
	d.wg.Go(func() { d.serve(r) })
	return d
}

// register binds the device's contact for so many seconds; 0 unbinds it.
func (d *device) register(r *bufio.Reader, expires int) {
	d.t.Helper()
	send := func(cseq int, extra string) *message {
		d.write("REGISTER sip:" + ringsim.Domain + " SIP/2.0\r\nVia: SIP/2.0/TCP " + d.addr + ";branch=z9hG4bK" + strconv.Itoa(cseq) +
			"\r\nFrom: <sip:12055550101@" + ringsim.Domain + ">;tag=d\r\nTo: <sip:12055550101@" + ringsim.Domain + ">\r\nCall-ID: reg\r\nCSeq: " + strconv.Itoa(cseq) +
			" REGISTER\r\nMax-Forwards: 70\r\nContact: " + d.contact() + "\r\nExpires: " + strconv.Itoa(expires) + "\r\n" + extra + "Content-Length: 0\r\n\r\n")
		for {
			m, err := readMessage(r)
			if err != nil {
				d.t.Fatal(err)
			}
			if !strings.HasPrefix(m.start, "SIP/2.0 1") {
				return m
			}
		}
	}
	cseq := 1000 - expires
	m := send(cseq, "")
	nonce := regexp.MustCompile(`nonce="([^"]*)"`).FindStringSubmatch(m.header.Get("Www-Authenticate"))
	if nonce == nil {
		d.t.Fatalf("REGISTER: %s %v, want a challenge", m.start, m.header)
	}
	uri := "sip:" + ringsim.Domain
	response := md5hex(md5hex(ringsim.DefaultDeviceID+":"+ringsim.Domain+":ringsim-made-up-pw") + ":" + nonce[1] + ":" + md5hex("REGISTER:"+uri))
	if m = send(cseq+1, fmt.Sprintf("Authorization: Digest username=%q, realm=%q, nonce=%q, uri=%q, response=%q\r\n",
		ringsim.DefaultDeviceID, ringsim.Domain, nonce[1], uri, response)); !strings.HasPrefix(m.start, "SIP/2.0 200") {
		d.t.Fatalf("REGISTER: %s, want 200", m.start)
	}
}

func md5hex(s string) string { return fmt.Sprintf("%x", md5.Sum([]byte(s))) }

func (d *device) contact() string { return "<sip:12055550101@" + d.addr + ";transport=TCP;ob>" }

func (d *device) write(s string) { _, _ = io.WriteString(d.conn, s) }

func readMessage(r *bufio.Reader) (*message, error) {
	tp := textproto.NewReader(r)
	start := ""
	for start == "" {
		var err error
		if start, err = tp.ReadLine(); err != nil {
			return nil, err
		}
	}
	h, err := tp.ReadMIMEHeader()
	if err != nil {
		return nil, err
	}
	n, _ := strconv.Atoi(h.Get("Content-Length"))
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, err
	}
	return &message{start, h, string(body)}, nil
}

func (d *device) serve(r *bufio.Reader) {
	for {
		m, err := readMessage(r)
		if err != nil {
			return
		}
		method, _, _ := strings.Cut(m.start, " ")
		switch method {
		case "INVITE":
			d.answer(m)
		case "ACK":
			d.mu.Lock()
			lines := d.lines[m.header.Get("Call-Id")]
			d.mu.Unlock()
			for _, l := range lines {
				l.latch()
			}
		case "BYE", "OPTIONS", "UPDATE":
			if method == "BYE" {
				d.mu.Lock()
				d.byes++
				d.mu.Unlock()
			}
			d.respond(m, "", "")
		}
	}
}

func (d *device) respond(m *message, extra, body string) {
	var b strings.Builder
	b.WriteString("SIP/2.0 200 OK\r\n")
	for _, via := range m.header["Via"] {
		b.WriteString("Via: " + via + "\r\n")
	}
	to := m.header.Get("To")
	if !strings.Contains(to, "tag=") {
		to += ";tag=dev"
	}
	fmt.Fprintf(&b, "From: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %s\r\n%sContent-Length: %d\r\n\r\n%s",
		m.header.Get("From"), to, m.header.Get("Call-Id"), m.header.Get("Cseq"), extra, len(body), body)
	d.write(b.String())
}

// answer takes every line of the offer with its first G.711 law.
func (d *device) answer(m *message) {
	host, _, _ := net.SplitHostPort(d.addr)
	remote := regexp.MustCompile(`(?m)^c=IN IP4 (\S+)`).FindStringSubmatch(m.body)[1]
	var lines []*mediaLine
	answer := "v=0\r\no=- 1 1 IN IP4 " + host + "\r\ns=-\r\nc=IN IP4 " + host + "\r\nt=0 0\r\n"
	for _, section := range strings.Split(m.body, "\nm=")[1:] {
		f := strings.Fields(section)
		port, _ := strconv.Atoi(f[1])
		conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(host)})
		if err != nil {
			d.t.Errorf("device: %v", err)
			return
		}
		l := &mediaLine{law: 0, conn: conn, remote: &net.UDPAddr{IP: net.ParseIP(remote), Port: port}, got: map[uint32][]byte{}}
		first := strings.SplitN(section, "\r\n", 2)[0] + " "
		if !strings.Contains(first, " 0 ") {
			l.law = 8
		}
		if i := regexp.MustCompile(`(?m)^i=(.*)\r$`).FindStringSubmatch(section); i != nil {
			l.title = i[1]
		}
		direction := "sendrecv"
		if strings.Contains(section, "a=sendonly") {
			direction = "recvonly"
		}
		if strings.Contains(section, "a=inactive") {
			direction = "inactive"
		}
		answer += fmt.Sprintf("m=audio %d RTP/AVP %d\r\na=%s\r\n", conn.LocalAddr().(*net.UDPAddr).Port, l.law, direction)
		lines = append(lines, l)
		d.wg.Go(l.receive)
	}
	d.mu.Lock()
	d.invites = append(d.invites, m)
	d.lines[m.header.Get("Call-Id")] = lines
	d.all = append(d.all, lines...)
	if d.closed { // an INVITE that came as the test ended
		for _, l := range lines {
			_ = l.conn.Close()
		}
	}
	d.mu.Unlock()
	d.respond(m, "Contact: "+d.contact()+"\r\nSupported: timer\r\nRequire: timer\r\nSession-Expires: 14400;refresher=uac\r\nContent-Type: application/sdp\r\n", answer)
}

// latch sends the one silent packet without which RingCentral sends nothing.
func (l *mediaLine) latch() {
	silence := byte(0xFF)
	if l.law == 8 {
		silence = 0xD5
	}
	p := append([]byte{0x80, l.law, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4}, bytes.Repeat([]byte{silence}, 160)...)
	_, _ = l.conn.WriteToUDP(p, l.remote)
}

func (l *mediaLine) receive() {
	b := make([]byte, 2000)
	for {
		n, err := l.conn.Read(b)
		if err != nil {
			return
		}
		if n > 12 {
			l.mu.Lock()
			l.got[binary.BigEndian.Uint32(b[4:])] = bytes.Clone(b[12:n])
			l.mu.Unlock()
		}
	}
}

func (l *mediaLine) packets() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.got)
}

// heard tells whether the line got exactly what the stream says it sent, octet for octet.
func (l *mediaLine) heard(t *testing.T, st ringsim.Stream) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	sent := 0
	for _, p := range st.Sent() {
		if !p.Delivered {
			continue
		}
		sent++
		got := l.got[p.Timestamp]
		want := make([]byte, p.Octets)
		for i := range want {
			want[i] = st.Source.Octet(st.Law(), p.Pos+int64(i))
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("%s: packet at pos %d: got % x, want % x", st.Role, p.Pos, got[:min(8, len(got))], want[:8])
		}
	}
	if sent == 0 || sent != len(l.got) {
		t.Errorf("%s: got %d packets, sent %d", st.Role, len(l.got), sent)
	}
}

func (d *device) counts() (invites, byes int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.invites), d.byes
}

// inviteFor finds the INVITE with that Call-ID.
func (d *device) inviteFor(callID string) (*message, []*mediaLine) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range d.invites {
		if m.header.Get("Call-Id") == callID {
			return m, d.lines[callID]
		}
	}
	return nil, nil
}

func waitSupervised(t *testing.T, call *ringsim.Call) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := call.WaitSupervised(ctx); err != nil {
		t.Fatal(err)
	}
}
