package sip

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"
)

// baseTLS is the tls.Config of all flows, without the name: RFC 5922 checks need the proxy's name too, so we verify in
// VerifyConnection.
func (c *Config) baseTLS() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true} //nolint:gosec // verified in VerifyConnection
	if c.TLS.CAFile == "" {
		return conf, nil
	}
	pem, err := os.ReadFile(c.TLS.CAFile)
	if err != nil {
		return nil, fmt.Errorf("sip: ca file: %w", err)
	}
	conf.RootCAs = x509.NewCertPool()
	if !conf.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("sip: ca file %s: no certificate in it", c.TLS.CAFile)
	}
	return conf, nil
}

// tlsFor gives the settings to dial t: SNI is the proxy's host, and the certificate must fit that host or the SIP domain.
func (a *Account) tlsFor(t target) *tls.Config {
	conf := a.tls.Clone()
	conf.ServerName = t.host
	if a.cfg.TLS.InsecureSkipVerify {
		return conf
	}
	names := []string{t.host}
	if host, _, err := splitProxy(t.proxy); err == nil && host != t.host {
		names = append(names, host)
	}
	if d := a.domain.Host; d != t.host {
		names = append(names, d)
	}
	conf.VerifyConnection = func(cs tls.ConnectionState) error {
		return verifyPeer(cs.PeerCertificates, conf.RootCAs, names, time.Now())
	}
	return conf
}

// CertificateError says in what a proxy's certificate differs from what was expected.
type CertificateError struct {
	Names []string // any of which would do
	Has   []string // what the certificate names
	Err   error    // of the chain; nil: only the names differ
}

// Error names what differs.
func (e *CertificateError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("certificate of %s: %v", e.Names[0], e.Err)
	}
	return fmt.Sprintf("certificate: names %s, want %s", strings.Join(e.Has, ", "), strings.Join(e.Names, " or "))
}

// Unwrap gives the chain's error.
func (e *CertificateError) Unwrap() error { return e.Err }

// verifyPeer checks the chain, and that the certificate is for one of names: by a sip: URI first, else by DNS name or
// address (RFC 5922 section 7.1), wildcards as Go takes them: real providers use them.
func verifyPeer(chain []*x509.Certificate, roots *x509.CertPool, names []string, now time.Time) error {
	if len(chain) == 0 {
		return &CertificateError{Names: names, Err: errors.New("none was shown")}
	}
	opts := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool(), CurrentTime: now}
	for _, c := range chain[1:] {
		opts.Intermediates.AddCert(c)
	}
	if _, err := chain[0].Verify(opts); err != nil {
		return &CertificateError{Names: names, Err: err}
	}
	for _, n := range names {
		if namedByURI(chain[0].URIs, n) || chain[0].VerifyHostname(n) == nil {
			return nil
		}
	}
	return &CertificateError{Names: names, Has: certificateNames(chain[0])}
}

// namedByURI looks for "sip:domain" among the URI names; one with a user part names a person, not a domain.
func namedByURI(uris []*url.URL, domain string) bool {
	for _, u := range uris {
		rest, _, _ := strings.Cut(u.Opaque, ";")
		if strings.EqualFold(u.Scheme, "sip") && strings.EqualFold(rest, domain) {
			return true
		}
	}
	return false
}

// maxCertificateNames bounds the error's text.
const maxCertificateNames = 8

func certificateNames(c *x509.Certificate) []string {
	var names []string
	for _, u := range c.URIs {
		names = append(names, u.String())
	}
	names = append(names, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		names = append(names, "CN="+c.Subject.CommonName)
	}
	for i, n := range names {
		names[i] = clean(n, maxText)
	}
	if len(names) > maxCertificateNames {
		names = append(names[:maxCertificateNames], "...")
	}
	return names
}
