package acceptance

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim/trunk"
)

// siegeFor is how long the siege lasts; EARSHOT_SIEGE=10m is the whole of it.
func siegeFor(t *testing.T) time.Duration {
	t.Helper()
	v := os.Getenv("EARSHOT_SIEGE")
	if v == "" {
		return 20 * time.Second
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < 5*time.Second {
		t.Fatalf("EARSHOT_SIEGE=%s: want a time of five seconds or more, such as 10m", v)
	}
	return d
}

// The pace of each besieger, in datagrams: all of them together bring several times what the calls do.
const (
	siegeTick  = 5 * time.Millisecond
	siegeBurst = 5 // at each tick
)

// siege is who attacks a daemon.
type siege struct {
	t     *testing.T
	ctx   context.Context //nolint:containedctx // of one test
	at    netip.AddrPort  // of the daemon's signalling
	valid [][]byte        // RFC 4475's messages
	sent  atomic.Int64
}

// every does something at the siege's pace until it is over.
func (s *siege) every(f func(r *rand.Rand)) {
	r := rand.New(rand.NewPCG(rand.Uint64(), 1)) //nolint:gosec // no secret
	tick := time.NewTicker(siegeTick)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
		for range siegeBurst {
			f(r)
		}
	}
}

// signalling sends torture messages, mutations, and floods of requests with guessed ids from one host.
func (s *siege) signalling(p *peer, live []plainCall) {
	n := 0
	s.every(func(r *rand.Rand) {
		n++
		call := live[r.IntN(len(live))]
		var b []byte
		switch r.IntN(8) {
		case 0:
			b = s.valid[n%len(s.valid)]
		case 1:
			b = bytes.Clone(s.valid[n%len(s.valid)])
			for range 1 + r.IntN(8) {
				b[r.IntN(len(b))] = byte(r.IntN(256))
			}
		case 2:
			b = []byte(p.request("INVITE", fmt.Sprintf("flood-%d", n), "", goodSDP))
		case 3:
			b = []byte(p.request("OPTIONS", fmt.Sprintf("flood-%d", n), "", ""))
		case 4:
			b = []byte(p.request("BYE", call.CallID(), fmt.Sprintf(";tag=%x", r.Uint64()), ""))
		case 5:
			b = []byte(p.request([]string{"CANCEL", "INVITE", "UPDATE", "INFO", "ACK"}[r.IntN(5)], call.CallID(), fmt.Sprintf(";tag=%x", r.Uint64()), goodSDP))
		case 6:
			b = []byte("SIP/2.0 200 OK" + p.request("BYE", call.CallID(), ";tag=x", "")[len("BYE"):])
		default:
			b = make([]byte, r.IntN(1500))
			for i := range b {
				b[i] = byte(r.IntN(256))
			}
		}
		if _, err := p.WriteTo(b, p.to); err == nil {
			s.sent.Add(1)
		}
	})
}

// media sends garbage to the ports of the calls: noise, and RTP, RTCP and SRTP that is made up.
func (s *siege) media(host string, live []plainCall) {
	c, err := net.ListenPacket("udp", host+":0") //nolint:noctx // opens at once
	if err != nil {
		s.t.Errorf("media from %s: %v", host, err)
		return
	}
	defer c.Close() //nolint:errcheck // a test's
	s.every(func(r *rand.Rand) {
		to := live[r.IntN(len(live))].stream.Remote()
		b := make([]byte, 12+r.IntN(300))
		for i := range b {
			b[i] = byte(r.IntN(256))
		}
		switch r.IntN(4) {
		case 0: // RTP of our payload type
			b[0], b[1] = 0x80, 0
		case 1: // RTCP: a sender report, or a BYE
			b[0], b[1] = 0x81, []byte{200, 203}[r.IntN(2)]
		case 2: // what SRTP looks like, with the extension bit
			b[0], b[1] = 0x90, 0
		}
		port := to.Port() + uint16(r.IntN(2)) //nolint:gosec // 0 or 1
		if _, err := c.WriteTo(b, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to.Addr(), port))); err == nil {
			s.sent.Add(1)
		}
	})
}

