package offer

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// Exchange is one offer with its answer, as far as it has come: what is agreed, and our part of the SDP.
type Exchange struct {
	// offering: the SDP of ours is the offer.
	offering bool
	// id, version and origin are our o= line. Invariant: id and origin are the same for the whole dialog.
	id, version uint64
	origin      netip.Addr
	lines       []line
	// body is what Marshal gives; nil before SetLocal.
	body []byte
	// before is the body of the dialog's last exchange and base its version; before is nil at first.
	before []byte
	base   uint64
}

// line is one m= line of ours.
type line struct {
	m          mline // as the other side wrote it; port is not used
	accepted   bool
	stream     Stream
	local      Local
	events     map[uint8]string // fmtp of telephone-event by number
	mid        string
	tag, spell string // of a=crypto
}

// newExchange starts our next description in the dialog of prev (RFC 3264 section 8: same o=, version plus 1 if changed).
func newExchange(p Policy, prev *Exchange) *Exchange {
	if prev != nil {
		return &Exchange{id: prev.id, origin: prev.origin, before: prev.body, base: prev.version}
	}
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	// 62 bits: there are peers that read the number as int64.
	return &Exchange{id: binary.BigEndian.Uint64(b[:]) >> 2, base: 1, origin: p.Address}
}

// at gives line i, nil if there is none.
func (x *Exchange) at(i int) *line {
	if x == nil || i >= len(x.lines) {
		return nil
	}
	return &x.lines[i]
}

// Streams are the accepted lines, in order. The caller must not change what their slices and pointers lead to.
func (x *Exchange) Streams() []Stream {
	var s []Stream
	for i := range x.lines {
		if x.lines[i].accepted {
			s = append(s, x.lines[i].stream)
		}
	}
	return s
}

// SetLocal says where we receive each stream of Streams, in that order, and completes our SDP. A zero RTCP means the port
// after RTP's. It may be called again with other addresses as long as nothing was sent.
func (x *Exchange) SetLocal(locals []Local) error {
	open := x.open()
	if len(locals) != len(open) {
		return fmt.Errorf("set local: %d addresses, want %d, one per stream", len(locals), len(open))
	}
	for i, l := range locals {
		if !l.RTP.IsValid() || l.RTP.Port() == 0 || l.RTP.Addr().IsUnspecified() {
			return fmt.Errorf("set local: stream %d: %v is not an address to receive on", i, l.RTP)
		}
	}
	for i, l := range locals {
		open[i].local = l
	}
	if !x.origin.IsValid() {
		x.origin = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		if len(locals) > 0 {
			x.origin = locals[0].RTP.Addr().Unmap().WithZone("")
		}
	}
	return x.complete()
}

// open are the accepted lines.
func (x *Exchange) open() []*line {
	var open []*line
	for i := range x.lines {
		if x.lines[i].accepted {
			open = append(open, &x.lines[i])
		}
	}
	return open
}

// complete writes the body. The version rises exactly when the text differs from what we sent last (RFC 3264 section 8).
func (x *Exchange) complete() error {
	version := x.base
	body, err := x.write(version)
	if err != nil {
		return err
	}
	if x.before != nil && string(body) != string(x.before) {
		version++
		if body, err = x.write(version); err != nil {
			return err
		}
	}
	x.body, x.version = body, version
	return nil
}

// Marshal gives the SDP to send, the same octets each time. It is nil before SetLocal. The caller owns it.
func (x *Exchange) Marshal() []byte { return slices.Clone(x.body) }

var errNoBody = errors.New("exchange has no local addresses")
