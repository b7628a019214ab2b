package trunk

import "encoding/binary"

const rtpHeader = 12 // octets of the header we send, RFC 3550 section 5.1

// rtpPacket is a received RTP packet; payload is a part of the datagram.
type rtpPacket struct {
	pt        byte
	seq       uint16
	timestamp uint32
	ssrc      uint32
	header    int
	payload   []byte
}

// appendRTP writes
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|V=2|P|X|  CC   |M|     PT      |       sequence number         |
//	|                           timestamp                           |
//	|           synchronization source (SSRC) identifier            |
//	+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
func appendRTP(b []byte, marker bool, pt byte, seq uint16, timestamp, ssrc uint32) []byte {
	if marker {
		pt |= 0x80
	}
	b = append(b, 0x80, pt)
	b = binary.BigEndian.AppendUint16(b, seq)
	b = binary.BigEndian.AppendUint32(b, timestamp)
	return binary.BigEndian.AppendUint32(b, ssrc)
}

// parseRTP checks the sizes that the header claims. Padding that does not fit is left in the payload: the packet may be
// encrypted still.
func parseRTP(b []byte) (rtpPacket, bool) {
	if len(b) < rtpHeader || b[0]>>6 != 2 {
		return rtpPacket{}, false
	}
	p := rtpPacket{
		pt: b[1] & 0x7F, seq: binary.BigEndian.Uint16(b[2:]), timestamp: binary.BigEndian.Uint32(b[4:]),
		ssrc: binary.BigEndian.Uint32(b[8:]), header: rtpHeader + 4*int(b[0]&0x0F),
	}
	if b[0]&0x10 != 0 { // one header extension, RFC 3550 section 5.3.1
		if len(b) < p.header+4 {
			return p, false
		}
		p.header += 4 + 4*int(binary.BigEndian.Uint16(b[p.header+2:]))
	}
	if len(b) < p.header {
		return p, false
	}
	p.payload = b[p.header:]
	if n := len(p.payload); b[0]&0x20 != 0 && n > 0 && int(p.payload[n-1]) <= n {
		p.payload = p.payload[:n-int(p.payload[n-1])]
	}
	return p, true
}

// isRTCP tells RTCP apart on a shared port, RFC 5761 section 4.
func isRTCP(b []byte) bool { return len(b) > 1 && b[0]>>6 == 2 && b[1] >= 192 && b[1] <= 223 }
