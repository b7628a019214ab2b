package media

import "encoding/binary"

// header is what we need of an RTP header (RFC 3550 section 5.1):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|V=2|P|X|  CC   |M|     PT      |       sequence number         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                           timestamp                           |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|           synchronization source (SSRC) identifier            |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|            contributing sources, extension, payload ...       |
type header struct {
	pt      uint8
	marker  bool
	padded  bool
	seq     uint16
	ts      uint32
	ssrc    uint32
	payload int // where the payload begins
}

const headerOctets = 12

// parseHeader reads a header, bounds first. Padding is not looked at: its length stands in the last octet, which SRTP
// encrypts.
//
//earshot:hot
func parseHeader(b []byte) (h header, ok bool) {
	if len(b) < headerOctets || b[0]>>6 != 2 {
		return h, false
	}
	h.payload = headerOctets + 4*int(b[0]&0x0f)
	if b[0]&0x10 != 0 { // extension: 16 bits of profile, then its length in words
		if len(b) < h.payload+4 {
			return h, false
		}
		h.payload += 4 + 4*int(binary.BigEndian.Uint16(b[h.payload+2:]))
	}
	if len(b) < h.payload {
		return h, false
	}
	h.padded = b[0]&0x20 != 0
	h.marker, h.pt = b[1]&0x80 != 0, b[1]&0x7f
	h.seq = binary.BigEndian.Uint16(b[2:])
	h.ts = binary.BigEndian.Uint32(b[4:])
	h.ssrc = binary.BigEndian.Uint32(b[8:])
	return h, true
}

// payloadOf is the packet's payload without padding.
//
//earshot:hot
func payloadOf(h *header, b []byte) ([]byte, bool) {
	end := len(b)
	if h.padded {
		if end == h.payload {
			return nil, false
		}
		end -= int(b[end-1])
		if b[len(b)-1] == 0 || end < h.payload {
			return nil, false
		}
	}
	return b[h.payload:end], true
}

// isRTCP tells RTCP from RTP on one port (RFC 5761 section 4): packet types 192 to 223.
//
//earshot:hot
func isRTCP(b []byte) bool { return len(b) >= 2 && b[0]>>6 == 2 && b[1] >= 192 && b[1] <= 223 }
