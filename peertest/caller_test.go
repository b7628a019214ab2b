package peertest

import (
	"bufio"
	"fmt"
	"net"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// caller is a phone of ours on UDP: sipp takes no re-INVITE in the middle of its pause. It calls earshot through a registrar,
// sends audio all the while, and answers what comes.
type caller struct {
	t    *testing.T
	conn *net.UDPConn
	to   *net.UDPAddr // the registrar
	user string
	name string
	sdp  string

	mu      sync.Mutex
	answers map[string]chan message // by CSeq and Call-ID
	target  string                  // of the call: the far side's Contact
	routes  []string
	remote  string // To of the call, with its tag
	moved   int    // re-INVITEs that came
	done    chan struct{}
}

// message is one SIP message.
type message struct {
	start string
	lines textproto.MIMEHeader
	body  string
}

func readMessage(b []byte) (m message, err error) {
	r := textproto.NewReader(bufio.NewReader(strings.NewReader(string(b))))
	if m.start, err = r.ReadLine(); err != nil {
		return m, err
	}
	if m.lines, err = r.ReadMIMEHeader(); err != nil {
		return m, err
	}
	_, m.body, _ = strings.Cut(string(b), "\r\n\r\n")
	return m, nil
}

// newCaller opens the phone on a port of its own; its audio leaves from port+2.
func newCaller(t *testing.T, registrar, user string) *caller {
	t.Helper()
	port := nextPort()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(sippIP), Port: port})
	if err != nil {
		t.Fatal(err)
	}
	c := &caller{
		t: t, conn: conn, to: &net.UDPAddr{IP: net.ParseIP(registrar), Port: 5060}, user: user, name: fmt.Sprintf("phone%d", port),
		answers: map[string]chan message{}, done: make(chan struct{}),
		sdp: fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio %d RTP/AVP 0\r\na=ptime:20\r\n", sippIP, sippIP, port+2),
	}
	go c.listen()
	t.Cleanup(func() {
		_ = conn.Close()
		<-c.done
	})
	return c
}

func (c *caller) port() int { return c.conn.LocalAddr().(*net.UDPAddr).Port }

func (c *caller) listen() {
	defer close(c.done)
	b := make([]byte, 65535)
	for {
		n, from, err := c.conn.ReadFromUDP(b)
		if err != nil {
			return
		}
		m, err := readMessage(b[:n])
		if err != nil {
			continue
		}
		if strings.HasPrefix(m.start, "SIP/2.0 ") {
			c.mu.Lock()
			ch := c.answers[m.lines.Get("Call-Id")+m.lines.Get("Cseq")]
			c.mu.Unlock()
			if ch != nil && !strings.HasPrefix(m.start, "SIP/2.0 1") {
				select {
				case ch <- m:
				default: // a copy
				}
			}
			continue
		}
		c.request(m, from)
	}
}

// request answers what the far side wants: a re-INVITE moves the call's target, as RFC 3261 section 12.2.1.2 says.
func (c *caller) request(m message, from *net.UDPAddr) {
	method, _, _ := strings.Cut(m.start, " ")
	if method == "ACK" {
		return
	}
	body, contact := "", ""
	if method == "INVITE" {
		c.mu.Lock()
		c.target = uriOf(m.lines.Get("Contact"))
		c.moved++
		c.mu.Unlock()
		body = c.sdp
		contact = fmt.Sprintf("Contact: <sip:%s@%s>\r\nContent-Type: application/sdp\r\n", c.name, c.conn.LocalAddr())
	}
	var b strings.Builder
	b.WriteString("SIP/2.0 200 OK\r\n")
	for _, h := range []string{"Via", "Record-Route", "From", "To", "Call-Id", "Cseq"} {
		for _, v := range m.lines.Values(h) {
			fmt.Fprintf(&b, "%s: %s\r\n", h, v)
		}
	}
	fmt.Fprintf(&b, "%sContent-Length: %d\r\n\r\n%s", contact, len(body), body)
	_, _ = c.conn.WriteToUDP([]byte(b.String()), from)
}

