package trunk

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	domain   = "sip.example.com"
	userName = "12055550101"
	authID   = "802636634016"
	password = "made-up-pw"
)

// world is a running trunk and what it complained about.
type world struct {
	*Trunk
	mu         sync.Mutex
	violations []string
	online     []bool
}

func start(t *testing.T, change func(*Config)) *world {
	t.Helper()
	w := &world{}
	cfg := Config{
		Domain: domain, UDP: "127.0.0.1:0", TCP: "127.0.0.1:0", TLS: "127.0.0.1:0", Certificate: certificate(t), Strict: true,
		User: func(id string) (User, bool) {
			return User{AuthID: id, UserName: userName, Password: password}, id == authID
		},
		OnViolation: func(text string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.violations = append(w.violations, text)
		},
		OnBinding: func(_ string, online bool) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.online = append(w.online, online)
		},
	}
	if change != nil {
		change(&cfg)
	}
	tr, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.Trunk = tr
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- tr.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	eventually(t, func() bool {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		return tr.running
	})
	return w
}

func (w *world) complaints() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.violations...)
}

func (w *world) wantNoComplaint(t *testing.T) {
	t.Helper()
	for _, v := range w.complaints() {
		t.Errorf("violation: %s", v)
	}
}

func (w *world) wantComplaint(t *testing.T, part string) {
	t.Helper()
	eventually(t, func() bool { return strings.Contains(strings.Join(w.complaints(), "\n"), part) }, func() string {
		return fmt.Sprintf("violations %q: want one with %q", w.complaints(), part)
	})
}

// eventually waits for a condition.
func eventually(t *testing.T, cond func() bool, why ...func() string) {
	t.Helper()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	end := time.Now().Add(5 * time.Second)
	for !cond() {
		if time.Now().After(end) {
			text := "condition never came"
			if len(why) > 0 {
				text = why[0]()
			}
			t.Fatal(text)
		}
		<-ticker.C
	}
}

func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// device is a tiny raw SIP client: it knows as much of SIP as its script needs.
type device struct {
	t       *testing.T
	w       *world
	network string
	conn    net.Conn
	in      chan *message
	pongs   chan struct{}
	contact string
	callID  string
	cseq    int
	media   []*net.UDPConn
	keys    [][]byte
	toTag   string
	copies  int // of each 200 to INVITE, sent at once
	// mess changes a 200 to INVITE before it goes out.
	mess func(*message)
	sdp  func(string) string
}

func dial(t *testing.T, w *world, network string) *device {
	t.Helper()
	var conn net.Conn
	var err error
	if network == "tls" {
		conn, err = tls.Dial("tcp", w.Addr("tls"), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // own certificate
	} else {
		conn, err = net.Dial(network, w.Addr(network))
	}
	if err != nil {
		t.Fatal(err)
	}
	d := &device{t: t, w: w, network: network, conn: conn, in: make(chan *message, 100), pongs: make(chan struct{}, 100), toTag: "device" + network}
	d.callID = fmt.Sprintf("reg-%s", conn.LocalAddr())
	d.contact = fmt.Sprintf("sip:%s@%s;transport=%s;ob", userName, conn.LocalAddr(), strings.ToUpper(network))
	done := make(chan struct{})
	go func() { defer close(done); d.read() }()
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
		for _, m := range d.media {
			_ = m.Close()
		}
	})
	return d
}

func (d *device) read() {
	r := bufio.NewReader(d.conn)
	for {
		var m *message
		var err error
		if d.network == "udp" {
			b := make([]byte, 65536)
			var n int
			if n, err = d.conn.Read(b); err == nil && string(b[:n]) == "\r\n" {
				d.pongs <- struct{}{}
				continue
			}
			if err == nil {
				m, err = parseMessage(b[:n])
			}
		} else {
			m, _, err = readMessage(r)
		}
		if err != nil {
			return
		}
		d.in <- m
	}
}

func (d *device) send(m *message) {
	d.t.Helper()
	if _, err := d.conn.Write(m.bytes()); err != nil {
		d.t.Fatal(err)
	}
}

// next is the next message of that method, or response of that code; others are passed over.
func (d *device) next(what string) *message {
	d.t.Helper()
	end := time.After(5 * time.Second)
	for {
		select {
		case m := <-d.in:
			if m.method == what || fmt.Sprint(m.code) == what {
				return m
			}
		case <-end:
			d.t.Fatalf("no %s came", what)
		}
	}
}

