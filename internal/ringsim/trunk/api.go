package trunk

import (
	"context"
	"errors"
	"net/netip"
	"time"
)

type Trunk struct{ cfg Config }

func New(cfg Config) (*Trunk, error) { return nil, errors.ErrUnsupported }

func (t *Trunk) Run(ctx context.Context) error { return errors.ErrUnsupported }
func (t *Trunk) Close() error                  { return nil }
func (t *Trunk) Addr(transport string) string  { return "" }
func (t *Trunk) Online(userName string) bool   { return false }
func (t *Trunk) Dialogs(userName string) int   { return 0 }

// Dialog is one call to a device.
type Dialog struct{}

func (d *Dialog) CallID() string                                 { return "" }
func (d *Dialog) UserName() string                               { return "" }
func (d *Dialog) Done() <-chan struct{}                          { return nil }
func (d *Dialog) Cause() string                                  { return "" }
func (d *Dialog) Bye(ctx context.Context) error                  { return nil }
func (d *Dialog) Reinvite(ctx context.Context, r Reinvite) error { return nil }
func (d *Dialog) Update(ctx context.Context) error               { return nil }
func (d *Dialog) Options(ctx context.Context) (int, error)       { return 0, nil }
func (d *Dialog) Info(ctx context.Context, contentType string, body []byte) (int, error) {
	return 0, nil
}
func (d *Dialog) Notify(ctx context.Context, event string) (int, error) { return 0, nil }
func (d *Dialog) Message(ctx context.Context, contentType string, body []byte) (int, error) {
	return 0, nil
}
func (d *Dialog) Line(i int) *Stream { return nil }
func (d *Dialog) Lines() int         { return 0 }

// Reinvite is what a re-INVITE changes, on all lines; the zero value is a refresh with the same SDP.
type Reinvite struct {
	Direction string // "" means unchanged
	NewPort   bool
	NewKey    bool
	NoSDP     bool
}

// Stream is one m= line's media.
type Stream struct{}

type Packet struct {
	Seq       uint16
	Timestamp uint32
	SSRC      uint32
	Pos       int64
	Octets    int
	Delivered bool
	Count     int
	At        time.Time
}

type Received struct {
	Packets, NonSilent, Rejected int64
	First, Last                  time.Time
}

func (s *Stream) Sent() []Packet         { return nil }
func (s *Stream) Received() Received     { return Received{} }
func (s *Stream) Law() Law               { return 0 }
func (s *Stream) Remote() netip.AddrPort { return netip.AddrPort{} }
func (s *Stream) Local() netip.AddrPort  { return netip.AddrPort{} }
