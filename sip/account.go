package sip

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/emiago/sipgo"
	gosip "github.com/emiago/sipgo/sip"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/attr"
)

// Account is one SIP identity: registered over one flow, answering the calls that come on it.
type Account struct {
	// Set by New, then constant.
	cfg      Config
	log      *slog.Logger
	domain   gosip.Uri // sip:domain, without user and parameters
	ua       *sipgo.UserAgent
	srv      *sipgo.Server
	listener *connListener
	parser   *gosip.Parser
	regID    string // Call-ID of all REGISTERs
	regTag   string // From tag of all REGISTERs

	counters   counters
	answers    answered
	ladders    ladders
	calls      calls
	gate       gate
	proxyAddrs atomic.Pointer[map[netip.Addr]bool]
	realm      atomic.Pointer[string] // under which the registrar asked for a digest
	draining   atomic.Bool
	heals      chan struct{}  // slots of re-INVITEs after a new flow
	orders     chan order     // to the registrar loop, which may be busy for a while
	regDone    chan struct{}  // closed when that loop has ended
	probes     chan struct{}  // size 1: the registrar is to be asked out of turn
	turnedAway chan struct{}  // slots of answers to what there is no room for
	wg         sync.WaitGroup // what Run started

	// Owned by the registrar loop.
	socket   *socket
	proxies  proxies
	known    []target                // of all proxies, when they were resolved last
	redirect string                  // where a 3xx sends us; ""
	unkept   map[netip.AddrPort]bool // proxies that promised pongs and sent none
	auth     digestAuth
	regSeq   uint32
	before   []string // keys of the Contacts that we had, the present one last
	stale    string   // Contacts of ours to be removed
	others   int      // Contacts of other devices
	hint     string   // what a person must do, "" if nothing
	advice   string   // where to look if a proxy can't be reached for long
	clock    clockWatch
	roots    *x509.CertPool // whom to trust, nil: whom the system trusts
	lastHeal flowIdentity
	obeyed   chan<- struct{} // of the newest order

	// mu guards the fields below.
	mu    sync.Mutex
	state State
	flow  *flow
	ran   bool
}

// State is what is to be seen of an account.
type State struct {
	// Registered: the registrar holds our binding and the flow to it lives.
	Registered bool
	// Status is idle, registering, registered, degraded (a refresh was refused, the binding still holds), backoff,
	// rejected (a person must act), unregistering, unregistered or released (see Account.Release).
	Status string
	// Code and Reason are the registrar's last answer, or the error that kept us from it.
	Code   int
	Reason string
	// Hint is what a person must do before we can be registered; "" if that is known to be nothing.
	Hint string
	// Others are the Contacts of other devices that registered with the same credential: where only the newest gets calls, as
	// at RingCentral, they take ours.
	Others int
	// Since is when Status began; NextTry when the registrar is asked again, zero when not known.
	Since, NextTry time.Time
	// Proxy is the proxy in use, as configured, Local our end of the flow; zero without a flow.
	Proxy string
	Local netip.AddrPort
	// Dialogs are the calls that are up.
	Dialogs int
}

// tuneSIPgo sets sipgo's package variables, once a process: answers with several m= lines are larger than the 1300 octets
// that it allows on UDP, and datagrams may be larger than its buffer.
var tuneSIPgo sync.Once

// New checks the configuration. It opens nothing: addresses may not be known yet.
func New(cfg Config) (*Account, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	tuneSIPgo.Do(func() {
		gosip.UDPMTUSize = 65000
		gosip.TransportBufferReadSize = 65535
		gosip.SetDefaultLogger(slog.New(slog.DiscardHandler))
	})
	a := &Account{
		parser: gosip.NewParser(), cfg: cfg, log: slog.New(attr.Limit(cfg.Log.Handler(), cfg.tune.logEvery)), listener: newConnListener(),
		regID: newTag() + "@earshot", regTag: newTag(), regSeq: rand.Uint32N(1 << 16),
		auth:  digestAuth{user: cfg.AuthorizationID, password: cfg.Password},
		state: State{Status: regIdle.String()},
	}
	a.heals = make(chan struct{}, maxHeals)
	a.orders, a.regDone = make(chan order), make(chan struct{})
	a.probes = make(chan struct{}, 1)
	a.turnedAway = make(chan struct{}, maxTurnedAway)
	a.proxies.rest = cfg.tune.proxyRest
	a.calls.init(cfg.MaxCalls)
	a.ladders.pin(a.regID)
	a.gate.limit = maxInside + 2*cfg.MaxCalls
	if err := gosip.ParseUri("sip:"+cfg.Domain, &a.domain); err != nil {
		return nil, fmt.Errorf("sip: domain %q: %w", cfg.Domain, err)
	}
	var err error
	if a.roots, err = readRoots(cfg.TLS.CAFile); err != nil {
		return nil, err
	}
	return a, a.build()
}

