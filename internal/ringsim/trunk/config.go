package trunk

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"time"
)

// Numbers of the simulated RingCentral that nobody needs to turn.
const (
	t1            = 500 * time.Millisecond // RFC 3261 section 17.1.1.1
	t2            = 4 * time.Second        // RFC 3261 section 17.1.2.1
	timerB        = 32 * time.Second       // 64*T1: a transaction's end
	minSE         = 90 * time.Second       // Min-SE of every INVITE, RFC 4028 section 4
	grantedExpiry = 180 * time.Second      // what RingCentral was seen to grant, jittered
	maxMessage    = 64 << 10               // octets of one SIP message
	maxFlows      = 4096                   // UDP sources remembered
	maxSent       = 1 << 20                // packets a stream remembers
)

// Config of a Trunk. Only Domain, User and one of the listen addresses are needed.
type Config struct {
	// Domain is the digest realm and the host of every address of record.
	Domain string
	// UDP, TCP and TLS are listen addresses such as 127.0.0.1:0; empty means off.
	UDP, TCP, TLS string
	// Certificate is what the TLS listener shows.
	Certificate tls.Certificate
	// MediaIP is where the streams' ports are opened; default 127.0.0.1. It stands in every SDP.
	MediaIP netip.Addr

	// User finds a device's credentials by its authorization id.
	User func(authID string) (User, bool)
	// Granted says which expiry is granted to a REGISTER; default 180 s, -15 to +2 s, never more than asked.
	Granted func(asked time.Duration) time.Duration
	// MaxBindings is how many instances may be bound to one user; default 5, negative means no limit. One more is 603.
	MaxBindings int
	// Qop makes the challenge one with qop="auth" (RFC 2617); without it is RFC 2069's.
	Qop bool
	// Strict checks also what RingCentral itself is known to tolerate.
	Strict bool

	// OnBinding is told when a user's first binding comes and when the last one goes.
	OnBinding func(userName string, online bool)
	// OnViolation is told what a device did wrong, one sentence each.
	OnViolation func(text string)

	// AnswerWithin is how long an INVITE may ring until it is cancelled; default 3 s.
	AnswerWithin time.Duration
	// InactivityBye ends a dialog whose device sent no packet for so long; default 900 s, negative means never.
	InactivityBye time.Duration
	// IdleFlow is after how long without an octet from the device the server forgets a flow, so that an INVITE is lost
	// silently; default 120 s, negative means never.
	IdleFlow time.Duration
	// NoPong leaves the CRLFCRLF keep-alive of RFC 5626 section 3.5.1 unanswered.
	NoPong bool

	// Log, nil discards.
	Log *slog.Logger
}

// User is what the registrar knows of one device.
type User struct {
	AuthID   string // digest username
	UserName string // user of the address of record
	Password string
}

// check applies the defaults.
func (c *Config) check() error {
	if c.Domain == "" {
		return errors.New("trunk: config: Domain is empty")
	}
	if c.User == nil {
		return errors.New("trunk: config: User is nil")
	}
	if c.UDP == "" && c.TCP == "" && c.TLS == "" {
		return errors.New("trunk: config: no listen address")
	}
	if c.TLS != "" && len(c.Certificate.Certificate) == 0 {
		return fmt.Errorf("trunk: config: TLS %s without a Certificate", c.TLS)
	}
	if !c.MediaIP.IsValid() {
		c.MediaIP = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	if c.Granted == nil {
		c.Granted = granted
	}
	if c.OnBinding == nil {
		c.OnBinding = func(string, bool) {}
	}
	if c.OnViolation == nil {
		c.OnViolation = func(string) {}
	}
	if c.MaxBindings == 0 {
		c.MaxBindings = 5
	}
	c.AnswerWithin = orDefault(c.AnswerWithin, 3*time.Second)
	c.InactivityBye = orDefault(c.InactivityBye, 900*time.Second)
	c.IdleFlow = orDefault(c.IdleFlow, 120*time.Second)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

func orDefault(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}

// granted is what RingCentral was seen to grant: about three minutes, jittered.
func granted(asked time.Duration) time.Duration {
	return min(asked, grantedExpiry+time.Duration(rand.IntN(18)-15)*time.Second)
}
