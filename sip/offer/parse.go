package offer

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"
)

// Offer is a description that the far side sent: an offer, or the answer to ours. It never changes.
type Offer struct {
	lines []remoteLine
}

// remoteLine is one m= line with all that we use of it.
type remoteLine struct {
	mline
	title, label, mid string
	host              string     // of c=, "" if there is none
	addr              netip.Addr // of host, if that is one
	ipv6              bool
	rtcp              string // value of a=rtcp
	mux               bool
	direction         Direction
	rtpmap, fmtp      map[string]string // by format; the first one counts
	crypto            []string          // values of a=crypto, in order
}

// Parse reads a body. Every error is a *SyntaxError: the text is not SDP, or too large (ErrTooLarge).
func Parse(body []byte) (*Offer, error) {
	sections, err := prepass(body)
	if err != nil {
		return nil, err
	}
	var d sdp.SessionDescription
	if err := d.Unmarshal(rewrite(sections)); err != nil {
		return nil, &SyntaxError{Err: err}
	}
	o := &Offer{lines: make([]remoteLine, 0, len(sections)-1)}
	session := remoteLine{}
	session.connect(d.ConnectionInformation)
	for _, a := range d.Attributes {
		if dir, ok := directionOf(strings.ToLower(a.Key)); ok {
			session.direction = dir // holds for all lines without their own (RFC 8866 section 6.7)
		}
	}
	for i, m := range d.MediaDescriptions {
		o.lines = append(o.lines, newRemoteLine(sections[i+1].m, m, session))
	}
	return o, nil
}

// Lines is the number of m= lines.
func (o *Offer) Lines() int { return len(o.lines) }

func newRemoteLine(m mline, d *sdp.MediaDescription, session remoteLine) remoteLine {
	r := session
	r.mline = m
	r.rtpmap, r.fmtp = map[string]string{}, map[string]string{}
	if d.MediaTitle != nil {
		r.title = string(*d.MediaTitle)
	}
	if d.ConnectionInformation != nil { // the line's own wins (RFC 8866 section 5.7)
		r.connect(d.ConnectionInformation)
	}
	for _, a := range d.Attributes {
		r.attribute(strings.ToLower(a.Key), a.Value)
	}
	return r
}

func (r *remoteLine) connect(c *sdp.ConnectionInformation) {
	if c == nil || c.Address == nil {
		return
	}
	r.host, r.ipv6, r.addr = c.Address.Address, c.AddressType == "IP6", netip.Addr{}
	if addr, err := netip.ParseAddr(r.host); err == nil {
		r.addr = addr.Unmap().WithZone("")
		r.ipv6 = r.addr.Is6()
	}
	if strings.HasSuffix(strings.ToLower(r.host), ".invalid") { // what IPv6 has instead of 0.0.0.0 (RFC 6157)
		r.addr = netip.IPv4Unspecified()
		if r.ipv6 {
			r.addr = netip.IPv6Unspecified()
		}
	}
}

func (r *remoteLine) attribute(key, value string) {
	switch key {
	case "rtpmap":
		first(r.rtpmap, value)
	case "fmtp":
		first(r.fmtp, value)
	case "crypto":
		r.crypto = append(r.crypto, value)
	case "label":
		r.label = cleanText(value)
	case "mid":
		r.mid = cleanText(value)
	case "rtcp":
		r.rtcp = value
	case "rtcp-mux", "rtcp-mux-only":
		r.mux = true
	default:
		if d, ok := directionOf(key); ok {
			r.direction = d
		}
	}
}

// first keeps "format text" under its format unless one is there.
func first(m map[string]string, value string) {
	format, text, _ := strings.Cut(value, " ")
	if _, ok := m[format]; !ok {
		m[format] = strings.TrimSpace(text)
	}
}

// remotes gives where the far side receives. RTCP goes to a=rtcp (RFC 3605), else to the next port up (RFC 3550
// section 11). Both are zero where c= holds a host name.
func (r *remoteLine) remotes(mux bool) (rtp, rtcp netip.AddrPort) {
	if !r.addr.IsValid() { // a host name: the port is known, the address is not
		return netip.AddrPortFrom(netip.Addr{}, uint16(r.port)), netip.AddrPort{}
	}
	rtp = netip.AddrPortFrom(r.addr, uint16(r.port))
	if mux {
		return rtp, rtp
	}
	if r.port < 65535 {
		rtcp = netip.AddrPortFrom(r.addr, uint16(r.port)+1)
	}
	f := strings.Fields(r.rtcp)
	if len(f) == 0 {
		return rtp, rtcp
	}
	port, err := strconv.ParseUint(f[0], 10, 16)
	if err != nil || port == 0 {
		return rtp, rtcp
	}
	addr := r.addr
	if len(f) == 4 {
		if a, err := netip.ParseAddr(f[3]); err == nil && !a.IsMulticast() {
			addr = a.Unmap().WithZone("")
		}
	}
	return rtp, netip.AddrPortFrom(addr, uint16(port))
}