// build makes sipgo's part: handlers first, for its maps have no lock.
func (a *Account) build() error {
	log := quietLog(a.cfg.Log)
	no := func(net.Addr) net.Dialer { return refusing() }
	ua, err := sipgo.NewUA(
		sipgo.WithUserAgent(a.cfg.UserAgent),
		// Where the connection of a request is gone, sipgo would look up whatever host stands in its Via.
		sipgo.WithUserAgentDNSResolver(&net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errNoFlow }}),
		sipgo.WithUserAgentTransactionLayerOptions(
			gosip.WithTransactionLayerLogger(log),
			// Not WithTransactionLayerTerminateOnConnClose: a client transaction that is being made in that moment has no
			// state yet, and sipgo 1.7.2 panics. We watch the flow ourselves.
			gosip.WithTransactionLayerUnhandledResponseHandler(func(*gosip.Response) {}),
		),
		sipgo.WithUserAgentTransportLayerOptions(
			gosip.WithTransportLayerLogger(log),
			gosip.WithTransportLayerTransports(gosip.TransportsConfig{
				TCP: &gosip.TransportTCP{DialerCreate: no},
				TLS: &gosip.TransportTLS{TransportTCP: &gosip.TransportTCP{DialerCreate: no}},
			}),
		),
	)
	if err != nil {
		return fmt.Errorf("sip: %w", err)
	}
	srv, err := sipgo.NewServer(ua, sipgo.WithServerLogger(log))
	if err != nil {
		return fmt.Errorf("sip: %w", err)
	}
	for _, m := range allMethods {
		srv.OnRequest(m, a.serve)
	}
	srv.OnNoRoute(a.serve)
	a.ua, a.srv = ua, srv
	return nil
}

// Run registers and serves until ctx ends; then no new calls, BYE to all, un-registered, within 10 s. It returns nil
// unless it never could begin. Call it once.
func (a *Account) Run(ctx context.Context) error {
	a.mu.Lock()
	if a.ran {
		a.mu.Unlock()
		return fmt.Errorf("sip: Run: called twice")
	}
	a.ran = true
	a.mu.Unlock()

	stop := make(chan struct{})
	if a.cfg.Transport != "udp" {
		a.wg.Go(func() {
			if a.cfg.Transport == "tls" {
				_ = a.srv.ServeTLS(a.listener)
				return
			}
			_ = a.srv.ServeTCP(a.listener)
		})
	}
	a.wg.Go(func() {
		defer close(a.regDone)
		a.register(stop)
	})
	<-ctx.Done()
	a.draining.Store(true)
	a.calls.shut()
	a.endAll(call.Cause{Code: call.CodeShutdown})
	a.gate.quiet(quietLimit) // answers that are on their way need the flow
	close(stop)
	<-a.regDone
	_ = a.listener.Close()
	if a.socket != nil {
		a.socket.shut(net.ErrClosed)
	}
	// Not ua.Close: it empties the pools, and see socket.bury. Every connection in them is ours and closed.
	a.ua.TransactionLayer().Close()
	a.gate.shut()
	a.gate.quiet(quietLimit) // what stays is a Handler that does not return; it can't be made to
	a.wg.Wait()
	return nil
}

// quietLimit bounds how long Run waits for handlers that don't return: 5 s for all BYEs, 2 s to un-register and twice this
// stay below 10 s.
const quietLimit = time.Second

// Drain makes every new INVITE get 503 from now on; calls that are up go on.
func (a *Account) Drain() { a.draining.Store(true) }

// Probe has the registrar asked at once whether the flow lives, by a REGISTER: where no answer comes a new flow is made, and
// the dialogs are healed on it. Safe from anywhere; it does not block.
func (a *Account) Probe() {
	select {
	case a.probes <- struct{}{}:
	default: // one is due already
	}
}

// State gives the present state.
func (a *Account) State() State {
	n := a.calls.count()
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.state
	s.Dialogs = n
	return s
}

// current gives the flow that requests of ours leave on, nil if there is none alive.
func (a *Account) current() *flow {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.flow == nil || !a.flow.alive() {
		return nil
	}
	return a.flow
}

func (a *Account) random() float64 { return rand.Float64() }

// refusing is a dialer that does not dial: only we do.
func refusing() net.Dialer {
	return net.Dialer{Control: func(string, string, syscall.RawConn) error { return errNoFlow }}
}
