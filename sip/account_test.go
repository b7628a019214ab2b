package sip_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/sip"
	"github.com/earshot/earshot/sip/offer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is the side that is called: a Handler that answers everything, and an account that runs.
type house struct {
	t   *testing.T
	acc *sip.Account

	mu     sync.Mutex
	legs   []*leg
	states []sip.State
	// hold, if not nil, is what Invited waits for.
	hold   chan struct{}
	refuse error
	logs   *logs
}

type leg struct {
	h          *house
	inv        *sip.Invitation
	port       uint16
	dialog     *sip.Dialog
	prepared   [][]offer.Stream
	commits    int
	undos      int
	digits     []string
	ended      []call.Cause
	prepareErr error
	onEnded    func()
	silence    time.Duration
}

func (h *house) Invited(ctx context.Context, inv *sip.Invitation) (sip.Leg, error) {
	h.mu.Lock()
	l := &leg{h: h, inv: inv, port: uint16(20000 + 10*len(h.legs))}
	h.legs = append(h.legs, l)
	hold, refuse := h.hold, h.refuse
	h.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return l, nil // as if it had not looked
		}
	}
	if errors.Is(refuse, errPanic) {
		panic(refuse)
	}
	if refuse != nil {
		return nil, refuse
	}
	return l, nil
}

func (l *leg) Prepare(streams []offer.Stream) ([]offer.Local, func(), func(), error) {
	l.h.mu.Lock()
	defer l.h.mu.Unlock()
	if l.prepareErr != nil {
		return nil, nil, nil, l.prepareErr
	}
	l.prepared = append(l.prepared, streams)
	var local []offer.Local
	for i := range streams {
		p := l.port + uint16(2*i)
		local = append(local, offer.Local{
			RTP: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), p), RTCP: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), p+1),
		})
	}
	count := func(n *int) func() {
		return func() {
			l.h.mu.Lock()
			defer l.h.mu.Unlock()
			*n++
		}
	}
	return local, count(&l.commits), count(&l.undos), nil
}

func (l *leg) Established(d *sip.Dialog) {
	l.h.mu.Lock()
	defer l.h.mu.Unlock()
	l.dialog = d
}

func (l *leg) Digit(digit string, _ time.Duration) {
	l.h.mu.Lock()
	defer l.h.mu.Unlock()
	if digit == "D" {
		panic("digit D")
	}
	l.digits = append(l.digits, digit)
}

func (l *leg) Silence() time.Duration {
	l.h.mu.Lock()
	defer l.h.mu.Unlock()
	return l.silence
}

func (l *leg) Ended(c call.Cause) {
	l.h.mu.Lock()
	defer l.h.mu.Unlock()
	if l.onEnded != nil {
		l.onEnded()
	}
	l.ended = append(l.ended, c)
}

// leg gives the nth leg, once ok holds for it.
func (h *house) leg(n int, ok func(*leg) bool) *leg {
	h.t.Helper()
	var l *leg
	eventually(h.t, func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		if n >= len(h.legs) {
			return false
		}
		l = h.legs[n]
		return ok(l)
	})
	return l
}

func (h *house) ended(n int) call.Cause {
	h.t.Helper()
	l := h.leg(n, func(l *leg) bool { return len(l.ended) > 0 })
	h.mu.Lock()
	defer h.mu.Unlock()
	if l.commits+l.undos != len(l.prepared) {
		h.t.Errorf("leg %d: %d prepared, %d committed, %d undone", n, len(l.prepared), l.commits, l.undos)
	}
	return l.ended[0]
}

func (h *house) onState(s sip.State) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.states = append(h.states, s)
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	for {
		if ok() {
			return
		}
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatal("not within 20 s")
		}
	}
}

// short are waiting times for tests.
var short = sip.Timers{
	Second: 10 * time.Millisecond, Register: 300 * time.Millisecond, T1: 20 * time.Millisecond, Reorder: 100 * time.Millisecond,
	Again: 50 * time.Millisecond, Reinvite: time.Second, Pong: 60 * time.Millisecond, Dial: time.Second, Unreg: 300 * time.Millisecond,
}

// logs keeps what was logged.
type logs struct {
	mu    sync.Mutex
	lines []string
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(b))
	return len(b), nil
}

func (l *logs) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.lines...)
}

