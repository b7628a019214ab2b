package ringsim

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/earshot/earshot/internal/ringsim/trunk"
)

const (
	maxTasks      = 4096 // INVITEs, hang-ups and clocks waiting for Run
	maxViolations = 1000 // remembered; all are logged
	headerTimeout = 10 * time.Second
)

// ErrStopped says that the simulator does not run any more.
var ErrStopped = errors.New("ringsim: stopped")

// Sim is a RingCentral: REST API, SIP registrar and the calls of its agents. All methods are safe for concurrent use.
type Sim struct {
	// Set by New, then constant.
	cfg      Config
	log      *slog.Logger
	listener net.Listener
	server   *http.Server
	trunk    *trunk.Trunk
	caPEM    []byte
	caFile   string
	tempDir  string
	tasks    chan task
	courier  chan struct{}
	stopped  chan struct{}
	sockets  sync.WaitGroup // connections of the event feed
	closing  sync.Once

	// mu guards the fields below.
	mu    sync.Mutex
	world world
}

// world is what changes while the simulator runs.
type world struct {
	logins     logins
	purses     map[purseKey]*purse
	sessions   []*session
	counts     map[requestKey]int
	gateway    gateway
	muted      map[*socket]struct{} // connections that were made silent
	closed     bool
	faults     []*fault
	parks      int // calls parked so far
	presences  int // presence events so far
	violations []string
	dropped    int // violations beyond maxViolations
	random     *rand.Rand
}

// task is work for a goroutine of Run's.
type task interface {
	run(ctx context.Context, s *Sim)
}

// New checks the configuration, opens the listeners and writes ca.pem. Run serves; Close is for a New without Run.
func New(cfg Config) (*Sim, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("ringsim: %w", err)
	}
	s := &Sim{cfg: cfg, log: cfg.Log, tasks: make(chan task, maxTasks), courier: make(chan struct{}, 1), stopped: make(chan struct{})}
	s.world = world{
		purses: map[purseKey]*purse{}, counts: map[requestKey]int{},
		random: rand.New(rand.NewPCG(cfg.Seed, 0x65617273686f74)),
	}
	s.world.logins.mint = func() string { return fmt.Sprintf("%016x%016x", s.world.random.Uint64(), s.world.random.Uint64()) }
	seed := cfg.Switches.Feed.Seed
	if seed == 0 {
		seed = cfg.Seed
	}
	s.world.gateway = gateway{mint: s.world.logins.mint, random: rand.New(rand.NewPCG(seed, 0x66656564)), last: map[*link]time.Time{}}
	s.world.muted = map[*socket]struct{}{}
	if err := s.open(); err != nil {
		_ = s.Close() // the first error counts
		return nil, fmt.Errorf("ringsim: %w", err)
	}
	s.server = &http.Server{
		Handler: s.routes(), ReadHeaderTimeout: headerTimeout,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	return s, nil
}

