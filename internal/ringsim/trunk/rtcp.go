package trunk

import (
	"crypto/subtle"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"
)

// maxReports bounds what a stream remembers of the device's RTCP.
const maxReports = 4096

// Report is one RTCP compound packet that the device sent.
type Report struct {
	At     time.Time
	From   netip.AddrPort
	Sender bool   // it began with a sender report
	SSRC   uint32 // the device's
	CNAME  string
	Bye    bool
	// Block is what it says of us; nil: nothing.
	Block *Block
}

// Block is a reception report (RFC 3550 section 6.4.1).
type Block struct {
	SSRC      uint32
	Fraction  uint8 // of the packets lost since the report before, in 1/256
	Lost      int64 // in all; negative where copies are more
	High      uint32
	Jitter    uint32
	LSR, DLSR uint32
}

// Reports is a copy of the RTCP that came from the device.
func (s *Stream) Reports() []Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.reports)
}

// takeRTCP reads the device's RTCP, if the plan has any.
func (s *Stream) takeRTCP(from netip.AddrPort, b []byte) (wrong string, told int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.line.Plan.RTCP == 0 || s.stopped || !s.ready {
		return "", 0
	}
	plain := b
	if s.in != nil {
		var ok bool
		if plain, ok = s.in.openRTCP(b); !ok && s.was != nil {
			plain, ok = s.was.openRTCP(b)
		}
		if !ok {
			s.told++
			return "RTCP that is no SRTCP under the answer's key", s.told
		}
	}
	r, ok := parseReport(plain)
	if !ok {
		s.told++
		return "malformed RTCP", s.told
	}
	r.At, r.From = time.Now(), from
	if len(s.reports) < maxReports {
		s.reports = append(s.reports, r)
	}
	return "", 0
}

// parseReport reads a compound packet strictly: a report, then SDES with a CNAME, perhaps BYE (RFC 3550 section 6.1).
func parseReport(b []byte) (r Report, ok bool) {
	for first := true; len(b) > 0; first = false {
		if len(b) < 8 || b[0]>>6 != 2 || b[0]&0x20 != 0 {
			return r, false
		}
		size := 4 + 4*int(binary.BigEndian.Uint16(b[2:]))
		count, pt := int(b[0]&0x1F), b[1]
		if size > len(b) || size < 8 || first != (pt == 200 || pt == 201) {
			return r, false
		}
		part := b[4:size]
		switch pt {
		case 200, 201:
			r.Sender, r.SSRC = pt == 200, binary.BigEndian.Uint32(part)
			blocks := part[4:]
			if r.Sender {
				if len(part) < 24 {
					return r, false
				}
				blocks = part[24:]
			}
			if len(blocks) != 24*count || count > 1 {
				return r, false
			}
			if count == 1 {
				r.Block = parseBlock(blocks)
			}
		case 202:
			n := 0
			if len(part) > 6 && part[4] == 1 {
				n = int(part[5])
			}
			if n == 0 || len(part) < 6+n+1 || binary.BigEndian.Uint32(part) != r.SSRC {
				return r, false
			}
			r.CNAME = string(part[6 : 6+n])
		case 203:
			r.Bye = true
		}
		b = b[size:]
	}
	return r, r.CNAME != ""
}

func parseBlock(b []byte) *Block {
	u := func(i int) uint32 { return binary.BigEndian.Uint32(b[i:]) }
	return &Block{
		SSRC: u(0), Fraction: b[4], Lost: int64(int32(u(4)<<8) >> 8), High: u(8), Jitter: u(12), LSR: u(16), DLSR: u(20),
	}
}

// reportDue sends a sender report with our CNAME when its time has come. One clock is behind all streams of a trunk.
func (s *Stream) reportDue(now time.Time) {
	d, every := &s.sender, s.line.Plan.RTCP
	if every == 0 || len(d.log) == 0 || now.Sub(d.reported) < every {
		return
	}
	d.reported = now
	p := d.log[len(d.log)-1]
	// The moment of slot 0 is d.start.
	since := now.Sub(d.start)
	unix := now.UnixNano()
	ntp := uint64(unix/1e9+2208988800)<<32 | uint64(unix%1e9)<<32/1e9
	b := []byte{0x80, 200, 0, 6}
	b = binary.BigEndian.AppendUint32(b, p.SSRC)
	b = binary.BigEndian.AppendUint64(b, ntp)
	b = binary.BigEndian.AppendUint32(b, d.ts0+uint32(samples(since)))
	b = binary.BigEndian.AppendUint32(b, uint32(d.packets))
	b = binary.BigEndian.AppendUint32(b, uint32(d.packets*p.Octets))
	const cname = "media@sim!" // 10 octets: with type, length and the end a whole number of words
	b = append(b, 0x81, 202, 0, 5)
	b = binary.BigEndian.AppendUint32(b, p.SSRC)
	b = append(append(b, 1, byte(len(cname))), cname...)
	b = append(b, 0, 0, 0, 0)
	if s.out != nil {
		d.rtcpIndex++
		b = s.out.sealRTCP(b, d.rtcpIndex)
	}
	_, _ = s.port.conn.WriteToUDPAddrPort(b, s.port.remote)
	d.srs = append(d.srs, uint32(ntp>>16))
	if len(d.srs) > maxReports {
		d.srs = d.srs[1:]
	}
}

// SenderReports are the middles of the NTP times of what we sent, as the device's blocks name them.
func (s *Stream) SenderReports() []uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.sender.srs)
}

// randomIndex is where a stream's SRTCP index begins: anywhere far from its end.
func randomIndex() uint32 { return rand.Uint32() >> 2 }

// sealRTCP protects a compound packet (RFC 3711 section 3.4): all but the first 8 octets encrypted, then E and index, then the tag,
// which has 80 bits in either suite.
func (c *srtpContext) sealRTCP(b []byte, index uint32) []byte {
	c.rtcp.crypt(b[8:], binary.BigEndian.Uint32(b[4:]), uint64(index))
	b = binary.BigEndian.AppendUint32(b, 1<<31|index)
	return append(b, c.rtcp.sumOf(b)...)
}

// openRTCP checks and decrypts in a copy.
func (c *srtpContext) openRTCP(b []byte) ([]byte, bool) {
	const tail = 4 + rtcpTag
	if len(b) < 8+tail {
		return nil, false
	}
	body, sum := slices.Clone(b[:len(b)-rtcpTag]), b[len(b)-rtcpTag:]
	if subtle.ConstantTimeCompare(sum, c.rtcp.sumOf(body)) != 1 {
		return nil, false
	}
	index := binary.BigEndian.Uint32(body[len(body)-4:])
	body = body[:len(body)-4]
	if index>>31 == 1 {
		c.rtcp.crypt(body[8:], binary.BigEndian.Uint32(body[4:]), uint64(index&^(1<<31)))
	}
	return body, true
}

// rtcpTag is the length of SRTCP's tag (RFC 4568 section 6.2.2: 80 bits also in AES_CM_128_HMAC_SHA1_32).
const rtcpTag = 10

// sumOf is the tag of an SRTCP packet up to its index.
func (c *srtpContext) sumOf(b []byte) []byte {
	c.mac.Reset()
	c.mac.Write(b)
	return c.mac.Sum(nil)[:rtcpTag]
}
