package offer

import (
	"cmp"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"
)

// packetTime is what we ask for and send, in milliseconds; what comes is read by its length.
const packetTime = "20"

// write makes our SDP. Every field is filled, as the zero ones marshal to lines that are none.
func (x *Exchange) write(version uint64) ([]byte, error) {
	common := x.origin
	if open := x.open(); len(open) > 0 {
		common = open[0].local.RTP.Addr()
	}
	d := sdp.SessionDescription{
		Origin: sdp.Origin{
			Username: "-", SessionID: x.id, SessionVersion: version,
			NetworkType: "IN", AddressType: family(x.origin), UnicastAddress: hostText(x.origin),
		},
		SessionName:           "earshot",
		ConnectionInformation: connection(common),
		TimeDescriptions:      []sdp.TimeDescription{{}},
	}
	for i := range x.lines {
		d.MediaDescriptions = append(d.MediaDescriptions, x.lines[i].write(common))
	}
	body, err := d.Marshal()
	if err != nil {
		return nil, fmt.Errorf("sdp: marshal: %w", err)
	}
	return body, nil
}

func (l *line) write(common netip.Addr) *sdp.MediaDescription {
	d := &sdp.MediaDescription{MediaName: sdp.MediaName{Media: l.m.kind, Protos: []string{l.m.proto}, Formats: l.m.formats}}
	if !l.accepted {
		return d
	}
	s, rtp := &l.stream, l.local.RTP
	d.MediaName.Port.Value = int(rtp.Port())
	d.MediaName.Formats = nil
	if addr := rtp.Addr().Unmap().WithZone(""); addr != common.Unmap().WithZone("") {
		d.ConnectionInformation = connection(addr)
	}
	for _, p := range s.Payloads {
		n := strconv.Itoa(int(p.Number))
		d.MediaName.Formats = append(d.MediaName.Formats, n)
		d.WithValueAttribute("rtpmap", n+" "+p.Codec.String()+"/"+clockRate)
		if p.Codec == TelephoneEvent {
			d.WithValueAttribute("fmtp", n+" "+cmp.Or(l.events[p.Number], commonEvents("")))
		}
	}
	d.WithValueAttribute("ptime", packetTime)
	d.WithPropertyAttribute(s.Ours.String())
	if l.mid != "" {
		d.WithValueAttribute("mid", l.mid)
	}
	l.writeRTCP(d)
	if s.SendKey != nil {
		d.WithValueAttribute("crypto", s.SendKey.attribute(l.tag, l.spell))
	}
	return d
}

// writeRTCP names our RTCP port where it is neither shared nor the next one up.
func (l *line) writeRTCP(d *sdp.MediaDescription) {
	rtp, rtcp := l.local.RTP, l.local.RTCP
	switch {
	case l.stream.Mux:
		d.WithPropertyAttribute("rtcp-mux")
	case rtcp.Port() != 0 && int(rtcp.Port()) != int(rtp.Port())+1:
		d.WithValueAttribute("rtcp", strconv.Itoa(int(rtcp.Port())))
	}
}

func connection(a netip.Addr) *sdp.ConnectionInformation {
	return &sdp.ConnectionInformation{NetworkType: "IN", AddressType: family(a), Address: &sdp.Address{Address: hostText(a)}}
}

func family(a netip.Addr) string {
	if a.Unmap().Is6() {
		return "IP6"
	}
	return "IP4"
}

func hostText(a netip.Addr) string { return strings.ToLower(a.Unmap().WithZone("").String()) }
