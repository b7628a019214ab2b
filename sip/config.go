package sip

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"github.com/earshot/earshot/internal/secret"
	"github.com/earshot/earshot/sip/offer"
)

// Config is an account and how to reach it.
type Config struct {
	// Domain is the SIP domain: From, To, Request-URI of REGISTER; with or without port. Required.
	Domain string
	// OutboundProxies are "host:port" or "host" in order of preference; empty: the domain itself. Without a port SRV is
	// asked first, then 5061 (TLS) or 5060 is taken.
	OutboundProxies []string
	// Transport is "tls", "tcp" or "udp"; "" means tls.
	Transport string
	// Username is the user part of the AOR. Required.
	Username string
	Password secret.Text
	// AuthorizationID is the user name in digest; "" means Username.
	AuthorizationID string
	// Listen is the local UDP socket "ip:port"; "" means the interface address that the route to the proxy has, any port.
	Listen string
	// MaxCalls is how many calls may be up at once; 0 means 1000. Beyond it: 486.
	MaxCalls int
	// AcceptFrom are networks whose UDP datagrams are taken besides those of the proxies.
	AcceptFrom []netip.Prefix
	TLS        TLS
	// InstanceID is "urn:uuid:...", the same for ever (RFC 5626 section 4.1). Required: registrars count each new one.
	InstanceID string
	// UserAgent is the text of that header; "" means "earshot".
	UserAgent string
	// RingCentral turns on its rules: short back-off, 200 to NOTIFY and MESSAGE, dialogs found by Call-ID alone, any user
	// part in the Request-URI.
	RingCentral bool
	// Keepalive is the longest pause between two CRLF on the flow; 0 means 25 s, negative means none.
	Keepalive time.Duration
	// ProbeAfter is how long the media of a call without session timer may be silent before we ask by a re-INVITE whether
	// the far side is still there; ten times that while it holds the call. 0 means 30 s, negative means never.
	ProbeAfter time.Duration
	// Policy is what we accept and offer.
	Policy offer.Policy
	// Handler decides about calls. Required.
	Handler Handler
	// OnState hears each change of the registration, from the registrar's goroutine; it must not block. May be nil.
	OnState func(State)
	// Log; nil discards.
	Log *slog.Logger

	// tune holds the timers; tests shorten them. Zero: the defaults.
	tune tuning
	// resolver answers names; nil means the system's.
	resolver resolver
	// wall is the wall clock; nil means the system's.
	wall func() time.Time
}

// TLS says whom to trust.
type TLS struct {
	// CAFile is a PEM file with the certificates to trust instead of the system's; "" means the system's.
	CAFile string
	// InsecureSkipVerify accepts any certificate.
	InsecureSkipVerify bool
}

// tuning holds every waiting time of the room.
type tuning struct {
	dialLimit     time.Duration // for one address
	writeLimit    time.Duration // for one write on a stream: a peer that stops reading is no peer
	messageLimit  time.Duration // for a message on a stream, from its first octet to its last
	registerLimit time.Duration // REGISTER unanswered: the flow is dead
	unregLimit    time.Duration
	probeEvery    time.Duration // REGISTER as the judge of a flow that never answered a CRLF
	firstPing     time.Duration
	pongLimit     time.Duration // RFC 5626 section 4.4.1 has 10 s; as for REGISTER, so that it is over soon after a short outage
	proxyRest     time.Duration // a failed proxy is tried last for so long
	t1, t2        time.Duration // RFC 3261 section 17.1.1.1
	reorderWait   time.Duration // how long a request waits for one that should have come before it
	reinviteLimit time.Duration // our re-INVITE without an answer
	reinviteAgain time.Duration // until the next try of a failed one
	silence       time.Duration // of the media, from which on a 481 or 408 to our re-INVITE is believed
	byeLimit      time.Duration // all BYEs at shutdown
	second        time.Duration // the unit of back-off steps, slow retries and session intervals
	logEvery      time.Duration // a repeated error is one line in so much
	lookEvery     time.Duration // whether a clock jumped
	guardSlower   int           // a divisor of what one source may bring; 0: none
}