func config(p *peer, h *house) sip.Config {
	return sip.Config{
		Domain: "127.0.0.1", OutboundProxies: []string{p.addr()}, Transport: p.net, Username: "200", Password: "s3cret-pw",
		AuthorizationID: "802", InstanceID: "urn:uuid:4b1c0000-0000-4000-8000-000000000001", RingCentral: true, Handler: h,
		OnState: h.onState, Keepalive: -1, Log: slog.New(slog.NewTextHandler(h.logs, &slog.HandlerOptions{Level: slog.LevelInfo})),
	}.WithTimers(short)
}

// warned gives the warnings with that in them.
func (h *house) warned(with string) []string {
	var out []string
	for _, l := range h.logs.all() {
		if strings.Contains(l, "level=WARN") && strings.Contains(l, with) {
			out = append(out, l)
		}
	}
	return out
}

func newHouse(t *testing.T) *house { return &house{t: t, logs: &logs{}} }

// run starts an account; it ends with the test.
func (h *house) run(c sip.Config) *sip.Account {
	h.t.Helper()
	a, err := sip.New(c)
	if err != nil {
		h.t.Fatal(err)
	}
	h.acc = a
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	h.t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				h.t.Errorf("Run: %v", err)
			}
		case <-time.After(10 * time.Second):
			h.t.Error("Run did not end within 10 s")
		}
	})
	return a
}

// start makes a peer and a house whose account is registered there.
func start(t *testing.T, network string, change func(*sip.Config)) (*peer, *house) {
	t.Helper()
	h := newHouse(t)
	var p *peer
	var c sip.Config
	if network == "tls" {
		conf, ca := certificates(t, "127.0.0.1")
		p = newPeer(t, network, "", conf)
		c = config(p, h)
		c.TLS.CAFile = ca
	} else {
		p = newPeer(t, network, "", nil)
		c = config(p, h)
	}
	if change != nil {
		change(&c)
	}
	h.run(c)
	h.registered()
	return p, h
}

func (h *house) registered() {
	h.t.Helper()
	eventually(h.t, func() bool { return h.acc.State().Registered })
}

func (h *house) counter(name string) int64 {
	h.t.Helper()
	n, ok := h.acc.Counters()[name]
	if !ok {
		h.t.Fatalf("no counter %s", name)
	}
	return n
}

func (h *house) set(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

func TestBadSettingsFailAtOnce(t *testing.T) {
	good := sip.Config{Domain: "example.com", Username: "200", InstanceID: "urn:uuid:1", Handler: &house{}}
	if _, err := sip.New(good); err != nil {
		t.Fatalf("good: %v", err)
	}
	for name, f := range map[string]func(*sip.Config){
		"no handler":        func(c *sip.Config) { c.Handler = nil },
		"no domain":         func(c *sip.Config) { c.Domain = "" },
		"no user":           func(c *sip.Config) { c.Username = "" },
		"user with bracket": func(c *sip.Config) { c.Username = "2<00" },
		"no instance":       func(c *sip.Config) { c.InstanceID = "" },
		"transport":         func(c *sip.Config) { c.Transport = "ws" },
		"proxy":             func(c *sip.Config) { c.OutboundProxies = []string{"a:b:c"} },
		"proxy port":        func(c *sip.Config) { c.OutboundProxies = []string{"a:99999"} },
		"listen":            func(c *sip.Config) { c.Listen = "5060" },
		"ca file":           func(c *sip.Config) { c.TLS.CAFile = "/does/not/exist" },
	} {
		t.Run(name, func(t *testing.T) {
			c := good
			f(&c)
			if _, err := sip.New(c); err == nil {
				t.Error("got no error")
			}
		})
	}
}

func TestStateTellsTheFlow(t *testing.T) {
	p, h := start(t, "udp", nil)
	s := h.acc.State()
	if s.Status != "registered" || s.Code != 200 || s.Proxy != p.addr() || !s.Local.IsValid() || s.Since.IsZero() || !s.NextTry.After(time.Now()) {
		t.Errorf("got %+v", s)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.states) == 0 || h.states[len(h.states)-1].Status != "registered" {
		t.Errorf("OnState: got %+v", h.states)
	}
}

// causeTest is why a test hangs up.
var causeTest = call.Cause{Code: call.CodeReleased}

var (
	errTest  = errors.New("test")
	errPanic = errors.New("panic")
)
