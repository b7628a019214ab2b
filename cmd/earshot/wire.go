package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/cmd/earshot/internal/config"
	"github.com/earshot/earshot/endpoint"
	"github.com/earshot/earshot/internal/attr"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/sip"
	"github.com/earshot/earshot/sip/offer"
	"github.com/earshot/earshot/stream"
	"github.com/earshot/earshot/supervise"
)

// repeatEvery is how often a repeated warning may stand in the log.
const repeatEvery = time.Minute

// newLog makes the log of a daemon: to standard error, repeated warnings once a minute.
func newLog(c config.Log, w io.Writer) *slog.Logger {
	level := new(slog.LevelVar)
	level.Set(logLevel(c))
	return newLogAt(level, c, w)
}

func logLevel(c config.Log) slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		return slog.LevelInfo // check has refused all else
	}
	return level
}

// newLogAt is newLog with a level that may change.
func newLogAt(level slog.Leveler, c config.Log, w io.Writer) *slog.Logger {
	o := &slog.HandlerOptions{Level: level}
	if c.PII {
		o.ReplaceAttr = attr.ShowNumbers
	}
	var h slog.Handler = slog.NewTextHandler(w, o)
	if c.Format == "json" {
		h = slog.NewJSONHandler(w, o)
	}
	return slog.New(attr.Limit(h, repeatEvery))
}

// endpointConfig turns the configuration into what endpoint takes.
func endpointConfig(c config.Config, instance string, log *slog.Logger) endpoint.Config {
	version, _ := buildVersion()
	account := sipConfig(c, instance, version)
	cfg := endpoint.Config{
		Media: media.Config{
			ListenIP: addr(c.Media.ListenIP), AdvertiseIP: addr(c.Media.AdvertiseIP), PortMin: c.Media.Ports.Min, PortMax: c.Media.Ports.Max,
			LiveWait: c.Media.LiveWait, ArchiveWindow: c.Media.ArchiveWindow, Keepalive: c.Media.Keepalive, NoReports: !c.Media.RTCP,
			Triggers: media.Triggers{On: c.Record.Mask.DTMFOn, Off: c.Record.Mask.DTMFOff},
		},
		Record: &recorder.Config{
			Dir: c.Record.Dir, Format: c.Record.Format, Fill: c.Record.Fill, Software: "earshot " + version,
			Left: call.RoleCustomer, Right: call.RoleAgent, Sign: c.Record.Sign, KeyFile: c.Record.KeyFile, VCon: c.Record.VCon,
			Sync: c.Record.Sync, Buffer: c.Record.Buffer, Warn: mark(c.Record.Disk.Warn), Refuse: mark(c.Record.Disk.Refuse),
			Recipients: c.Record.Encrypt.Recipients, RecipientsFile: c.Record.Encrypt.RecipientsFile,
			Retention: c.Record.Retention.Policy(),
		},
		Stream:         stream.Config{Consumers: consumers(c.Stream)},
		NoMediaTimeout: c.Media.NoMediaTimeout,
		RejoinTimeout:  c.Supervise.RejoinTimeout,
		MaskMax:        c.Record.Mask.Max,
		Consent:        endpoint.ConsentConfig{Mode: c.Record.Consent.Mode, Basis: c.Record.Consent.Basis, Until: c.Record.Consent.Until},
		MaskHolds:      c.Record.OnHold == "mask",
		AnswerAsked:    c.SIP.Answer == "asked",
		Webhooks:       c.WebhookConfig(),
		Agent:          "earshot/" + version,
		Log:            log,
	}
	cfg.Vault, _ = c.VaultConfig() // check has refused what can't be read
	if c.Record.Channels.Agent == "left" {
		cfg.Record.Left, cfg.Record.Right = call.RoleAgent, call.RoleCustomer
	}
	if !c.HasRingCentral() {
		cfg.Devices = []endpoint.Device{{Account: account}}
		return cfg
	}
	account.RingCentral = true
	cfg.Supervisors = []endpoint.Supervisor{{RingCentral: superviseConfig(c, version), Device: endpoint.Device{Account: account}}}
	return cfg
}

