package supervise

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/secret"
)

// setupPatience is how long a request of the set-up may wait for the request budget.
const setupPatience = 90 * time.Second

// fittingType is the only device type whose SIP account is meant for programs like this one; the portal calls it
// "Existing Phone". SoftPhone is RingCentral's own app.
const fittingType = "OtherPhone"

// Device is one device of the supervisor.
type Device struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Type        string `json:"type"`         // OtherPhone is the one that can register from here
	Status      string `json:"status"`       // Online or Offline
	Extension   string `json:"extension"`    // the owner's short number
	ExtensionID string `json:"extension_id"` // and id
}

// SIPInfo is the SIP account of a device.
type SIPInfo struct {
	Domain          string // without a port
	UserName        string
	Password        secret.Text
	AuthorizationID string
	Proxies         []Proxy // as RingCentral orders them
}

// Proxy is one region's outbound proxy, each as host:port.
type Proxy struct {
	Region   string
	Proxy    string // TCP and UDP
	ProxyTLS string
}

// ErrNoDevice says that no device could be chosen; the error's text lists those that are there.
var ErrNoDevice = errors.New("no device to supervise with")

type deviceDoc struct {
	ID        text         `json:"id"`
	Name      text         `json:"name"`
	Type      text         `json:"type"`
	Status    text         `json:"status"`
	Extension extensionRef `json:"extension"`
}

func parseDevices(raw []byte) ([]Device, error) {
	docs, err := parseList[deviceDoc](raw)
	if err != nil {
		return nil, err
	}
	devices := make([]Device, 0, len(docs))
	for _, d := range docs {
		if d.ID != "" {
			devices = append(devices, Device{ID: string(d.ID), Name: clean(string(d.Name)), Type: string(d.Type), Status: string(d.Status),
				Extension: string(d.Extension.Number), ExtensionID: string(d.Extension.ID)})
		}
	}
	return devices, nil
}

// devices lists the devices of the login's user.
func (c *client) devices(ctx context.Context) ([]Device, error) {
	var all []Device
	_, err := c.pages(ctx, request{op: opDevices, share: shareLook, patience: setupPatience}, func(raw json.RawMessage) (paging, error) {
		devices, err := parseDevices(raw)
		all = append(all, devices...)
		return parsePaging(raw), err
	})
	return all, err
}

// chooseDevice takes the wanted device, else the only one of the fitting type.
func chooseDevice(devices []Device, wanted string) (Device, error) {
	var fitting []Device
	for _, d := range devices {
		if wanted != "" && d.ID == wanted {
			return d, nil
		}
		if strings.EqualFold(d.Type, fittingType) {
			fitting = append(fitting, d)
		}
	}
	switch {
	case wanted != "":
		return Device{}, fmt.Errorf("%w: supervise.device_id %s is not a device of the JWT's user, who has %s", ErrNoDevice, wanted, describe(devices))
	case len(fitting) == 1:
		return fitting[0], nil
	case len(fitting) == 0:
		return Device{}, fmt.Errorf("%w: the JWT's user has %s: want one of type %s (in the portal: Existing Phone)", ErrNoDevice, describe(devices), fittingType)
	}
	return Device{}, fmt.Errorf("%w: several fit: set supervise.device_id to one of %s", ErrNoDevice, describe(fitting))
}

func describe(devices []Device) string {
	if len(devices) == 0 {
		return "no devices"
	}
	texts := make([]string, len(devices))
	for i, d := range devices {
		texts[i] = fmt.Sprintf("%s (%s, %s)", d.ID, d.Type, d.Status)
	}
	return strings.Join(texts, ", ")
}

// SIPInfo reads the SIP account of that device of the pool; see Pool.
func (s *Supervisor) SIPInfo(ctx context.Context, device int) (SIPInfo, error) {
	d, err := s.Device(ctx, device)
	if err != nil {
		return SIPInfo{}, err
	}
	var raw json.RawMessage
	if err := s.logins[s.devices[device].login].client.do(ctx, request{op: opSIPInfo, ids: []string{d.ID}, share: shareLook, patience: setupPatience}, &raw); err != nil {
		return SIPInfo{}, err
	}
	return parseSIPInfo(raw)
}

func parseSIPInfo(raw []byte) (SIPInfo, error) {
	var d struct {
		Domain          text `json:"domain"`
		UserName        text `json:"userName"` // sip-provision, for WebRTC, spells it username
		Password        text `json:"password"`
		AuthorizationID text `json:"authorizationId"`
		Proxies         list[struct {
			Region   text `json:"region"`
			Proxy    text `json:"proxy"`
			ProxyTLS text `json:"proxyTLS"`
		}] `json:"outboundProxies"`
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		return SIPInfo{}, fmt.Errorf("%s: answer of %d octets: %w", opSIPInfo, len(raw), err)
	}
	info := SIPInfo{Domain: string(d.Domain), UserName: string(d.UserName), Password: secret.Text(d.Password), AuthorizationID: string(d.AuthorizationID)}
	if host, _, err := net.SplitHostPort(info.Domain); err == nil {
		info.Domain = host // the portal shows sip.ringcentral.com:5061
	}
	for _, p := range d.Proxies {
		if p.Proxy != "" || p.ProxyTLS != "" {
			info.Proxies = append(info.Proxies, Proxy{Region: string(p.Region), Proxy: string(p.Proxy), ProxyTLS: string(p.ProxyTLS)})
		}
	}
	if info.Domain == "" || info.UserName == "" || info.Password == "" {
		return SIPInfo{}, fmt.Errorf("%s: answer: want domain, userName and password, some are missing", opSIPInfo)
	}
	return info, nil
}

// Lookup reads the parties of a session that are on the line, supervisors left out. Roles are known where the session
// is one of ours.
func (s *Supervisor) Lookup(ctx context.Context, session string) ([]call.Party, error) {
	parties, err := s.readSession(ctx, session)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []call.Party
	for _, p := range parties {
		if !live(p) || p.Supervising {
			continue
		}
		party := call.Party{ID: p.ID, Name: p.Name, Number: p.Number, Extension: p.Extension}
		if known := s.core.sessions[session]; known != nil {
			for _, k := range known.known {
				if k.ID == p.ID {
					party = k
				}
			}
		}
		out = append(out, party)
	}
	return out, nil
}

func (s *Supervisor) readSession(ctx context.Context, session string) ([]partyState, error) {
	var raw json.RawMessage
	if err := s.reader(session).do(ctx, request{op: opSession, ids: []string{session}, share: shareLook}, &raw); err != nil {
		return nil, err
	}
	parties, err := parseSession(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", opSession, err)
	}
	return parties, nil
}
