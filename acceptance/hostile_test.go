package acceptance

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim/trunk"
)

// Hosts of the loopback network: the registrar is 127.0.0.1.
const (
	friend   = "127.0.0.2" // in sip.accept_from
	stranger = "127.0.0.3"
)

// peer is a UDP socket that sends by hand.
type peer struct {
	net.PacketConn
	to net.Addr
	n  int
}

func newPeer(t *testing.T, host string, to netip.AddrPort) *peer {
	t.Helper()
	c, err := net.ListenPacket("udp", host+":0") //nolint:noctx // opens at once
	if err != nil {
		t.Skipf("no loopback address %s: %v", host, err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &peer{PacketConn: c, to: net.UDPAddrFromAddrPort(to)}
}

func (p *peer) send(t *testing.T, b []byte) {
	t.Helper()
	if _, err := p.WriteTo(b, p.to); err != nil && len(b) > 0 {
		t.Logf("send: %v", err)
	}
}

// final sends a request until its final answer comes, and gives the code; 0: none within the limit.
func (p *peer) final(t *testing.T, request string, limit time.Duration) int {
	t.Helper()
	branch := between(request, "branch=", "\r\n")
	b := make([]byte, 65536)
	for end := time.Now().Add(limit); time.Now().Before(end); {
		p.send(t, []byte(request))
		if err := p.SetReadDeadline(time.Now().Add(500 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		for {
			n, _, err := p.ReadFrom(b)
			if err != nil {
				break
			}
			answer := string(b[:n])
			code, _ := strconv.Atoi(between(answer, "SIP/2.0 ", " "))
			if strings.Contains(answer, branch) && code >= 200 {
				return code
			}
		}
	}
	return 0
}

// answered tells whether anything has come.
func (p *peer) answered(t *testing.T) string {
	t.Helper()
	if err := p.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 65536)
	n, _, err := p.ReadFrom(b)
	if err != nil {
		return ""
	}
	return string(b[:n])
}

func between(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}

const goodSDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"

// request writes a request of ours; extra are further header lines.
func (p *peer) request(method, callID, toTag, body string, extra ...string) string {
	p.n++
	head := []string{
		method + " sip:alice@" + p.to.String() + " SIP/2.0",
		fmt.Sprintf("Via: SIP/2.0/UDP %s;rport;branch=z9hG4bK-acc-%d", p.LocalAddr(), p.n),
		"Max-Forwards: 70", "From: <sip:mallory@127.0.0.2>;tag=mal", "To: <sip:alice@sip.test>" + toTag, "Call-ID: " + callID,
		fmt.Sprintf("CSeq: %d %s", p.n, method), "Contact: <sip:mallory@" + p.LocalAddr().String() + ">",
	}
	head = append(head, extra...)
	if body != "" {
		head = append(head, "Content-Type: application/sdp")
	}
	return strings.Join(head, "\r\n") + fmt.Sprintf("\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// torture is what no parser may fall over.
func torture(p *peer) [][]byte {
	good := p.request("INVITE", "torture", "", goodSDP)
	var out [][]byte
	for _, s := range []string{
		"", "\r\n", "\x00", "INVITE", "INVITE sip:a SIP/2.0", "INVITE sip:a SIP/2.0\r\n\r\n", "SIP/2.0 200 OK\r\n\r\n", "SIP/2.0 99999999999 X\r\n\r\n",
		"\xff\xfe\xfd", strings.Repeat("A", 60000), strings.Repeat("\r\n", 2000), "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		strings.Replace(good, "Content-Length: ", "Content-Length: -", 1), strings.Replace(good, "Content-Length: ", "Content-Length: 99999999999999999999", 1),
		strings.Replace(good, "CSeq: ", "CSeq: 99999999999", 1), regexp.MustCompile(`CSeq: .*`).ReplaceAllString(good, "CSeq: x y z"),
		regexp.MustCompile(`Via: .*`).ReplaceAllString(good, "Via: SIP/2.0/UDP"), regexp.MustCompile(`From: .*`).ReplaceAllString(good, `From: "\`),
		regexp.MustCompile(`Call-ID: .*\r\n`).ReplaceAllString(good, ""), regexp.MustCompile(`Contact: .*`).ReplaceAllString(good, "Contact: <"),
		strings.Replace(good, "To: ", strings.Repeat("To: <sip:x@y>\r\n", 500)+"To: ", 1), strings.Replace(good, "sip:alice@", "sip:%00@[::", 1),
		strings.Replace(good, "Max-Forwards: 70", "Max-Forwards: -1", 1), strings.ReplaceAll(good, "\r\n", "\n"), good[:len(good)/2], good[:100],
		"CANCEL" + strings.ReplaceAll(good[6:], " INVITE", " CANCEL"), "BYE" + good[6:], "\t" + good, strings.ToLower(good),
	} {
		out = append(out, []byte(s))
	}
	random := rand.New(rand.NewPCG(3, 3)) //nolint:gosec // the same each time
	for range 300 {
		b := []byte(good)
		for range 1 + random.IntN(8) {
			b[random.IntN(len(b))] = byte(random.IntN(256))
		}
		out = append(out, b)
	}
	return out
}

// badSDP cannot be answered with a 200.
var badSDP = []string{ //nolint:gochecknoglobals // constant
	"x", "v=0\r\n", "v=1\r\nm=audio", strings.Repeat("m=audio 1 RTP/AVP 0\r\n", 2000),
	strings.Replace(goodSDP, "40000", "99999", 1), strings.Replace(goodSDP, "40000", "-1", 1), strings.Replace(goodSDP, "m=audio", "m=video", 1),
	strings.Replace(goodSDP, "RTP/AVP 0", "RTP/AVP 9", 1), strings.Replace(goodSDP, "RTP/AVP", "UDP/TLS/RTP/SAVPF", 1),
	strings.Replace(goodSDP, "RTP/AVP", "RTP/SAVP", 1), strings.Replace(goodSDP, "RTP/AVP 0", "RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA", 1),
	goodSDP + "a=" + strings.Repeat("z", 30000) + "\x00\r\nm=audio\r\n",
}

// badRTP is what may come to a media port: junk, RTP of another source, forgeries with the stream's own SSRC.
func badRTP(c plainCall) [][]byte {
	sent := c.stream.Sent()
	last := sent[len(sent)-1]
	packet := func(ssrc uint32, seq uint16, ts uint32, payload int) []byte {
		b := make([]byte, 12+payload)
		b[0] = 0x80
		binary.BigEndian.PutUint16(b[2:], seq)
		binary.BigEndian.PutUint32(b[4:], ts)
		binary.BigEndian.PutUint32(b[8:], ssrc)
		for i := range payload {
			b[12+i] = 0x55
		}
		return b
	}
	out := [][]byte{{}, {0}, {0x80}, make([]byte, 11), make([]byte, 1500), make([]byte, 60000), {0x80, 200, 0, 1, 0, 0, 0, 0}, {0x8f, 0, 0, 1}}
	for i := range uint16(100) {
		out = append(out,
			packet(last.SSRC, last.Seq+i, last.Timestamp+160*uint32(i), 160), // ahead of the true ones
			packet(last.SSRC+1, i, 160*uint32(i), 160), packet(last.SSRC, last.Seq+i, last.Timestamp+1<<30, 1400))
	}
	ext := packet(last.SSRC, last.Seq, last.Timestamp, 4)
	ext[0] = 0xBF // padding, extension, 15 CSRCs, and no room for them
	return append(out, ext)
}

var localIn = regexp.MustCompile(`msg=registered .*local=(\S+)`)

// sipAddr is where the daemon's UDP socket is.
func (d daemon) sipAddr(t *testing.T) netip.AddrPort {
	t.Helper()
	m := localIn.FindStringSubmatch(d.log.String())
	if m == nil {
		t.Fatalf("no registration in the log:\n%s", d.log.String())
	}
	return netip.MustParseAddrPort(m[1])
}

func TestMalformedSIPSDPAndRTPHurtNoCall(t *testing.T) {
	t.Parallel()
	r := registrar(t, "127.0.0.1:0")
	d := write(t, plain(r.Addr("udp"), "udp", alice.Password, "accept_from: [\""+friend+"/32\"]")).runReady(t)
	at := d.sipAddr(t)
	live := call(t, r, 1, trunk.Invite{})
	heard(t, live.stream, 500*time.Millisecond)

	known, unknown := newPeer(t, friend, at), newPeer(t, stranger, at)
	for _, b := range torture(known) {
		known.send(t, b)
		unknown.send(t, b)
	}
	for i, sdp := range badSDP {
		if code := known.final(t, known.request("INVITE", fmt.Sprintf("bad-sdp-%d", i), "", sdp), 5*time.Second); code < 400 || code > 499 {
			t.Errorf("INVITE with the SDP %.60q: answered %d, want 4xx", sdp, code)
		}
	}
	for _, method := range []string{"BYE", "INVITE", "CANCEL", "INFO", "UPDATE"} {
		forged := known.request(method, live.CallID(), ";tag=guessed", "")
		if code := known.final(t, forged, 5*time.Second); code != 481 {
			t.Errorf("%s into the live dialog with a guessed tag: answered %d, want 481", method, code)
		}
	}
	media := live.stream.Remote()
	for _, host := range []string{"127.0.0.1", stranger} {
		rtp := newPeer(t, host, media)
		rtcp := newPeer(t, host, netip.AddrPortFrom(media.Addr(), media.Port()+1))
		for _, b := range badRTP(live) {
			rtp.send(t, b)
			rtcp.send(t, b)
		}
	}
	sent := len(live.stream.Sent())
	oracle.Eventually(t, 10*time.Second, "another second of the call", func() bool { return len(live.stream.Sent()) >= sent+50 })
	after := call(t, r, 2, trunk.Invite{}) // and a new call is answered as ever
	heard(t, after.stream, time.Second)
	live.hangUp(t)
	after.hangUp(t)
	oracle.Eventually(t, 5*time.Second, "both calls sealed", func() bool {
		n := 0
		sealed, _ := oracle.Folders(t, d.dir)
		for _, f := range sealed {
			if id := oracle.Read(t, f).Call.ID; id == live.CallID() || id == after.CallID() {
				n++
			}
		}
		return n == 2
	})
	s := d.status(t)
	if s.Drops["stray"]+s.Drops["malformed"] == 0 {
		t.Errorf("drops: %v, want what came from strangers counted", s.Drops)
	}
	if code, _ := d.get("/readyz"); code != http.StatusOK {
		t.Errorf("/readyz: %d, want 200", code)
	}
	if bad := append(d.log.lines("level=ERROR"), d.log.lines("level=WARN")...); len(bad) > 20 {
		t.Errorf("%d lines of warning, want a handful:\n%s", len(bad), strings.Join(bad, "\n"))
	}
	d.terminate(t)
	for _, rec := range oracle.All(t, d.dir) {
		switch rec.Call.ID {
		case live.CallID():
			compareOne(t, live, rec)
		case after.CallID():
			compareOne(t, after, rec)
		default:
			if rec.State != "no_media" {
				t.Errorf("call %q: state %s: only calls without media may have come of it", rec.Call.ID, rec.State)
			}
		}
	}
}

func TestAStrangersINVITEIsNotAnswered(t *testing.T) {
	t.Parallel()
	r := registrar(t, "127.0.0.1:0")
	d := write(t, plain(r.Addr("udp"), "udp", alice.Password, "accept_from: ["+friend+"]")).runReady(t)
	at := d.sipAddr(t)
	known, unknown := newPeer(t, friend, at), newPeer(t, stranger, at)
	for _, method := range []string{"INVITE", "OPTIONS", "BYE", "REGISTER"} {
		unknown.send(t, []byte(unknown.request(method, "stranger", "", goodSDP)))
	}
	// What the friend asks later is answered: the stranger's requests were read before it.
	if code := known.final(t, known.request("OPTIONS", "friend", "", ""), 5*time.Second); code != 200 {
		t.Errorf("OPTIONS from %s, which is in accept_from: answered %d, want 200", friend, code)
	}
	if got := unknown.answered(t); got != "" {
		t.Errorf("the stranger was answered: %s", got)
	}
	counted := int64(0)
	for _, n := range d.status(t).SIP {
		counted += n
	}
	if counted < 4 {
		t.Errorf("signalling counters: %v, want the stranger's requests counted", d.status(t).SIP)
	}
	d.terminate(t)
	if sealed, open := oracle.Folders(t, d.dir); len(sealed)+len(open) > 0 {
		t.Errorf("recordings: %v %v, want none", sealed, open)
	}
}
