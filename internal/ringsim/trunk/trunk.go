package trunk

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Trunk is a registrar, a caller and its media. All methods are safe for concurrent use.
type Trunk struct {
	// Set by New, then constant.
	cfg  Config
	udp  *net.UDPConn
	tcp  net.Listener
	tls  net.Listener
	done chan struct{} // closed when Run ends

	tasks sync.WaitGroup

	// mu guards the fields below, and what the dialogs, flows and transactions say it guards.
	mu       sync.Mutex
	running  bool
	closed   bool
	shunned  time.Time                // until then the proxy is unreachable
	flows    map[netip.AddrPort]*flow // UDP only: one per source
	conns    map[*flow]struct{}       // TCP and TLS
	bindings map[string][]*binding    // by user name, oldest first
	nonces   map[string]time.Time     // handed out and unused, with their end
	clients  map[string]*clientTx     // by branch and method
	servers  map[string]*serverTx
	dialogs  map[string]*Dialog // by Call-ID
	streams  []*Stream
	keys     map[string]string // SDES key of a device: where it was used
	nextCSeq uint32
}

// New opens the listeners. It starts nothing: that is Run's.
func New(cfg Config) (*Trunk, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	t := &Trunk{
		cfg: cfg, done: make(chan struct{}), flows: map[netip.AddrPort]*flow{}, conns: map[*flow]struct{}{},
		bindings: map[string][]*binding{}, nonces: map[string]time.Time{}, clients: map[string]*clientTx{},
		servers: map[string]*serverTx{}, dialogs: map[string]*Dialog{}, keys: map[string]string{},
		// Above those a device counts from: a public client takes any message with its own number for its answer.
		nextCSeq: 31268,
	}
	if err := t.listen(); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

func (t *Trunk) listen() error {
	if a := t.cfg.UDP; a != "" {
		addr, err := net.ResolveUDPAddr("udp", a)
		if err != nil {
			return fmt.Errorf("trunk: listen udp: %w", err)
		}
		if t.udp, err = net.ListenUDP("udp", addr); err != nil {
			return fmt.Errorf("trunk: listen udp: %w", err)
		}
	}
	var err error
	if a := t.cfg.TCP; a != "" {
		if t.tcp, err = net.Listen("tcp", a); err != nil {
			return fmt.Errorf("trunk: listen tcp: %w", err)
		}
	}
	if a := t.cfg.TLS; a != "" {
		inner, err := net.Listen("tcp", a)
		if err != nil {
			return fmt.Errorf("trunk: listen tls: %w", err)
		}
		t.tls = tls.NewListener(inner, &tls.Config{
			Certificates: []tls.Certificate{t.cfg.Certificate}, MinVersion: tls.VersionTLS12,
		})
	}
	return nil
}

// Close closes the listeners of a Trunk that never ran. It is safe twice, and after Run.
func (t *Trunk) Close() error {
	var errs []error
	if t.udp != nil {
		errs = append(errs, t.udp.Close())
	}
	for _, l := range []net.Listener{t.tcp, t.tls} {
		if l != nil {
			errs = append(errs, l.Close())
		}
	}
	errs = slices.DeleteFunc(errs, func(err error) bool { return errors.Is(err, net.ErrClosed) })
	return errors.Join(errs...)
}

// Addr is where udp, tcp or tls listens, "" where it is off.
func (t *Trunk) Addr(transport string) string {
	switch {
	case transport == "udp" && t.udp != nil:
		return t.udp.LocalAddr().String()
	case transport == "tcp" && t.tcp != nil:
		return t.tcp.Addr().String()
	case transport == "tls" && t.tls != nil:
		return t.tls.Addr().String()
	default:
		return ""
	}
}

// Run serves until ctx ends, then closes every connection and port, and awaits its goroutines. Nothing is sent at the end:
// the devices see what they would see of a server that went away. Run can be called once.
func (t *Trunk) Run(ctx context.Context) error {
	t.mu.Lock()
	if t.running || t.closed {
		t.mu.Unlock()
		return errors.New("trunk: run: ran already")
	}
	t.running = true
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	if t.udp != nil {
		t.tasks.Go(t.readUDP)
	}
	for network, l := range map[string]net.Listener{"tcp": t.tcp, "tls": t.tls} {
		if l != nil {
			t.tasks.Go(func() { t.accept(inner, network, l) })
		}
	}
	t.tasks.Go(func() { t.sendMedia(inner) })
	t.tasks.Go(func() { t.keepHouse(inner) })
	t.mu.Unlock()

	<-ctx.Done()
	t.shut()
	err := t.Close()
	t.tasks.Wait()
	return err
}

// shut ends all dialogs and connections.
func (t *Trunk) shut() {
	t.mu.Lock()
	t.closed = true
	close(t.done)
	for f := range t.conns {
		_ = f.conn.Close()
	}
	dialogs := make([]*Dialog, 0, len(t.dialogs))
	for _, d := range t.dialogs {
		dialogs = append(dialogs, d)
	}
	streams := slices.Clone(t.streams)
	t.mu.Unlock()
	for _, d := range dialogs {
		d.end("trunk closed")
	}
	for _, s := range streams {
		s.closePorts()
	}
}

// spawn runs f under Run; false where Run is not there to await it.
func (t *Trunk) spawn(f func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.running || t.closed {
		return false
	}
	t.tasks.Go(f)
	return true
}

// Online tells whether a binding of that user is alive.
func (t *Trunk) Online(userName string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.bindings[userName]) > 0
}

// Transport is the network of that user's newest binding: "udp", "tcp" or "tls"; empty where there is none.
func (t *Trunk) Transport(userName string) string {
	b, ok := t.newest(userName)
	if !ok {
		return ""
	}
	return b.flow.network
}

// Dialogs is how many dialogs that user has, answered or ringing.
func (t *Trunk) Dialogs(userName string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, d := range t.dialogs {
		if d.userName == userName {
			n++
		}
	}
	return n
}

// sending gives all streams, appended.
func (t *Trunk) sending(to []*Stream) []*Stream {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append(to, t.streams...)
}

// violation tells what a device did wrong. No lock is held.
func (t *Trunk) violation(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	t.cfg.Log.Warn("device broke a rule", slog.String("reason", text))
	t.cfg.OnViolation(text)
}

// strictly is violation for what RingCentral itself tolerates.
func (t *Trunk) strictly(format string, args ...any) {
	if t.cfg.Strict {
		t.violation(format, args...)
	}
}

// keepHouse does what time demands: expiries, refreshes, inactivity.
func (t *Trunk) keepHouse(ctx context.Context) {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			t.expireBindings(now)
			t.forgetTransactions(now)
			t.forgetFlows(now)
			t.watchDialogs(now)
		}
	}
}