// mark turns free space as configured into the recorder's; what is off there is negative here.
func mark(r config.Room) recorder.Mark {
	if r == (config.Room{}) {
		return recorder.Mark{Bytes: -1}
	}
	return recorder.Mark{Bytes: r.Bytes, Percent: r.Percent}
}

func superviseConfig(c config.Config, version string) supervise.Config {
	s := supervise.Config{
		Server: c.RingCentral.Server, ClientID: c.RingCentral.ClientID, ClientSecret: c.RingCentral.ClientSecret, JWT: c.RingCentral.JWT,
		DeviceID: c.Supervise.DeviceID, Agents: c.Supervise.Agents, Groups: c.Supervise.Groups, Mode: c.Supervise.Mode,
		Poll: c.Supervise.Poll, NoFeed: !c.Supervise.Feed, Policy: policy(c), UserAgent: "earshot/" + version,
	}
	for _, long := range c.Supervise.Supervisors {
		l := supervise.Login{JWT: long.JWT, Groups: long.Groups}
		for _, d := range long.Devices {
			l.Devices = append(l.Devices, supervise.LoginDevice{ID: d.ID, MaxDialogs: d.MaxDialogs})
		}
		s.Logins = append(s.Logins, l)
	}
	return s
}

// policy turns the configured rules into supervise's; check has refused what can't be read.
func policy(c config.Config) supervise.Policy {
	p := supervise.Policy{
		Directions: c.Supervise.Directions, Queues: c.Supervise.Queues, Numbers: c.Supervise.Numbers, NotNumbers: c.Supervise.NotNumbers,
		Priority: c.Supervise.Priority, Share: c.Supervise.Share, Internal: c.Supervise.Internal,
		Hook: supervise.Hook{
			Command: c.Supervise.Hook.Command, URL: c.Supervise.Hook.URL, Timeout: c.Supervise.Hook.Timeout, Default: c.Supervise.Hook.Default,
		},
	}
	p.Zone, _ = time.LoadLocation(c.Timezone)
	for _, s := range c.Supervise.Schedule {
		if w, err := config.ParseWindow(s); err == nil {
			p.Schedule = append(p.Schedule, supervise.Window{Days: w.Days, From: w.From, To: w.To})
		}
	}
	return p
}

func sipConfig(c config.Config, instance, version string) sip.Config {
	s := sip.Config{
		Domain: c.SIP.Domain, OutboundProxies: c.SIP.OutboundProxy, Transport: c.SIP.Transport,
		Username: c.SIP.Username, Password: c.SIP.Password, AuthorizationID: c.SIP.AuthorizationID,
		Listen: c.SIP.Listen, MaxCalls: c.SIP.MaxCalls, Keepalive: c.SIP.Keepalive,
		TLS:        sip.TLS{CAFile: c.SIP.TLS.CAFile, InsecureSkipVerify: c.SIP.TLS.InsecureSkipVerify},
		InstanceID: instance, UserAgent: "earshot/" + version,
	}
	for _, name := range c.Media.Codecs {
		codec := offer.PCMU
		if name == "PCMA" {
			codec = offer.PCMA
		}
		s.Policy.Codecs = append(s.Policy.Codecs, codec)
	}
	for _, a := range c.SIP.AcceptFrom {
		if p, err := config.ParsePrefix(a); err == nil { // check has refused all else
			s.AcceptFrom = append(s.AcceptFrom, p)
		}
	}
	return s
}

func consumers(in []config.Stream) []stream.Consumer {
	var out []stream.Consumer
	for _, s := range in {
		out = append(out, s.Consumer())
	}
	return out
}

func addr(s string) netip.Addr {
	a, _ := netip.ParseAddr(s) // check has refused what is no address
	return a
}

// instanceID gives the device's +sip.instance, the same for ever: a registrar counts each new one as a further device.
func instanceID(dir string) (string, error) {
	path := filepath.Join(dir, "state", "instance-id")
	b, err := os.ReadFile(path)
	if id := strings.TrimSpace(string(b)); err == nil && strings.HasPrefix(id, "urn:uuid:") && len(id) == 45 {
		return id, nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("instance id: %w", err)
	}
	id := endpoint.NewInstanceID()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("instance id: %w", err)
	}
	if err := os.WriteFile(path, []byte(id+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("instance id: %w", err)
	}
	return id, nil
}