func (t tuning) orDefault() tuning {
	set := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	set(&t.dialLimit, 5*time.Second)
	set(&t.writeLimit, 5*time.Second)
	set(&t.messageLimit, 10*time.Second)
	set(&t.registerLimit, 8*time.Second)
	set(&t.unregLimit, 2*time.Second)
	set(&t.probeEvery, 30*time.Second)
	set(&t.firstPing, 2*time.Second)
	set(&t.pongLimit, 8*time.Second)
	set(&t.proxyRest, 30*time.Second)
	set(&t.t1, 500*time.Millisecond)
	set(&t.t2, 4*time.Second)
	set(&t.reorderWait, 200*time.Millisecond)
	set(&t.reinviteLimit, 32*time.Second)
	set(&t.reinviteAgain, 30*time.Second)
	set(&t.silence, 10*time.Second)
	set(&t.byeLimit, 5*time.Second)
	set(&t.second, time.Second)
	set(&t.logEvery, time.Minute)
	set(&t.lookEvery, 5*time.Second)
	return t
}

const (
	defaultMaxCalls  = 1000
	defaultKeepalive = 25 * time.Second
	defaultProbe     = 30 * time.Second
)

// check applies defaults and names the first mistake.
func (c *Config) check() error {
	if c.Handler == nil {
		return errors.New("sip: handler: missing")
	}
	if c.Domain == "" || c.Username == "" {
		return errors.New("sip: domain and username: both are needed")
	}
	var u gosip.Uri
	if err := gosip.ParseUri("sip:"+c.Username+"@"+c.Domain, &u); err != nil || u.Host == "" || strings.ContainsAny(c.Username+c.Domain, "<>\" \t\r\n;?") {
		return fmt.Errorf("sip: username %q at domain %q: not a SIP address", c.Username, c.Domain)
	}
	c.Transport = strings.ToLower(c.Transport)
	switch c.Transport {
	case "":
		c.Transport = "tls"
	case "tls", "tcp", "udp":
	default:
		return fmt.Errorf("sip: transport: got %q, want tls, tcp or udp", c.Transport)
	}
	if c.InstanceID == "" || strings.ContainsAny(c.InstanceID, "<>\" \t\r\n") {
		return fmt.Errorf("sip: instance id: got %q, want urn:uuid:...", c.InstanceID)
	}
	if len(c.OutboundProxies) == 0 {
		c.OutboundProxies = []string{c.Domain}
	}
	for _, p := range c.OutboundProxies {
		if _, _, err := splitProxy(p); err != nil {
			return err
		}
	}
	if c.Listen != "" {
		if _, err := netip.ParseAddrPort(c.Listen); err != nil {
			return fmt.Errorf("sip: listen: got %q, want ip:port", c.Listen)
		}
	}
	if c.AuthorizationID == "" {
		c.AuthorizationID = c.Username
	}
	if c.UserAgent == "" {
		c.UserAgent = "earshot"
	}
	if c.MaxCalls <= 0 {
		c.MaxCalls = defaultMaxCalls
	}
	if c.Keepalive == 0 {
		c.Keepalive = defaultKeepalive
	}
	if c.ProbeAfter == 0 {
		c.ProbeAfter = defaultProbe
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.tune = c.tune.orDefault()
	if c.resolver == nil {
		c.resolver = net.DefaultResolver
	}
	if c.wall == nil {
		c.wall = time.Now
	}
	return nil
}

// splitProxy reads "host:port" or "host"; port 0 means none was given.
func splitProxy(p string) (host string, port uint16, err error) {
	host, text, err := net.SplitHostPort(p)
	if err != nil {
		host, text = strings.Trim(p, "[]"), ""
		if strings.Contains(host, ":") && !isIP(host) {
			return "", 0, fmt.Errorf("sip: outbound proxy: got %q, want host or host:port", p)
		}
	}
	if text != "" {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil || n == 0 {
			return "", 0, fmt.Errorf("sip: outbound proxy %q: port %q, want 1-65535", p, text)
		}
		port = uint16(n)
	}
	if host == "" || strings.ContainsAny(host, " \t\r\n/") {
		return "", 0, fmt.Errorf("sip: outbound proxy: got %q, want host or host:port", p)
	}
	return host, port, nil
}

func isIP(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}
