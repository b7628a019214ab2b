package sip

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// host gives the n-th of many addresses.
func host(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
}

func TestSourceHasItsBurstAndThenItsRate(t *testing.T) {
	var g guard
	now := time.Unix(1e9, 0)
	taken := func(src netip.Addr, proxy bool, tries int) (n int) {
		for range tries {
			if g.allow(src, proxy, now) {
				n++
			}
		}
		return n
	}
	for _, c := range []struct {
		what        string
		after       time.Duration
		src         int
		proxy       bool
		tries, want int
	}{
		{"a burst", 0, 1, false, 10_000, sourceBurst},
		{"and nothing then", 0, 1, false, 100, 0},
		{"another source, while there is room for all", 0, 2, false, 10_000, crowdBurst - sourceBurst},
		{"a third has no share left", 0, 3, false, 100, 0},
		{"a proxy is not of the crowd", 0, 4, true, 100_000, proxyBurst},
		{"a second later", time.Second, 1, false, 10_000, sourceRate},
		{"the proxy too", 0, 4, true, 100_000, proxyRate},
		{"after a rest it is as at first", time.Hour, 1, false, 10_000, sourceBurst},
	} {
		now = now.Add(c.after)
		if got := taken(host(c.src), c.proxy, c.tries); got != c.want {
			t.Errorf("%s: %d of %d taken, want %d", c.what, got, c.tries, c.want)
		}
	}
}

func TestManySourcesCostBoundedMemory(t *testing.T) {
	var g guard
	now := time.Unix(1e9, 0)
	for n := range 100_000 {
		g.allow(host(n), false, now)
		if n%100 == 0 {
			now = now.Add(time.Millisecond)
		}
	}
	if n := len(g.sources); n > maxGuarded {
		t.Errorf("%d sources kept, want %d at most", n, maxGuarded)
	}
	if !g.allow(netip.MustParseAddr("192.0.2.1"), true, now) {
		t.Error("the proxy is not heard any more")
	}
	for n := range 3 * maxGuarded { // a minute after it, each newcomer finds room
		now = now.Add(10 * time.Millisecond)
		if n == 0 {
			now = now.Add(time.Minute)
		}
		if !g.allow(host(1<<20+n), false, now) {
			t.Fatalf("newcomer %d is not heard", n)
		}
	}
	if n := len(g.sources); n > maxGuarded {
		t.Errorf("%d sources kept, want %d at most", n, maxGuarded)
	}
}

// A neighbour that calls from a new port each time must not lock the others out for ever.
func TestSilentSourcesMakeRoomForNewOnes(t *testing.T) {
	s := socket{sources: make(map[string]time.Time), pool: &gosip.ConnectionPool{}}
	now := time.Unix(1e9, 0)
	source := func(n int) string { return netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(n)).String() }
	for n := range maxSources {
		if !s.remember(source(n), false, now) {
			t.Fatalf("source %d: no room", n)
		}
	}
	for n := range 3 {
		if now = now.Add(sourceLife / 2); s.remember("192.0.2.2:5060", false, now) != (n > 0) {
			t.Fatalf("newcomer after %d half lives: want room after one life, not before", n+1)
		}
		if !s.remember(source(0), false, now) {
			t.Fatal("who talks was forgotten")
		}
	}
	if n := len(s.sources); n != 2 {
		t.Errorf("%d sources kept, want 2: the one that talks and the newcomer", n)
	}
}

// lasting is a transaction that tells whether it was let go.
type lasting struct {
	fakeTx
	gone int
}

func (l *lasting) Terminate() { l.gone++ }

func TestRefusedRequestsAreForgottenAtOnce(t *testing.T) {
	a, err := New(Config{Domain: "b", Username: "200", InstanceID: "urn:uuid:1", Handler: nobody{}, Transport: "udp", MaxCalls: 1})
	if err != nil {
		t.Fatal(err)
	}
	a.calls.max = 0 // busy
	for start, want := range map[string]int{
		"OPTIONS sip:200@b": 200, "BYE sip:200@b": 481, "INFO sip:200@b": 481, "FOO sip:200@b": 501, "REGISTER sip:b": 405, "INVITE sip:200@b": 486,
		"CANCEL sip:200@b": 481, "MESSAGE sip:200@b": 405, "OPTIONS urn:x": 416, "SUBSCRIBE sip:200@b": 489,
	} {
		method, _, _ := strings.Cut(start, " ")
		m, err := gosip.ParseMessage([]byte(start + " SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:200@b>\r\nCall-ID: x\r\nCSeq: 1 " + method + "\r\n\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		req := m.(*gosip.Request)
		req.SetSource("127.0.0.1:5060")
		tx := &lasting{fakeTx: fakeTx{done: make(chan struct{})}}
		a.serve(req, tx)
		if len(tx.res) != 1 || tx.res[0].StatusCode != want || tx.gone != 1 {
			t.Errorf("%s: answers %v, let go %d times; want %d and once", start, tx.res, tx.gone, want)
		}
	}
}
