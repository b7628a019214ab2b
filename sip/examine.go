package sip

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// Limits of an examination: of one look at one address, and of the addresses that are looked at.
const (
	examineLimit  = 5 * time.Second
	maxExamined   = 8
	examineRepeat = 500 * time.Millisecond // over UDP, then twice as long
)

// Examination is what the way to one configured proxy is like.
type Examination struct {
	Proxy string
	Err   error // why it has no address
	Tries []Try // one for each address, in the order in which Run would dial them
}

// Try is one address of a proxy, looked at step by step: Err is why the step failed that the fields after it lack.
type Try struct {
	Addr netip.AddrPort
	Err  error
	// Took is how long it took to connect, TLS included.
	Took time.Duration
	// TLS is the version, such as "TLS 1.3", and Until when the certificate ends.
	TLS   string
	Until time.Time
	// Local is our end, Seen how the far side sees it (Via received and rport); zero if it did not say.
	Local, Seen netip.AddrPort
	// Code and Reason answer OPTIONS; Server says what answered, and Date what time it is there, if it said so. Ahead is how far
	// its clock is ahead of ours; the header has whole seconds.
	Code   int
	Reason string
	Server string
	Date   time.Time
	Ahead  time.Duration
	// Login is the answer to a REGISTER that asks for the bindings and changes none (RFC 3261 section 10.2.3), and Bindings how many
	// there are; 0 if that was not asked. At RingCentral it is not: what it would make of it is not known.
	Login    int
	Bindings int
}

// Examine looks at the way to the registrar: names, addresses, certificate, whether it answers, how it sees us, and on
// registrars other than RingCentral whether it knows our password. It registers nothing, so it may be done beside whoever does.
func Examine(ctx context.Context, cfg Config) ([]Examination, error) {
	cfg.Handler = examiner{}
	if cfg.InstanceID == "" {
		cfg.InstanceID = "urn:uuid:00000000-0000-4000-8000-000000000000" // never sent
	}
	a, err := New(cfg)
	if err != nil {
		return nil, err
	}
	var out []Examination
	looked, asked := 0, false
	for _, p := range a.cfg.OutboundProxies {
		e := Examination{Proxy: p}
		var targets []target
		targets, e.Err = resolve(ctx, a.cfg.resolver, p, a.cfg.Transport)
		for _, t := range targets {
			if looked++; looked > maxExamined {
				break
			}
			try := a.examine(ctx, t, !asked && !a.cfg.RingCentral && a.cfg.Password != "")
			asked = asked || try.Login != 0
			e.Tries = append(e.Tries, try)
		}
		out = append(out, e)
	}
	return out, ctx.Err()
}

// examiner is a Handler that is never called.
type examiner struct{}

// Invited refuses.
func (examiner) Invited(context.Context, *Invitation) (Leg, error) { return nil, &Refusal{Code: 480} }

// examine looks at one address.
func (a *Account) examine(ctx context.Context, t target, login bool) (try Try) {
	try.Addr = t.addr
	ctx, cancel := context.WithTimeout(ctx, examineLimit)
	defer cancel()
	began := time.Now()
	l, err := a.connect(ctx, t, &try)
	if err != nil {
		try.Err = err
		return try
	}
	defer l.Close() //nolint:errcheck // nothing is lost
	try.Took = time.Since(began)
	res, err := l.ask(ctx, a.question(l, "OPTIONS", 1, nil))
	if err != nil {
		try.Err = err
		return try
	}
	try.Code, try.Reason = res.StatusCode, clean(res.Reason, maxText)
	try.Server = clean(value(res, "Server", "User-Agent"), maxText)
	try.Seen = seenIn(res)
	if at, err := http.ParseTime(value(res, "Date")); err == nil {
		try.Date, try.Ahead = at, time.Until(at)
	}
	if login {
		a.tryLogin(ctx, l, &try)
	}
	return try
}

// tryLogin asks for the bindings, with the password.
func (a *Account) tryLogin(ctx context.Context, l *looker, try *Try) {
	auth := digestAuth{user: a.cfg.AuthorizationID, password: a.cfg.Password}
	for seq := 2; seq < 5; seq++ {
		var extra []string
		name, v, err := auth.authorization("REGISTER", a.domain.Addr())
		if err == nil && name != "" {
			extra = []string{name + ": " + v}
		}
		res, err := l.ask(ctx, a.question(l, "REGISTER", seq, extra))
		if err != nil {
			return
		}
		try.Login = res.StatusCode
		proxy := res.StatusCode == 407
		if res.StatusCode != 401 && !proxy {
			for _, h := range res.GetHeaders("Contact") {
				if h.Value() != "" {
					try.Bindings++
				}
			}
			return
		}
		challenge := "WWW-Authenticate"
		if proxy {
			challenge = "Proxy-Authenticate"
		}
		if auth.challenge(values(res, challenge), proxy) != digestAnswered {
			return
		}
	}
}

