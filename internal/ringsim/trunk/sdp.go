package trunk

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// session is an SDP as the device sent it, as far as it is looked at.
type session struct {
	id, version string // o=, text: they need not fit any integer
	media       []mediaLine
}

// mediaLine is one m= block. What stands at session level is already applied.
type mediaLine struct {
	kind, proto, title, direction string
	addr                          netip.AddrPort // invalid address where c= names a host
	formats                       []string
	cryptos                       []cryptoLine
	names                         map[string]string // a=rtpmap: format to encoding name, upper case
}

// cryptoLine is one a=crypto of RFC 4568 section 9.1.
type cryptoLine struct {
	tag, suite string
	key        []byte // master key and salt, 30 octets
}

var errSDP = errors.New("sdp")

// maxMediaLines bounds what one SDP may hold.
const maxMediaLines = 32

// parseSDP reads an SDP. It forgives what RingCentral forgives: bare line feeds, spaces at line ends, unknown lines.
func parseSDP(body []byte) (*session, error) {
	s := &session{}
	var conn netip.Addr
	direction := "sendrecv"
	for i, line := range strings.Split(string(body), "\n") {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if len(line) < 2 || line[1] != '=' {
			return nil, fmt.Errorf("%w: line %d: %.40q", errSDP, i+1, line)
		}
		if i == 0 && line != "v=0" {
			return nil, fmt.Errorf("%w: begins with %.40q, want v=0", errSDP, line)
		}
		kind, value := line[0], line[2:]
		if kind == 'm' {
			m, err := parseMedia(value)
			if err != nil || len(s.media) == maxMediaLines {
				return nil, fmt.Errorf("%w: line %d: m=%.60s", errSDP, i+1, value)
			}
			m.direction = direction
			m.addr = netip.AddrPortFrom(conn, m.addr.Port())
			s.media = append(s.media, m)
			continue
		}
		if len(s.media) > 0 {
			if err := s.media[len(s.media)-1].attribute(kind, value); err != nil {
				return nil, err
			}
			continue
		}
		switch {
		case kind == 'o':
			f := strings.Fields(value)
			if len(f) != 6 {
				return nil, fmt.Errorf("%w: o=%.60s", errSDP, value)
			}
			s.id, s.version = f[1], f[2]
		case kind == 'c':
			conn = connection(value)
		case kind == 'a' && isDirection(value):
			direction = value
		}
	}
	if s.id == "" {
		return nil, fmt.Errorf("%w: no o= line", errSDP)
	}
	return s, nil
}

func parseMedia(value string) (mediaLine, error) {
	f := strings.Fields(value)
	if len(f) < 4 {
		return mediaLine{}, errSDP
	}
	port, err := strconv.ParseUint(f[1], 10, 16)
	return mediaLine{
		kind: f[0], proto: f[2], formats: f[3:], addr: netip.AddrPortFrom(netip.Addr{}, uint16(port)), names: map[string]string{},
	}, err
}

// attribute applies a line of an m= block.
func (m *mediaLine) attribute(kind byte, value string) error {
	switch kind {
	case 'i':
		m.title = value
	case 'c':
		m.addr = netip.AddrPortFrom(connection(value), m.addr.Port())
	case 'a':
		name, v, _ := strings.Cut(value, ":")
		switch {
		case isDirection(value):
			m.direction = value
		case name == "rtpmap":
			format, encoding, _ := strings.Cut(v, " ")
			m.names[format] = strings.ToUpper(strings.TrimSpace(encoding))
		case name == "crypto":
			c, err := parseCrypto(v)
			if err != nil {
				return err
			}
			m.cryptos = append(m.cryptos, c)
		}
	}
	return nil
}

// parseCrypto reads tag, suite and inline key; lifetime and MKI after | are skipped.
func parseCrypto(v string) (cryptoLine, error) {
	f := strings.Fields(v)
	if len(f) < 3 {
		return cryptoLine{}, fmt.Errorf("%w: a=crypto has %d parts, want tag, suite and key", errSDP, len(f))
	}
	c := cryptoLine{tag: f[0], suite: f[1]}
	inline, ok := strings.CutPrefix(f[2], "inline:")
	if !ok {
		return c, fmt.Errorf("%w: a=crypto: no inline key", errSDP)
	}
	inline, _, _ = strings.Cut(inline, "|")
	// Padding is not needed for 30 octets, but forgiven.
	key, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(inline, "="))
	if err != nil {
		return c, fmt.Errorf("%w: a=crypto: key is no base64", errSDP)
	}
	if (c.suite == suite80 || c.suite == suite32) && len(key) != keyOctets+saltOctets {
		return c, fmt.Errorf("%w: a=crypto: key is %d octets, want %d", errSDP, len(key), keyOctets+saltOctets)
	}
	c.key = key
	return c, nil
}

// connection is the address of a c= value; the zero Addr for a host name.
func connection(value string) netip.Addr {
	f := strings.Fields(value)
	if len(f) != 3 {
		return netip.Addr{}
	}
	a, _ := netip.ParseAddr(f[2])
	return a
}

func isDirection(s string) bool {
	return s == "sendrecv" || s == "sendonly" || s == "recvonly" || s == "inactive"
}

// mirrored is the answer to a direction that takes all that is offered, RFC 3264 section 6.1.
func mirrored(direction string) string {
	switch direction {
	case "sendonly":
		return "recvonly"
	case "recvonly":
		return "sendonly"
	default:
		return direction
	}
}
