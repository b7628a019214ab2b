package supervise

import (
	"context"
	"errors"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/secret"
)

// Device is one device of the supervisor.
type Device struct {
	ID          string
	Name        string
	Type        string // OtherPhone is the one that can register from here
	Status      string // Online or Offline
	Extension   string // the owner's short number
	ExtensionID string
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

// Devices lists the devices of the login's user.
func (s *Supervisor) Devices(ctx context.Context) ([]Device, error) { return nil, errors.New("todo") }

// Device is the configured device, or the only fitting one, with its newest status.
func (s *Supervisor) Device(ctx context.Context) (Device, error) { return Device{}, errors.New("todo") }

// SIPInfo reads the SIP account of the device.
func (s *Supervisor) SIPInfo(ctx context.Context) (SIPInfo, error) {
	return SIPInfo{}, errors.New("todo")
}

// Lookup reads the parties of a session that are on the line, supervisors left out.
func (s *Supervisor) Lookup(ctx context.Context, session string) ([]call.Party, error) {
	return nil, errors.New("todo")
}