// request makes a REGISTER, or another request outside a dialog.
func (d *device) request(method, uri string) *message {
	d.cseq++
	return &message{method: method, uri: uri, headers: []Header{
		{"Via", fmt.Sprintf("SIP/2.0/%s %s;rport;branch=%s", strings.ToUpper(d.network), d.conn.LocalAddr(), newBranch())},
		{"Max-Forwards", "70"}, {"From", fmt.Sprintf("<sip:%s@%s>;tag=a1", userName, domain)},
		{"To", fmt.Sprintf("<sip:%s@%s>", userName, domain)}, {"Call-ID", d.callID},
		{"CSeq", fmt.Sprintf("%d %s", d.cseq, method)},
	}}
}

func (d *device) registration(expires int, auth string) *message {
	m := d.request("REGISTER", "sip:"+domain)
	m.add("Contact", fmt.Sprintf(`<%s>;reg-id=1;+sip.instance="<urn:uuid:%s>"`, d.contact, d.callID))
	m.add("Expires", fmt.Sprint(expires))
	if auth != "" {
		m.add("Authorization", auth)
	}
	return m
}

// register goes through a whole registration and gives the last response.
func (d *device) register(expires int, pw string) *message {
	d.t.Helper()
	d.send(d.registration(expires, ""))
	c := credentials(d.next("401").get("Www-Authenticate"))
	c["uri"], c["username"] = "sip:"+domain, authID
	auth := fmt.Sprintf(`Digest username="%s", realm="%s", nonce="%s", uri="%s"`, authID, domain, c["nonce"], c["uri"])
	if c["qop"] != "" {
		c["nc"], c["cnonce"] = "00000001", "0a4f113b"
		auth += `, qop=auth, nc=00000001, cnonce="0a4f113b"`
	}
	auth += fmt.Sprintf(`, response="%s"`, digestResponse(authID, domain, pw, "REGISTER", c))
	d.send(d.registration(expires, auth))
	for {
		select {
		case m := <-d.in:
			if m.code >= 200 {
				return m
			}
		case <-time.After(5 * time.Second):
			d.t.Fatal("REGISTER was not answered")
		}
	}
}

func (d *device) online() {
	d.t.Helper()
	if r := d.register(3600, password); r.code != 200 {
		d.t.Fatalf("REGISTER: %d %s", r.code, r.reason)
	}
}

// reply makes a response to a request of the trunk.
func (d *device) reply(m *message, code int) *message {
	r := &message{code: code, reason: "X", headers: m.all("Via")}
	to := m.get("To")
	if code > 100 && tag(to) == "" {
		to += ";tag=" + d.toTag
	}
	r.headers = append(r.headers, Header{"From", m.get("From")}, Header{"To", to}, Header{"Call-ID", m.get("Call-ID")},
		Header{"CSeq", m.get("CSeq")})
	return r
}

// answer gives the 200 to an INVITE, with a port for each of the lines' media.
func (d *device) answer(m *message) *message {
	d.t.Helper()
	r := d.reply(m, 200)
	r.add("Contact", "<"+d.contact+">")
	r.add("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE, INFO, NOTIFY, MESSAGE, OPTIONS")
	r.add("Supported", "timer")
	if v := m.get("Session-Expires"); v != "" {
		r.add("Require", "timer")
		r.add("Session-Expires", v)
	}
	r.add("Content-Type", "application/sdp")
	r.body = d.describe(m)
	if d.mess != nil {
		d.mess(r)
	}
	return r
}

// describe is the device's SDP: the answer to m's offer, or an offer of one line.
func (d *device) describe(m *message) []byte {
	d.t.Helper()
	lines := []mediaLine{{kind: "audio", proto: "RTP/AVP", formats: []string{"8", "0", "101"}, direction: "sendrecv"}}
	var offer *session
	if len(m.body) > 0 {
		var err error
		if offer, err = parseSDP(m.body); err != nil {
			d.t.Fatalf("offer: %v\n%s", err, m.body)
		}
		lines = offer.media
	}
	var b strings.Builder
	fmt.Fprintf(&b, "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n")
	for i, l := range lines {
		if i == len(d.media) {
			conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				d.t.Fatal(err)
			}
			d.media, d.keys = append(d.media, conn), append(d.keys, random(30))
		}
		port := portOf(d.media[i])
		formats := l.formats
		if offer != nil {
			formats = []string{law(l.formats), "101"}
			if l.addr.Port() == 0 {
				port = 0
			}
		}
		fmt.Fprintf(&b, "m=audio %d %s %s\r\na=rtpmap:101 telephone-event/8000\r\na=%s\r\n", port, l.proto,
			strings.Join(formats, " "), mirrored(l.direction))
		if l.proto == "RTP/SAVP" && port != 0 {
			fmt.Fprintf(&b, "a=crypto:1 %s inline:%s\r\n", suite80, base64.StdEncoding.EncodeToString(d.keys[i]))
		}
	}
	text := b.String()
	if d.sdp != nil {
		text = d.sdp(text)
	}
	return []byte(text)
}

