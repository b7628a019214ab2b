package endpoint

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/secret"
	"github.com/earshot/earshot/internal/webhook"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/recorder/vault"
	"github.com/earshot/earshot/sip"
	"github.com/earshot/earshot/stream"
	"github.com/earshot/earshot/supervise"
)

// Secret is a password or token as the configuration of the rooms below takes it: it is never printed. A string converts to it.
type Secret = secret.Text

// Webhook is a service to be told of recordings.
type Webhook = webhook.Hook

// Config is all that an Endpoint needs. Handler, OnState and Log of the parts are filled in by New.
type Config struct {
	// Devices register at any registrar and answer what comes.
	Devices []Device
	// Supervisors ask RingCentral to be joined to calls, each with a device of its own.
	Supervisors []Supervisor
	// Media is the engine that all calls share.
	Media media.Config
	// Record is where calls are recorded; nil: nowhere.
	Record *recorder.Config
	// Vault is where recordings go when they are sealed; nil: they stay on the disk. Dir, Vaulted, Failed and Log are filled in.
	Vault *vault.Config
	// Webhooks are services to be told of recordings: see Events.
	Webhooks []Webhook
	// Agent is how we name ourselves to them; default earshot.
	Agent string
	// Stream lists the consumers of live audio.
	Stream stream.Config
	// Sink, if not nil, gives each call a further sink, or nil. It is called before the call is answered.
	Sink func(call.Info) media.Sink
	// Told, if not nil, is told of what happens to calls, as it happens, and of what consumers hear: call.EventTranscript. Track and times are the call's. It must not block; it
	// is called from many goroutines, and keeps no lock that it holds elsewhere.
	Told func(call.Event)
	// AnswerAsked: an INVITE that answers no request of ours gets 480 unless it asks for auto-answer (sip.Invitation.AutoAnswer).
	AnswerAsked bool
	// NoMediaTimeout: a live track without packets for so long is told once; default 30 s.
	NoMediaTimeout time.Duration
	// RejoinTimeout is how long a call without legs stays open while RingCentral still shows it; default 30 s.
	RejoinTimeout time.Duration
	// MaskMax is how long a person's mask lasts at most; then it ends by itself. Default 10 min, 1 s to 24 h.
	MaskMax time.Duration
	// MaskHolds: what is said while a call is on hold is masked.
	MaskHolds bool
	// Consent is on what ground calls are recorded.
	Consent ConsentConfig
	// Standby: another process works with the same devices and records to the same directory. Run logs in and looks at the
	// calls, and neither registers nor asks for anything until TakeOver.
	Standby bool
	// Log takes what happens; nil discards.
	Log *slog.Logger
}

// Device is one SIP account to register as.
type Device struct {
	Account sip.Config
}

// Supervisor is one RingCentral login with the device that RingCentral calls.
type Supervisor struct {
	RingCentral supervise.Config
	// Device registers as the supervisor's device. Without a Domain, the account is taken from the device's sip-info.
	Device Device
}

func (c *Config) check() error {
	if len(c.Devices)+len(c.Supervisors) == 0 {
		return errors.New("endpoint: no device and no supervisor: configure at least one")
	}
	if c.NoMediaTimeout == 0 {
		c.NoMediaTimeout = 30 * time.Second
	}
	if c.RejoinTimeout == 0 {
		c.RejoinTimeout = 30 * time.Second
	}
	if err := c.Consent.check(); err != nil {
		return err
	}
	if c.MaskMax == 0 {
		c.MaskMax = defaultMaskMax
	}
	if c.MaskMax < time.Second || c.MaskMax > 24*time.Hour {
		return fmt.Errorf("endpoint: mask max: got %v, want 1s to 24h", c.MaskMax)
	}
	if c.NoMediaTimeout < 0 || c.RejoinTimeout < 0 {
		return fmt.Errorf("endpoint: negative time limit: %v, %v", c.NoMediaTimeout, c.RejoinTimeout)
	}
	if err := c.checkCatchUp(c.Stream.Consumers); err != nil {
		return err
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}