// slow holds connections of the console open with a request that never ends, an octet at a time.
func (s *siege) slow(console string) {
	var d net.Dialer
	conns := make([]net.Conn, 0, 100)
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
		for _, c := range conns {
			_ = c.SetWriteDeadline(time.Now().Add(time.Millisecond))
			_, _ = c.Write([]byte("G"))
		}
		if len(conns) == cap(conns) { // those that were closed meanwhile come again
			_ = conns[0].Close()
			conns = append(conns[:0], conns[1:]...)
		}
		if c, err := d.DialContext(s.ctx, "tcp", console); err == nil {
			conns = append(conns, c)
		}
	}
}

// TestSiegeCostsNoSampleOfFiftyCalls: torture messages, mutations of them, floods with guessed ids, slow senders and garbage at
// the media ports, from a host that may send, from one that may not, and from the registrar's own, beside fifty calls.
func TestSiegeCostsNoSampleOfFiftyCalls(t *testing.T) {
	const calls = 50
	r := registrar(t, "127.0.0.1:0")
	d := write(t, plain(r.Addr("udp"), "udp", alice.Password, "accept_from: ["+friend+"]", fmt.Sprintf("max_calls: %d", calls+10))).runReady(t)
	files, err := filepath.Glob("../sip/testdata/torture/*.dat")
	if err != nil || len(files) == 0 {
		t.Fatalf("torture messages: %v", err)
	}
	ctx, over := context.WithTimeout(t.Context(), siegeFor(t))
	defer over()
	s := &siege{t: t, ctx: ctx, at: d.sipAddr(t)}
	for _, f := range files {
		b, err := os.ReadFile(f) //nolint:gosec // ours
		if err != nil {
			t.Fatal(err)
		}
		s.valid = append(s.valid, b)
	}
	var live []plainCall
	for i := range uint64(calls) {
		live = append(live, call(t, r, i+1, trunk.Invite{SRTP: i%2 == 0}))
	}
	heard(t, live[calls-1].stream, 300*time.Millisecond)

	var wg sync.WaitGroup
	for _, host := range []string{friend, stranger, "127.0.0.1"} {
		p := newPeer(t, host, s.at)
		if host != "127.0.0.1" { // that is the registrar's, whose word is believed: its garbage is its own
			wg.Go(func() { s.signalling(p, live) })
		}
		wg.Go(func() { s.media(host, live) })
	}
	wg.Go(func() { s.slow(consoleAt.FindStringSubmatch(d.log.String())[1]) })
	wg.Wait()

	after := make([]int, calls)
	for i, c := range live {
		if after[i] = len(c.stream.Sent()); c.Cause() != "" {
			t.Errorf("call %s has ended: %s", c.CallID(), c.Cause())
		}
	}
	oracle.Eventually(t, 10*time.Second, "another second of the calls", func() bool {
		for i, c := range live {
			if len(c.stream.Sent()) < after[i]+50 {
				return false
			}
		}
		return true
	})
	st := d.status(t)
	for _, c := range live {
		c.hangUp(t)
	}
	d.terminate(t)
	rec := oracle.ByCall(t, d.dir)
	for _, c := range live {
		compareOne(t, c, rec[c.CallID()])
		delete(rec, c.CallID())
	}
	for _, other := range rec {
		if other.State != "no_media" {
			t.Errorf("call %q: state %s: only calls without media may have come of it", other.Call.ID, other.State)
		}
	}
	if bad := append(d.log.lines("level=ERROR"), d.log.lines("level=WARN")...); len(bad) > 40+int(siegeFor(t).Minutes())*40 {
		t.Errorf("%d lines of warning, want a handful:\n%s", len(bad), strings.Join(bad[:40], "\n"))
	}
	if st.SIP["panics"] != 0 || st.Drops["panic"] != 0 || st.SIP["datagrams_foreign"] == 0 || st.Drops["stray"] == 0 {
		t.Errorf("signalling %v, drops %v: want no panic, and what came from strangers counted", st.SIP, st.Drops)
	}
	t.Logf("%d hostile datagrams beside %d calls; %d other calls; drops %v; signalling %v", s.sent.Load(), calls, len(rec), st.Drops, st.SIP)
}