// law is the first of G.711's in a list.
func law(formats []string) string {
	for _, f := range formats {
		if f == "0" || f == "8" {
			return f
		}
	}
	return formats[0]
}

// accept takes the next INVITE: 100, 200, ACK, one silent packet per line.
func (d *device) accept() (invite, ack *message) {
	d.t.Helper()
	invite = d.next("INVITE")
	d.send(d.reply(invite, 100))
	answer := d.answer(invite)
	for range 1 + d.copies {
		d.send(answer)
	}
	ack = d.next("ACK")
	sdp := invite.body
	if len(sdp) == 0 {
		sdp = ack.body
	}
	d.speak(sdp)
	return invite, ack
}

// speak sends one packet of silence to each line of an SDP of the trunk.
func (d *device) speak(sdp []byte) {
	d.t.Helper()
	s, err := parseSDP(sdp)
	if err != nil {
		d.t.Fatal(err)
	}
	for i, l := range s.media {
		if l.addr.Port() != 0 {
			d.rtp(i, l.addr, 7, strings.Repeat(silenceOf(law(l.formats)), 160))
		}
	}
}

func silenceOf(format string) string {
	if format == "8" {
		return "\xD5"
	}
	return "\xFF"
}

// rtp sends one packet of the first G.711 law named by its silence, sealed if the dialog is.
func (d *device) rtp(i int, to netip.AddrPort, seq uint16, payload string) {
	d.t.Helper()
	pt := byte(0)
	if strings.HasPrefix(payload, "\xD5") {
		pt = 8
	}
	b := append(appendRTP(nil, false, pt, seq, 160*uint32(seq), 0xDEADBEEF), payload...)
	if d.w.srtpOn() {
		b = newSRTP(suite80, d.keys[i]).seal(b, rtpHeader, 0xDEADBEEF, uint64(seq))
	}
	if _, err := d.media[i].WriteToUDPAddrPort(b, to); err != nil {
		d.t.Fatal(err)
	}
}

// srtpOn tells whether any dialog of the trunk has SRTP.
func (w *world) srtpOn() bool {
	w.Trunk.mu.Lock()
	defer w.Trunk.mu.Unlock()
	for _, d := range w.dialogs {
		if d.in.SRTP {
			return true
		}
	}
	return false
}

// hear takes n packets of line i, decrypted with the trunk's key where it has one.
func (d *device) hear(i, n int, key []byte) []rtpPacket {
	d.t.Helper()
	var c *srtpContext
	if key != nil {
		c = newSRTP(suite80, key)
	}
	var out []rtpPacket
	_ = d.media[i].SetReadDeadline(time.Now().Add(5 * time.Second))
	for len(out) < n {
		b := make([]byte, 2048)
		size, err := d.media[i].Read(b)
		if err != nil {
			d.t.Fatalf("line %d: %d packets came, want %d: %v", i, len(out), n, err)
		}
		p, ok := parseRTP(b[:size])
		if c != nil {
			p, ok = c.open(b[:size])
		}
		if !ok {
			d.t.Fatalf("line %d: packet %d does not open", i, len(out))
		}
		out = append(out, p)
	}
	return out
}

// invited calls the device and has it accept; the dialog is ended with the test.
func (d *device) invited(in Invite) (dialog *Dialog, invite, ack *message) {
	d.t.Helper()
	type result struct {
		d   *Dialog
		err error
	}
	got := make(chan result, 1)
	in.UserName = userName
	if in.FromUser == "" {
		in.FromUser = "108"
	}
	go func() {
		dl, err := d.w.Invite(d.t.Context(), in)
		got <- result{dl, err}
	}()
	invite, ack = d.accept()
	r := <-got
	if r.err != nil {
		d.t.Fatalf("Invite: %v", r.err)
	}
	return r.d, invite, ack
}