// looker is a connection that asks one question at a time.
type looker struct {
	net.Conn
	network string
	frames  framer
	parser  *gosip.Parser
}

// connect opens a connection of its own, checked as a flow's is.
func (a *Account) connect(ctx context.Context, t target, try *Try) (*looker, error) {
	network := "tcp"
	if a.cfg.Transport == "udp" {
		network = "udp"
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, network, t.addr.String())
	if err != nil {
		return nil, err
	}
	try.Local = addrPortOf(c.LocalAddr())
	if a.cfg.Transport == "tls" {
		tc := tls.Client(c, a.tlsFor(t))
		if err := tc.HandshakeContext(ctx); err != nil {
			_ = c.Close()
			return nil, fmt.Errorf("tls: %w", err)
		}
		st := tc.ConnectionState()
		try.TLS = tls.VersionName(st.Version)
		if len(st.PeerCertificates) > 0 {
			try.Until = st.PeerCertificates[0].NotAfter
		}
		c = tc
	}
	return &looker{Conn: c, network: a.cfg.Transport, parser: a.parser}, nil
}

// question builds a request that changes nothing.
func (a *Account) question(l *looker, method string, seq int, extra []string) string {
	aor := a.aor()
	local := addrPortOf(l.LocalAddr())
	lines := append([]string{
		method + " " + a.domain.String() + " SIP/2.0",
		fmt.Sprintf("Via: SIP/2.0/%s %s;rport;branch=z9hG4bK%s", strings.ToUpper(l.network), local, newTag()),
		"Max-Forwards: 70", "From: <" + aor.String() + ">;tag=" + a.regTag, "To: <" + aor.String() + ">", "Call-ID: look-" + a.regID,
		"CSeq: " + strconv.Itoa(seq) + " " + method, "User-Agent: " + a.cfg.UserAgent, "Accept: application/sdp",
	}, extra...)
	return strings.Join(lines, "\r\n") + "\r\nContent-Length: 0\r\n\r\n"
}

// errUnanswered is what a question ends with that nobody answers.
var errUnanswered = errors.New("no answer")

// ask gives the final response to a request.
func (l *looker) ask(ctx context.Context, req string) (*gosip.Response, error) {
	end, _ := ctx.Deadline()
	again := examineRepeat
	b := make([]byte, 65535)
	for {
		if _, err := l.Write([]byte(req)); err != nil {
			return nil, err
		}
		until := end
		if l.network == "udp" {
			if next := time.Now().Add(again); next.Before(end) {
				until = next
			}
			again *= 2
		}
		if err := l.SetReadDeadline(until); err != nil {
			return nil, err
		}
		res, err := l.answer(b, req)
		var timeout net.Error
		switch {
		case err == nil:
			return res, nil
		case !errors.As(err, &timeout) || !timeout.Timeout():
			return nil, err
		case !time.Now().Before(end):
			return nil, errUnanswered
		}
	}
}

// answer reads until a final response comes that belongs to req.
func (l *looker) answer(b []byte, req string) (*gosip.Response, error) {
	for {
		piece, err := l.frames.next()
		if err != nil {
			return nil, err
		}
		if piece == nil {
			n, err := l.Read(b)
			if err != nil {
				return nil, err
			}
			if l.network != "udp" {
				l.frames.add(b[:n])
				continue
			}
			piece = b[:n]
		}
		m, err := l.parser.ParseSIP(piece)
		if err != nil {
			continue
		}
		res, ok := m.(*gosip.Response)
		if ok && !res.IsProvisional() && res.Via() != nil {
			if branch, _ := param(res.Via().Params, "branch"); branch != "" && strings.Contains(req, branch) {
				return res, nil
			}
		}
	}
}

// seenIn reads from a response where its request came from, as the far side saw it (RFC 3581 section 4).
func seenIn(res *gosip.Response) netip.AddrPort {
	v := res.Via()
	if v == nil {
		return netip.AddrPort{}
	}
	host, ok := param(v.Params, "received")
	if !ok {
		host = v.Host
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if err != nil {
		return netip.AddrPort{}
	}
	text, _ := param(v.Params, "rport")
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(port))
}
