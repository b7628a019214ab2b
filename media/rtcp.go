package media

import (
	"encoding/binary"
	"time"
)

// RTCP packet types (RFC 3550 section 12.1).
const (
	rtcpSR   = 200
	rtcpRR   = 201
	rtcpSDES = 202
	rtcpBYE  = 203
	rtcpXR   = 207 // the last that is in use; APP and feedback are before it
)

const (
	// maxRTCPParts bounds the packets of one compound that are looked at.
	maxRTCPParts = 16
	// cnameOctets is the length of our CNAME: 96 random bits in base64 (RFC 7022 section 4.2).
	cnameOctets = 16
	// reportOctets is the longest compound that we send: SR with one block, SDES, BYE.
	reportOctets = 28 + 24 + 8 + 2 + cnameOctets + 4 + 8
)

// senderReport is what a sender says of its clock: the same moment in NTP time and as RTP timestamp.
type senderReport struct {
	ssrc uint32
	ntp  uint64 // 32.32 bits of seconds since 1900
	rtp  uint32
	at   time.Duration // its arrival; 0: there is none
}

// rtcpNews is what a compound packet says that we want to know.
type rtcpNews struct {
	report senderReport // without at; ssrc 0: none
	named  uint32       // SSRC that the first CNAME is of
	cname  uint64       // its hash; 0: none
	bye    bool
}

// parseRTCP reads a compound packet; false: it is none (RFC 3550 appendix A.2: no padding in the first part, and the parts' lengths make
// up the datagram). That the first one is a report is not asked for: baresip begins with APP alone, and ends with BYE.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|V=2|P|    RC   |       PT      |             length            |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                         SSRC of sender                        |
func parseRTCP(b []byte) (n rtcpNews, ok bool) {
	if len(b) < 8 || b[0]&0x20 != 0 || b[1] < rtcpSR || b[1] > rtcpXR {
		return n, false
	}
	for parts := 0; len(b) > 0; parts++ {
		if len(b) < 4 || b[0]>>6 != 2 || parts == maxRTCPParts {
			return rtcpNews{}, false
		}
		size := 4 * (int(binary.BigEndian.Uint16(b[2:])) + 1)
		if size > len(b) {
			return rtcpNews{}, false
		}
		if !n.take(b[:size]) {
			return rtcpNews{}, false
		}
		b = b[size:]
	}
	return n, true
}

// take reads one part, whose length fits the datagram.
func (n *rtcpNews) take(b []byte) bool {
	blocks := int(b[0] & 0x1f)
	switch b[1] {
	case rtcpSR:
		if len(b) < 28+24*blocks {
			return false
		}
		if n.report.ssrc == 0 {
			n.report = senderReport{ssrc: binary.BigEndian.Uint32(b[4:]), ntp: binary.BigEndian.Uint64(b[8:]), rtp: binary.BigEndian.Uint32(b[16:])}
		}
	case rtcpRR:
		return len(b) >= 8+24*blocks
	case rtcpSDES:
		if blocks > 0 && len(b) >= 8 && n.cname == 0 {
			n.named = binary.BigEndian.Uint32(b[4:])
			n.cname = cnameOf(b[8:])
		}
	case rtcpBYE:
		n.bye = true
	}
	return true
}

// cnameOf hashes the CNAME among the items of an SDES chunk (RFC 3550 section 6.5); 0: there is none.
func cnameOf(items []byte) uint64 {
	for len(items) >= 2 && items[0] != 0 {
		end := 2 + int(items[1])
		if end > len(items) {
			return 0
		}
		if items[0] == 1 && end > 2 {
			h := uint64(14695981039346656037) // FNV-1a
			for _, o := range items[2:end] {
				h = (h ^ uint64(o)) * 1099511628211
			}
			return max(1, h)
		}
		items = items[end:]
	}
	return 0
}

// reportBlock is what a receiver says of a source (RFC 3550 section 6.4.1).
type reportBlock struct {
	ssrc     uint32
	fraction uint8 // lost since the report before, in 1/256
	lost     int64 // of all, copies counting as received: may be negative
	high     uint32
	jitter   uint32
	lsr      uint32 // middle of the NTP time of the newest sender report
	dlsr     uint32 // how long ago that came, in 1/65536 s
}

// outgoing is a compound packet to be made.
type outgoing struct {
	ssrc           uint32
	sends          bool // we sent audio of late: a sender report
	ntp            uint64
	rtp            uint32
	packets, bytes uint32
	block          *reportBlock // nil: nothing came since the report before
	cname          *[cnameOctets]byte
	bye            bool
}

// appendTo writes it.
func (o *outgoing) appendTo(b []byte) []byte {
	blocks := 0
	if o.block != nil {
		blocks = 1
	}
	if o.sends {
		b = appendRTCP(b, blocks, rtcpSR, 24+24*blocks, o.ssrc)
		b = binary.BigEndian.AppendUint64(b, o.ntp)
		b = binary.BigEndian.AppendUint32(b, o.rtp)
		b = binary.BigEndian.AppendUint32(b, o.packets)
		b = binary.BigEndian.AppendUint32(b, o.bytes)
	} else {
		b = appendRTCP(b, blocks, rtcpRR, 4+24*blocks, o.ssrc)
	}
	if k := o.block; k != nil {
		b = binary.BigEndian.AppendUint32(b, k.ssrc)
		lost := uint32(min(max(k.lost, -1<<23), 1<<23-1)) & 0xffffff
		b = binary.BigEndian.AppendUint32(b, uint32(k.fraction)<<24|lost)
		b = binary.BigEndian.AppendUint32(b, k.high)
		b = binary.BigEndian.AppendUint32(b, k.jitter)
		b = binary.BigEndian.AppendUint32(b, k.lsr)
		b = binary.BigEndian.AppendUint32(b, k.dlsr)
	}
	b = appendRTCP(b, 1, rtcpSDES, 4+2+cnameOctets+2, o.ssrc) // item, and two zeros to a whole word
	b = append(b, 1, cnameOctets)
	b = append(b, o.cname[:]...)
	b = append(b, 0, 0)
	if o.bye {
		b = appendRTCP(b, 1, rtcpBYE, 4, o.ssrc)
	}
	return b
}

// appendRTCP writes a part's first 8 octets; size is that of all after the first four.
func appendRTCP(b []byte, count int, pt byte, size int, ssrc uint32) []byte {
	b = append(b, 2<<6|byte(count), pt)
	b = binary.BigEndian.AppendUint16(b, uint16(size/4))
	return binary.BigEndian.AppendUint32(b, ssrc)
}

// ntpEpoch is 1970 in seconds since 1900.
const ntpEpoch = 2208988800

// ntpOf is NTP time of Unix nanoseconds.
func ntpOf(unixNano int64) uint64 {
	s, ns := unixNano/1e9, unixNano%1e9
	return uint64(s+ntpEpoch)<<32 | uint64(ns)<<32/1e9
}
