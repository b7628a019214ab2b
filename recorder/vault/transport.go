package vault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// newTransport makes connections on which nothing waits for ever: to connect, for an octet to move, for an answer to begin.
func newTransport(c Config, secure bool) (*http.Transport, error) {
	d := &net.Dialer{Timeout: c.limits.dial, KeepAlive: 30 * time.Second}
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := d.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &watched{conn, c.limits.idle}, nil
		},
		MaxIdleConnsPerHost: c.Workers, MaxConnsPerHost: 2*c.Workers + 2, IdleConnTimeout: 90 * time.Second,
		TLSHandshakeTimeout: c.limits.dial, ResponseHeaderTimeout: c.limits.answer, ExpectContinueTimeout: time.Second,
		MaxResponseHeaderBytes: 64 << 10, DisableCompression: true,
	}
	if !secure {
		return t, nil
	}
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("vault: ca_file: %w", err)
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("vault: ca_file: %s has no certificate: want PEM", c.CAFile)
		}
	}
	return t, nil
}

// watched is a connection on which each read and write must move something within a time.
type watched struct {
	net.Conn
	idle time.Duration
}

// Read implements net.Conn. A connection that waits for the next request is read, too: such a one ends with its time, and costs nothing.
func (w *watched) Read(b []byte) (int, error) {
	if err := w.SetReadDeadline(time.Now().Add(2 * w.idle)); err != nil {
		return 0, err
	}
	return w.Conn.Read(b)
}

// Write implements net.Conn. While we send, an answer that is waited for has its time anew: net/http reads all along.
func (w *watched) Write(b []byte) (int, error) {
	now := time.Now()
	if err := errors.Join(w.SetWriteDeadline(now.Add(w.idle)), w.SetReadDeadline(now.Add(2*w.idle))); err != nil {
		return 0, err
	}
	return w.Conn.Write(b)
}

// newClient makes a client of the server, without asking it. The clock is what its requests go through.
func newClient(c Config) (*minio.Core, *clock, error) {
	host, secure, err := c.server()
	if err != nil {
		return nil, nil, err
	}
	base, err := newTransport(c, secure)
	if err != nil {
		return nil, nil, err
	}
	k := &clock{next: base, close: base.CloseIdleConnections}
	if c.transport != nil {
		k.next = c.transport(base)
	}
	client, err := minio.New(host, &minio.Options{
		Creds:  credentials.NewStaticV4(c.AccessKey, c.SecretKey.Reveal(), c.SessionToken.Reveal()),
		Secure: secure, Region: c.Region, Transport: k, MaxRetries: 1, // we try again by ourselves, and not at once
	})
	if err != nil {
		return nil, nil, fmt.Errorf("vault: %w", err)
	}
	return &minio.Core{Client: client}, k, nil
}

// clock notes what the server's clock says, beside ours.
type clock struct {
	next  http.RoundTripper
	close func()       // what is idle
	skew  atomic.Int64 // nanoseconds that the server is ahead
	told  atomic.Bool
}

// RoundTrip implements http.RoundTripper.
func (c *clock) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(r)
	if err == nil {
		if at, e := http.ParseTime(resp.Header.Get("Date")); e == nil {
			c.skew.Store(int64(time.Until(at)))
			c.told.Store(true)
		}
	}
	return resp, err
}
