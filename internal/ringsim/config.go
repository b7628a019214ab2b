package ringsim

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/earshot/earshot/internal/ringsim/trunk"
)

// Off closes a listener of [Config].
const Off = "off"

// Config of a [Sim]. The zero Config is a whole RingCentral on 127.0.0.1 with ports of the kernel's choice.
type Config struct {
	// REST, UDP, TCP and TLS are listen addresses; default "127.0.0.1:0". [Off] closes one of the SIP listeners. UDP and
	// TCP share one port number where both leave it open, as RingCentral's 5090 does.
	REST, UDP, TCP, TLS string
	// Host is the name or address that URLs, proxies and the certificate carry, and that media is sent from; default is
	// REST's own address. Needed where that is 0.0.0.0.
	Host string
	// Account is who exists; default DefaultAccount(Agents).
	Account Account
	// Agents is the number of agents in the default account; default 3.
	Agents int
	// Supervisors, Devices of each and Groups make the default account a [Populate]d one, if one of them is set.
	Supervisors, Devices, Groups int
	// NoScopes are application permissions that no application has, NoPermissions user permissions that nobody has, whatever
	// Account says; default none.
	NoScopes, NoPermissions []string
	// Leak is how many dB below its own level the other party can be heard in a party's stream; default 0: clean streams.
	Leak float64
	// Form is how calls are supervised that don't say so themselves; default FormTwoDialogs.
	Form Form
	// Limits are the request rates; default RingCentral's documented ones. See [Unlimited].
	Limits Limits
	// Switches choose where the facts leave a choice.
	Switches Switches
	// Seed of the identifiers; default 1.
	Seed uint64
	// Out is the folder for ca.pem; default a temporary one, removed at the end.
	Out string
	// Trunk, if set, turns the switches of the SIP side before it opens.
	Trunk func(*trunk.Config)
	// AllowViolations keeps [Start] from failing the test that broke a rule.
	AllowViolations bool
	// Log, nil discards.
	Log *slog.Logger
}

// Switches choose between behaviours where RingCentral's facts are open or contradict each other.
type Switches struct {
	// LegacyBody says where the body of 2019 (extensionNumber, deviceId) is taken; default at session level only.
	LegacyBody LegacyBody
	// InviteFirst sends the INVITE before the REST answer, which then waits for the device (at most a second).
	InviteFirst bool
	// InviteDelay between POST and INVITE; default 50 to 150 ms at random, negative means none.
	InviteDelay time.Duration
	// ReverseInvites holds the first of two party-level INVITEs back until the second is answered (at most a second).
	ReverseInvites bool
	// SessionFirst writes "session-id=...; party-id=..." with a space, instead of "party-id=...;session-id=...".
	SessionFirst bool
	// RefuseTwice answers 409 when a device supervises the same party again; default a second INVITE.
	RefuseTwice bool
	// ForeignLineIDs puts party ids into i= lines that no session shows.
	ForeignLineIDs bool
	// RandomCodes is the seed of random codes and texts in the place of the TAS codes that are made up; default 0: those.
	RandomCodes uint64
	// RandomStatus gives the refusals with random codes a random HTTP status of 4xx too.
	RandomStatus bool
	// DialogsPerDevice is how many calls a device may have; more are never sent. Default 0: unlimited.
	DialogsPerDevice int
	// AccessTTL is an access token's life; default 3600 s.
	AccessTTL time.Duration
	// ActiveCallsLag is how late a call shows up in active-calls; default 5 s, negative means none.
	ActiveCallsLag time.Duration
	// HoldMedia is what becomes of a supervisor's streams while the agent holds; default they go on.
	HoldMedia HoldMedia
	// KeepDialogs leaves a supervisor's dialogs alone when the supervised agent leaves a call that goes on; default they get a
	// BYE.
	KeepDialogs bool
	// LoseByes ends dialogs without a BYE, as if it had been lost.
	LoseByes bool
	// Feed are the switches of the event feed.
	Feed Feed
	// EndedLinger is how long an ended session can still be read; default 60 s, negative means not at all.
	EndedLinger time.Duration
}

// HoldMedia says what a supervisor hears of a call on hold.
type HoldMedia string

