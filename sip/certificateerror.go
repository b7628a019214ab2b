package sip

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"
)

// CertificateError says in what a proxy's certificate differs from what was expected.
type CertificateError struct {
	Names []string // any of which would do
	// Of the certificate; for a chain that fails in an authority between, of that one.
	Has         []string // what it names
	Issuer      string
	From, Until time.Time
	Now         time.Time // when it was looked at
	Err         error     // of the chain; nil: only the names differ
}

// Error names what differs.
func (e *CertificateError) Error() string {
	want, has := strings.Join(e.Names, " or "), strings.Join(e.Has, ", ")
	about := fmt.Sprintf("issued by %s, valid until %s", e.Issuer, day(e.Until))
	switch {
	case len(e.Has) == 0:
		return fmt.Sprintf("certificate of %s: %v", want, e.Err)
	case e.Err == nil:
		return fmt.Sprintf("certificate: names %s, want %s; %s", has, want, about)
	case e.expired():
		return fmt.Sprintf("certificate of %s: expired on %s; it names %s, issued by %s", want, day(e.Until), has, e.Issuer)
	case e.early():
		return fmt.Sprintf("certificate of %s: not valid before %s; it names %s, issued by %s", want, day(e.From), has, e.Issuer)
	}
	return fmt.Sprintf("certificate of %s: %v; it names %s, %s", want, e.Err, has, about)
}

// Unwrap gives the chain's error.
func (e *CertificateError) Unwrap() error { return e.Err }

// Hint says what to do about it; "" for nil.
func (e *CertificateError) Hint() string {
	switch {
	case e == nil:
		return ""
	case e.expired():
		return "whoever runs the registrar must renew its certificate; if it is new there, this machine's clock is wrong: it says " + day(e.Now)
	case e.early():
		return "set this machine's clock: it says " + day(e.Now)
	case e.Err == nil:
		return "set sip.outbound_proxy or sip.domain to a name that the certificate has, or have " + strings.Join(e.Names, " or ") + " put into it"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](e.Err); ok {
		return "put the certificate of its issuer, or itself if it signed itself, into a PEM file and name that in sip.tls.ca_file; it is read anew at each try"
	}
	return "whoever runs the registrar must replace its certificate"
}

func (e *CertificateError) invalidTime() bool {
	x, ok := errors.AsType[x509.CertificateInvalidError](e.Err)
	return ok && x.Reason == x509.Expired
}

func (e *CertificateError) expired() bool { return e.invalidTime() && e.Now.After(e.Until) }
func (e *CertificateError) early() bool   { return e.invalidTime() && e.Now.Before(e.From) }

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

// What a person must do about a registration that does not come about by itself.
const (
	hintOthers   = "one program a device: end the other one, or give it a device of its own"
	hintRejected = "check user name, authorization id and password of the device, and that no other program uses it"
	hintCrowded  = "too many programs or old bindings of this device: end the others; old bindings go when they expire"
	hintPlain    = "what answers there does not speak TLS: use its TLS port (mostly 5061), or set sip.transport"

	adviceName     = "see the name in sip.outbound_proxy or sip.domain, and this machine's resolver"
	adviceResolver = "this machine's resolver does not answer: see /etc/resolv.conf and its network"
	adviceRefused  = "nothing listens there: see the port in sip.outbound_proxy, and sip.transport; else the registrar is down"
	adviceBarred   = "nothing comes back from there: the network, or a firewall (docs/network.md)"
)

// hintFor gives what to do about a flow that could not be dialled; "" where waiting is all.
func hintFor(err error) string {
	if e, ok := errors.AsType[*CertificateError](err); ok {
		return e.Hint()
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return hintPlain
	}
	return ""
}

// adviceFor gives where to look if a proxy can't be reached and that does not pass; "" where nothing is known. Unlike what hintFor
// is about, it may pass by itself.
func adviceFor(err error) string {
	dns, ok := errors.AsType[*net.DNSError](err)
	var timeout interface{ Timeout() bool }
	switch {
	case ok && dns.IsNotFound:
		return adviceName
	case ok:
		return adviceResolver
	case errors.Is(err, syscall.ECONNREFUSED):
		return adviceRefused
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.As(err, &timeout) && timeout.Timeout():
		return adviceBarred
	}
	return ""
}

// hint gives what to do about a refusal; "" where waiting is all.
func (r *registrar) hint() string {
	switch {
	case r.status != regRejected:
		return ""
	case r.code == 603:
		return hintCrowded
	}
	return hintRejected
}
