package peertest

import (
	"encoding/binary"
	"net/netip"
	"syscall"
)

// rawSocket sends UDP from any address and port.
type rawSocket struct {
	fd int
	v6 bool
}

func openRaw(v6 bool) (rawSocket, error) {
	family := syscall.AF_INET
	if v6 {
		family = syscall.AF_INET6
	}
	// With IPPROTO_RAW the IP header is ours to write.
	fd, err := syscall.Socket(family, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, syscall.IPPROTO_RAW)
	return rawSocket{fd, v6}, err
}

func (r rawSocket) close() { _ = syscall.Close(r.fd) }

func (r rawSocket) send(from, to netip.AddrPort, payload []byte) error {
	udp := udpOf(from, to, payload)
	if r.v6 {
		b := make([]byte, 40, 40+len(udp))
		b[0], b[6], b[7] = 0x60, syscall.IPPROTO_UDP, 64
		binary.BigEndian.PutUint16(b[4:], uint16(len(udp)))
		copy(b[8:], from.Addr().AsSlice())
		copy(b[24:], to.Addr().AsSlice())
		return syscall.Sendto(r.fd, append(b, udp...), 0, &syscall.SockaddrInet6{Addr: to.Addr().As16()})
	}
	b := make([]byte, 20, 20+len(udp)) // the kernel fills in the checksum
	b[0], b[8], b[9] = 0x45, 64, syscall.IPPROTO_UDP
	binary.BigEndian.PutUint16(b[2:], uint16(20+len(udp)))
	copy(b[12:], from.Addr().AsSlice())
	copy(b[16:], to.Addr().AsSlice())
	return syscall.Sendto(r.fd, append(b, udp...), 0, &syscall.SockaddrInet4{Addr: to.Addr().As4()})
}

// udpOf is a UDP datagram with its checksum, which IPv6 demands (RFC 8200 section 8.1).
func udpOf(from, to netip.AddrPort, payload []byte) []byte {
	udp := make([]byte, 8, 8+len(payload))
	binary.BigEndian.PutUint16(udp, from.Port())
	binary.BigEndian.PutUint16(udp[2:], to.Port())
	binary.BigEndian.PutUint16(udp[4:], uint16(8+len(payload)))
	udp = append(udp, payload...)
	sum := uint32(syscall.IPPROTO_UDP) + uint32(len(udp))
	for _, part := range [][]byte{from.Addr().AsSlice(), to.Addr().AsSlice(), udp} {
		for i := 0; i < len(part); i += 2 {
			w := uint32(part[i]) << 8
			if i+1 < len(part) {
				w |= uint32(part[i+1])
			}
			sum += w
		}
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	if sum = ^sum & 0xffff; sum == 0 {
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(udp[6:], uint16(sum))
	return udp
}
