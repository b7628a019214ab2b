package stream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"sync"
	"time"
)

// raw is a consumer that reads octets: a unix socket, a TCP connection, with TLS or not, or a FIFO. What it sends is read and thrown away, so that it is not
// held up by us unless it floods us; that it stops sending says nothing.
type raw struct {
	conn interface {
		io.WriteCloser
		SetWriteDeadline(t time.Time) error
	}
	limit time.Duration // of a write
	armed time.Time     // until then the deadline of writes is far enough away
	once  sync.Once
	drain sync.WaitGroup
	last  string
}

// dialRaw connects to a unix socket or a TCP port.
func dialRaw(ctx context.Context, l *link) (session, error) {
	c := l.consumer
	network, to := "tcp", c.Address
	if c.Type == TypeUnix {
		network, to = "unix", l.about.text(c.Address, "", safeName)
	}
	conn, err := plainDialer.DialContext(ctx, network, to)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", c.Type, to, err)
	}
	if b, ok := conn.(interface{ SetWriteBuffer(n int) error }); ok {
		_ = b.SetWriteBuffer(c.sendBuffer()) // a larger one would only hide that nobody reads
	}
	conn = throttle(conn)
	if c.TLS {
		host, _, _ := net.SplitHostPort(to) // checked
		t := tls.Client(conn, &tls.Config{ServerName: host, RootCAs: c.roots, MinVersion: tls.VersionTLS12})
		if err := t.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("tcp %s: %w", to, err), conn.Close())
		}
		conn = t
	}
	s := &raw{conn: conn, limit: l.hub.pace.write, last: l.about.text(c.Last, "", inJSON)}
	s.drain.Go(func() { _, _ = io.Copy(io.Discard, conn) })
	return s.opened(l.about.text(c.First, "", inJSON))
}

// plainDialer finds out that a peer is gone also where nothing is written.
var plainDialer = net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}} //nolint:gochecknoglobals // constant

// dialFIFO opens a FIFO that somebody reads; one that is not there is made, and taken away at the end of the call.
func dialFIFO(_ context.Context, l *link) (session, error) {
	name := l.about.text(l.consumer.Address, "", safeName)
	if err := makeFIFO(name); err == nil {
		l.made = name
	} else if !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("fifo %s: %w", name, err)
	}
	f, err := openFIFO(name)
	if err != nil {
		return nil, fmt.Errorf("fifo %s: %w", name, err)
	}
	s := &raw{conn: f, limit: l.hub.pace.write, last: l.about.text(l.consumer.Last, "", inJSON)}
	return s.opened(l.about.text(l.consumer.First, "", inJSON))
}

var errNoReader = errors.New("nobody reads it")

var errNoFIFO = errors.New("is no FIFO")

// opened says the first line, if there is one.
func (s *raw) opened(text string) (session, error) {
	if text == "" {
		return s, nil
	}
	if err := s.write(0, []byte(text+"\n")); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// arm sees to it that a write ends within the limit, or an eighth more: to move the deadline for each message would cost a fifth of what writing it does.
func (s *raw) arm() error {
	now := time.Now()
	if now.Before(s.armed) {
		return nil
	}
	s.armed = now.Add(s.limit / 8)
	return s.conn.SetWriteDeadline(s.armed.Add(s.limit))
}

func (s *raw) write(_ int64, b []byte) error {
	if err := s.arm(); err != nil {
		return err
	}
	if _, err := s.conn.Write(b); errors.Is(err, os.ErrDeadlineExceeded) {
		return hangs(s.limit)
	} else if err != nil {
		return err
	}
	return nil
}

// errHangs is why a session ends whose far side takes nothing.
var errHangs = errors.New("the consumer has read nothing")

func hangs(limit time.Duration) error { return fmt.Errorf("%w for %v", errHangs, limit) }

func (s *raw) finish(context.Context) error {
	var err error
	if s.last != "" {
		err = s.write(0, []byte(s.last+"\n"))
	}
	s.close()
	return err
}

func (*raw) gone() <-chan struct{} { return nil }

func (*raw) ended(err error) error { return err }

func (s *raw) close() {
	s.once.Do(func() { _ = s.conn.Close() })
	s.drain.Wait()
}

// loadRoots reads a file of certificate authorities; nil: the system's.
func loadRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil //nolint:nilnil // what crypto/tls wants
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca_file: %s: no certificate in it", file)
	}
	return pool, nil
}