func uriOf(contact string) string {
	_, rest, _ := strings.Cut(contact, "<")
	uri, _, _ := strings.Cut(rest, ">")
	return uri
}

// ask sends a request, again each 500 ms over UDP, until a final answer comes or the limit is over.
func (c *caller) ask(method, uri, to, id string, seq int, limit time.Duration, headers, body string) (message, bool) {
	cseq := fmt.Sprintf("%d %s", seq, method)
	ch := make(chan message, 1)
	c.mu.Lock()
	c.answers[id+cseq] = ch
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.answers, id+cseq)
		c.mu.Unlock()
	}()
	text := c.build(method, uri, to, id, cseq, headers, body)
	again := time.NewTicker(500 * time.Millisecond)
	defer again.Stop()
	end := time.NewTimer(limit)
	defer end.Stop()
	for {
		_, _ = c.conn.WriteToUDP([]byte(text), c.to) // it may be refused while nobody is there
		select {
		case m := <-ch:
			return m, true
		case <-again.C:
		case <-end.C:
			return message{}, false
		}
	}
}

func (c *caller) build(method, uri, to, id, cseq, headers, body string) string {
	return fmt.Sprintf("%s %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s-%s\r\nMax-Forwards: 70\r\nFrom: <sip:%s@sip.test>;tag=%s\r\nTo: %s\r\n"+
		"Call-ID: %s\r\nCSeq: %s\r\nContact: <sip:%s@%s>\r\n%sContent-Length: %d\r\n\r\n%s",
		method, uri, c.conn.LocalAddr(), id, strings.ReplaceAll(cseq, " ", ""), c.name, c.name, to, id, cseq, c.name, c.conn.LocalAddr(), headers, len(body), body)
}

// reaches says whether a request gets to earshot and its answer back, through the registrar and the flow.
func (c *caller) reaches(n int) bool {
	m, ok := c.ask("OPTIONS", "sip:"+c.user+"@sip.test", "<sip:"+c.user+"@sip.test>", fmt.Sprintf("%s-o%d", c.name, n), 1, 400*time.Millisecond, "", "")
	return ok && strings.HasPrefix(m.start, "SIP/2.0 200") && strings.HasPrefix(m.lines.Get("Server"), "earshot")
}

// call calls and gives the port that earshot listens to.
func (c *caller) call() (rtp int) {
	c.t.Helper()
	id := c.name + "-call"
	m, ok := c.ask("INVITE", "sip:"+c.user+"@sip.test", "<sip:"+c.user+"@sip.test>", id, 1, 5*time.Second, "Content-Type: application/sdp\r\n", c.sdp)
	if !ok || !strings.HasPrefix(m.start, "SIP/2.0 200") {
		c.t.Fatalf("INVITE: got %q", m.start)
	}
	c.mu.Lock()
	c.target, c.remote = uriOf(m.lines.Get("Contact")), m.lines.Get("To")
	for _, v := range m.lines.Values("Record-Route") {
		c.routes = append(c.routes, strings.Split(v, ",")...)
	}
	slices.Reverse(c.routes)
	c.mu.Unlock()
	c.say("ACK", 1)
	_, media, _ := strings.Cut(m.body, "m=audio ")
	if _, err := fmt.Sscan(media, &rtp); err != nil {
		c.t.Fatalf("answer: %q", m.body)
	}
	return rtp
}

func (c *caller) route() (headers, target, to string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.routes {
		headers += "Route: " + strings.TrimSpace(r) + "\r\n"
	}
	return headers, c.target, c.remote
}

// say sends a request of the call that has no answer.
func (c *caller) say(method string, seq int) {
	headers, target, to := c.route()
	_, _ = c.conn.WriteToUDP([]byte(c.build(method, target, to, c.name+"-call", fmt.Sprintf("%d %s", seq, method), headers, "")), c.to)
}

// hangUp says BYE, by the way of the dialog; the answer is given.
func (c *caller) hangUp() string {
	headers, target, to := c.route()
	m, _ := c.ask("BYE", target, to, c.name+"-call", 2, 5*time.Second, headers, "")
	return m.start
}

func (c *caller) reinvited() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.moved
}
