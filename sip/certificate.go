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

	"github.com/earshot/earshot/internal/attr"
)

// readRoots gives the authorities of a PEM file; nil, the system's, for "".
func readRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("sip: ca file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("sip: ca file %s: no certificate in it", file)
	}
	return pool, nil
}

// authorities gives whom to trust: the file is read anew for each flow, so that an authority that changes needs no restart,
// which would cost calls. What can't be read leaves it as it was.
func (a *Account) authorities() *x509.CertPool {
	pool, err := readRoots(a.cfg.TLS.CAFile)
	if err != nil {
		a.log.Error("ca file not read: the authorities of before count", attr.Err(err))
		return a.roots
	}
	a.roots = pool
	return pool
}

// tlsFor gives the settings to dial t. The name that we ask for (SNI) and want to see is the proxy's as configured, or the
// SIP domain; never one that only DNS named, for who forges an answer there has certificates for his own hosts (RFC 5922
// section 7.3).
func (a *Account) tlsFor(t target) *tls.Config {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true} //nolint:gosec // verified in VerifyConnection
	host := t.host
	if h, _, err := splitProxy(t.proxy); err == nil {
		host = h
	}
	names := []string{host}
	if d := a.domain.Host; !strings.EqualFold(d, host) {
		names = append(names, d)
	}
	conf.ServerName = host
	if isIP(host) {
		conf.ServerName = names[len(names)-1] // an address is no SNI (RFC 6066 section 3); crypto/tls leaves it out
	}
	if a.cfg.TLS.InsecureSkipVerify {
		return conf
	}
	roots := a.authorities()
	conf.VerifyConnection = func(cs tls.ConnectionState) error {
		return verifyPeer(cs.PeerCertificates, roots, names, time.Now())
	}
	return conf
}

// verifyPeer checks the chain, and that the certificate is for one of names: by a sip: URI first, else by DNS name or
// address (RFC 5922 section 7.1), wildcards as Go takes them: real providers use them.
func verifyPeer(chain []*x509.Certificate, roots *x509.CertPool, names []string, now time.Time) error {
	if len(chain) == 0 {
		return &CertificateError{Names: names, Err: errors.New("none was shown"), Now: now}
	}
	failure := func(err error) error {
		c := chain[0]
		if x, ok := errors.AsType[x509.CertificateInvalidError](err); ok && x.Cert != nil {
			c = x.Cert // it may be one between
		}
		return &CertificateError{
			Names: names, Has: certificateNames(c), Issuer: clean(c.Issuer.String(), maxText), From: c.NotBefore, Until: c.NotAfter,
			Now: now, Err: err,
		}
	}
	opts := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool(), CurrentTime: now}
	for _, c := range chain[1:] {
		opts.Intermediates.AddCert(c)
	}
	if _, err := chain[0].Verify(opts); err != nil {
		return failure(err)
	}
	for _, n := range names {
		if namedByURI(chain[0].URIs, n) || chain[0].VerifyHostname(n) == nil {
			return nil
		}
	}
	return failure(nil)
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