func (s *Sim) open() error {
	cert, caPEM, err := makeCertificate(s.cfg.Host, time.Now())
	if err != nil {
		return err
	}
	s.caPEM = caPEM
	dir := s.cfg.Out
	if dir == "" {
		if dir, err = os.MkdirTemp("", "ringsim-"); err != nil {
			return fmt.Errorf("ca.pem: %w", err)
		}
		s.tempDir = dir
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return fmt.Errorf("ca.pem: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("ca.pem: %w", err)
	}
	s.caFile = filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(s.caFile, caPEM, 0o600); err != nil {
		return fmt.Errorf("ca.pem: %w", err)
	}
	var lc net.ListenConfig
	if s.listener, err = lc.Listen(context.Background(), "tcp", s.cfg.REST); err != nil {
		return fmt.Errorf("REST: %w", err)
	}
	media, err := mediaIP(s.cfg.Host)
	if err != nil {
		return err
	}
	s.trunk, err = s.openTrunk(cert, media)
	return err
}

// openTrunk gives UDP and TCP one port number where both leave it to us: sip-info has one "proxy" for the two.
func (s *Sim) openTrunk(cert tls.Certificate, media netip.Addr) (*trunk.Trunk, error) {
	cfg := trunk.Config{
		Domain: Domain, UDP: listen(s.cfg.UDP), TCP: listen(s.cfg.TCP), TLS: listen(s.cfg.TLS), Certificate: cert, MediaIP: media,
		User: s.sipUser, OnViolation: func(text string) { s.violate("sip: " + text) },
		Log: s.log,
	}
	if s.cfg.Trunk != nil {
		s.cfg.Trunk(&cfg)
	}
	udpHost, udpPort, err := splitListen(cfg.UDP)
	if err != nil {
		return nil, fmt.Errorf("UDP: %w", err)
	}
	tcpHost, tcpPort, err := splitListen(cfg.TCP)
	if err != nil {
		return nil, fmt.Errorf("TCP: %w", err)
	}
	if udpPort != "0" || tcpPort != "0" {
		return trunk.New(cfg)
	}
	const tries = 20
	for range tries {
		var port int
		if port, err = freePort(udpHost); err != nil {
			return nil, fmt.Errorf("UDP: %w", err)
		}
		cfg.UDP = net.JoinHostPort(udpHost, strconv.Itoa(port))
		cfg.TCP = net.JoinHostPort(tcpHost, strconv.Itoa(port))
		var t *trunk.Trunk
		if t, err = trunk.New(cfg); err == nil {
			return t, nil
		}
	}
	return nil, err
}

func listen(addr string) string {
	if addr == Off {
		return ""
	}
	return addr
}

func splitListen(addr string) (host, port string, err error) {
	if addr == "" {
		return "", "", nil
	}
	return net.SplitHostPort(addr)
}

// freePort is a UDP port that was free a moment ago.
func freePort(host string) (int, error) {
	var lc net.ListenConfig
	c, err := lc.ListenPacket(context.Background(), "udp", net.JoinHostPort(host, "0"))
	if err != nil {
		return 0, err
	}
	port := c.LocalAddr().(*net.UDPAddr).Port
	return port, c.Close()
}

func mediaIP(host string) (netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return a, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
	if err != nil || len(addrs) == 0 {
		return netip.Addr{}, fmt.Errorf("config: Host %s: no address: %w", host, err)
	}
	return addrs[0].Unmap(), nil
}

// sipUser gives the trunk the credentials of a device.
func (s *Sim) sipUser(authID string) (trunk.User, bool) {
	d := s.cfg.Account.device(authID)
	if d == nil || d.UserName == "" {
		return trunk.User{}, false
	}
	return trunk.User{AuthID: d.ID, UserName: d.UserName, Password: d.Password}, true
}

// Run serves until ctx ends, then awaits all it started and closes what New opened. Calls that still live are dropped
// without a BYE, as if the site had lost its connection.
func (s *Sim) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	fail := make(chan error, 2)
	wg.Go(func() {
		if err := s.server.Serve(s.listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			fail <- fmt.Errorf("ringsim: REST: %w", err)
		}
	})
	wg.Go(func() {
		if err := s.trunk.Run(ctx); err != nil && ctx.Err() == nil {
			fail <- fmt.Errorf("ringsim: %w", err)
		}
	})
	wg.Go(func() { s.carry(ctx) })
	var err error
loop:
	for {
		select {
		case t := <-s.tasks:
			wg.Go(func() { t.run(ctx, s) })
		case err = <-fail:
			break loop
		case <-ctx.Done():
			break loop
		}
	}
	close(s.stopped)
	_ = s.server.Close() // nothing of ours is lost with a connection
	s.closeSockets()
	cancel()
	wg.Wait()
	s.drop()
	return errors.Join(err, s.Close())
}

// drop ends every call, so that nobody waits for one that will not go on.
func (s *Sim) drop() {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, se := range s.world.sessions {
		se.call.hangupLocked(now)
		for _, l := range se.legs { // planned, and never begun
			if !l.ended {
				l.ended = true
				close(l.done)
			}
		}
		se.call.noteLocked()
	}
}

// Close closes what New opened. It is safe twice, and after Run.
func (s *Sim) Close() error {
	var err error
	s.closing.Do(func() {
		if s.listener != nil {
			if e := s.listener.Close(); e != nil && !errors.Is(e, net.ErrClosed) {
				err = errors.Join(err, e)
			}
		}
		if s.trunk != nil {
			err = errors.Join(err, s.trunk.Close())
		}
		if s.tempDir != "" {
			err = errors.Join(err, os.RemoveAll(s.tempDir))
		}
	})
	return err
}

// enqueue hands work to Run; it fails when too much waits or Run has ended.
func (s *Sim) enqueue(t task) error {
	select {
	case <-s.stopped:
		return ErrStopped
	default:
	}
	select {
	case s.tasks <- t:
		return nil
	default:
		return fmt.Errorf("ringsim: %d tasks wait already", maxTasks)
	}
}

// CAPEM is the authority that signed the TLS proxy's certificate.
func (s *Sim) CAPEM() []byte { return append([]byte(nil), s.caPEM...) }

// CAFile is the absolute path of ca.pem.
func (s *Sim) CAFile() string { return s.caFile }

// URL is the REST server's base, such as http://127.0.0.1:40123.
func (s *Sim) URL() string { return "http://" + s.public(s.listener.Addr().String()) }

// Proxy is where a device registers, host:port, for transport udp, tcp or tls; empty when that is off.
func (s *Sim) Proxy(transport string) string {
	a := s.trunk.Addr(transport)
	if a == "" {
		return ""
	}
	return s.public(a)
}

func (s *Sim) public(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return net.JoinHostPort(s.cfg.Host, port)
}

// violate remembers a broken rule.
func (s *Sim) violate(text string) {
	s.log.Error("rule broken", slog.String("reason", text))
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.world.violations) >= maxViolations {
		s.world.dropped++
		return
	}
	s.world.violations = append(s.world.violations, text)
}

// Violations lists what the clients did that they must never do: forbidden requests, unknown requests, broken SIP. An
// empty list is what a run needs to pass.
func (s *Sim) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := append([]string(nil), s.world.violations...)
	if s.world.dropped > 0 {
		v = append(v, fmt.Sprintf("and %d more", s.world.dropped))
	}
	return v
}
