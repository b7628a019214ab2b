package media

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// agreement is a checked Params with all that had to be built for it.
type agreement struct {
	recv *opener
	send *sealer
	// removed: the line was taken away (port 0 in the offer); until its commit the agreement is empty.
	removed bool
	silence Law
	codecs  [128]Codec    // by payload type
	at      time.Duration // of the commit
	params  Params
}

// newAgreement checks what an exchange agreed.
func newAgreement(p Params) (*agreement, error) {
	a := &agreement{params: p}
	if p.Inactive && len(p.Payloads) == 0 {
		return &agreement{params: Params{Inactive: true}, removed: true}, nil
	}
	for _, pl := range p.Payloads {
		switch {
		case pl.Number > 127:
			return nil, fmt.Errorf("payload type: got %d, want 0 to 127", pl.Number)
		case pl.Codec < CodecPCMU || pl.Codec > CodecNoise:
			return nil, fmt.Errorf("payload type %d: codec: got %d, want one of the Codec constants", pl.Number, pl.Codec)
		case a.codecs[pl.Number] != 0 && a.codecs[pl.Number] != pl.Codec:
			return nil, fmt.Errorf("payload type %d: named twice", pl.Number)
		}
		a.codecs[pl.Number] = pl.Codec
	}
	if a.silence = lawOf(a.codec(p.SilencePT)); a.silence == LawNone {
		return nil, fmt.Errorf("silence payload type: got %d, want PCMU or PCMA of the agreed", p.SilencePT)
	}
	if p.RecvKey != nil && p.SendKey == nil {
		return nil, errors.New("keys: got a receive key alone, want both or none") // a send key alone is a late offer
	}
	a.params.Remote, a.params.RemoteRTCP = unmap(p.Remote), unmap(p.RemoteRTCP)
	return a, nil
}

//earshot:hot
func (a *agreement) codec(pt uint8) Codec { return a.codecs[pt&0x7f] }

// lawOf is a codec's law; LawNone: not audio.
//
//earshot:hot
func lawOf(c Codec) Law {
	switch c {
	case CodecPCMU:
		return LawPCMU
	case CodecPCMA:
		return LawPCMA
	case CodecEvent, CodecNoise:
	}
	return LawNone
}

// waits tells whether packets must stay in the kernel for now: SRTP whose key is still to come (late offer).
func (a *agreement) waits() bool { return a.send != nil && a.recv == nil }

// sendTo is where packets of ours may go; false: nowhere. from is the source that was found.
func (a *agreement) sendTo(from netip.AddrPort) (netip.AddrPort, bool) {
	if a.params.Inactive || !a.params.Remote.IsValid() && !from.IsValid() || a.params.Remote.Addr().IsUnspecified() {
		return netip.AddrPort{}, false
	}
	return from, from.IsValid() && !from.Addr().IsUnspecified() && from.Port() != 0
}

// without is an agreement whose line was taken away: all that was agreed still holds for what is on its way.
func (a *agreement) without() *agreement {
	b := *a
	b.removed, b.params.Inactive = true, true
	return &b
}