// The ways.
const (
	HoldContinues HoldMedia = ""         // both parties as before
	HoldSilence   HoldMedia = "silence"  // packets of silence
	HoldMusic     HoldMedia = "music"    // [Music]
	HoldPause     HoldMedia = "pause"    // no packets
	HoldInactive  HoldMedia = "inactive" // a re-INVITE with a=inactive, then one with a=sendrecv
	HoldSendonly  HoldMedia = "sendonly" // a re-INVITE with a=sendonly and music, then one with a=sendrecv
)

// LegacyBody says where a supervise body with the field names of 2019 is taken.
type LegacyBody string

// The places.
const (
	LegacySession LegacyBody = "session" // at session level, beside today's names; the default
	LegacyNever   LegacyBody = "never"   // nowhere
	LegacyOnly    LegacyBody = "only"    // everywhere, and today's names are unknown
)

// Form is how the audio of a supervised call comes.
type Form string

// The forms. A session-level request always gives one mixed line, but for FormTwoLines, where it gives both.
const (
	FormTwoDialogs Form = "two_dialogs" // an INVITE for each party-level request, with that party's audio
	FormTwoLines   Form = "two_lines"   // one INVITE with two m= lines after the second request
	FormMixed      Form = "mixed"       // each INVITE has both parties' audio in one line
)

const (
	defaultListen = "127.0.0.1:0"
	defaultAgents = 3
)

// check applies the defaults and refuses what can't be served.
func (c *Config) check() error {
	for _, a := range []*string{&c.REST, &c.UDP, &c.TCP, &c.TLS} {
		if *a == "" {
			*a = defaultListen
		}
	}
	if c.UDP == Off && c.TCP == Off && c.TLS == Off {
		return errors.New("config: UDP, TCP and TLS are all off")
	}
	host, _, err := net.SplitHostPort(c.REST)
	if err != nil {
		return fmt.Errorf("config: REST: %w", err)
	}
	if c.Host == "" {
		c.Host = host
	}
	if a, err := netip.ParseAddr(c.Host); c.Host == "" || err == nil && a.IsUnspecified() {
		return fmt.Errorf("config: REST %s: Host is needed beside an unspecified address", c.REST)
	}
	if c.Agents == 0 {
		c.Agents = defaultAgents
	}
	if err := c.populate(); err != nil {
		return err
	}
	if err := c.Account.check(); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	switch c.Form {
	case "":
		c.Form = FormTwoDialogs
	case FormTwoDialogs, FormTwoLines, FormMixed:
	default:
		return fmt.Errorf("config: Form: %q, want two_dialogs, two_lines or mixed", c.Form)
	}
	if c.Seed == 0 {
		c.Seed = 1
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Limits.check()
	return c.Switches.check()
}

// populate makes the default account, and takes away from any what is not to be had.
func (c *Config) populate() error {
	if c.Account.ID == "" && c.Supervisors == 0 && c.Devices == 0 && c.Groups == 0 {
		c.Account = DefaultAccount(c.Agents)
	} else if c.Account.ID == "" {
		a, err := Populate(Population{Agents: c.Agents, Supervisors: c.Supervisors, Devices: c.Devices, Groups: c.Groups, MaxDialogs: c.Switches.DialogsPerDevice})
		if err != nil {
			return fmt.Errorf("config: %w", err)
		}
		c.Account = a
	}
	c.Account.without(c.NoScopes, c.NoPermissions)
	return nil
}

func (w *Switches) check() error {
	switch w.LegacyBody {
	case "":
		w.LegacyBody = LegacySession
	case LegacySession, LegacyNever, LegacyOnly:
	default:
		return fmt.Errorf("config: LegacyBody: %q, want session, never or only", w.LegacyBody)
	}
	switch w.HoldMedia {
	case HoldContinues, HoldSilence, HoldMusic, HoldPause, HoldInactive, HoldSendonly:
	default:
		return fmt.Errorf("config: HoldMedia: %q, want silence, music, pause, inactive or sendonly", w.HoldMedia)
	}
	def := func(d *time.Duration, v time.Duration) {
		switch {
		case *d == 0:
			*d = v
		case *d < 0:
			*d = 0
		}
	}
	def(&w.AccessTTL, accessTTL)
	def(&w.ActiveCallsLag, 5*time.Second)
	def(&w.EndedLinger, time.Minute)
	return w.Feed.check()
}
