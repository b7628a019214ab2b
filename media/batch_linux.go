package media

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// controlOctets has room for SO_TIMESTAMPNS (32) and SO_RXQ_OVFL (24).
const controlOctets = 64

// mmsghdr is the kernel's struct mmsghdr: Go pads it as C does.
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

// sysBatch is what recvmmsg needs: set up once, then only repaired where the kernel wrote.
type sysBatch struct {
	msgs  [batchSize]mmsghdr
	iov   [batchSize]unix.Iovec
	names [batchSize]unix.RawSockaddrInet6 // as large as an IPv4 one and more
	ctl   [batchSize][controlOctets]byte
	ready bool
	used  int // of the last read
}

// socket is a UDP socket that Go's poller doesn't know: it would be woken by every packet.
type socket struct {
	fd    int
	self  netip.AddrPort
	drops uint32
}

// listen opens a port with room for so many octets; 0 is the kernel's choice.
func listen(at netip.AddrPort, buffer int) (receiver, error) {
	domain := unix.AF_INET
	if at.Addr().Is6() {
		domain = unix.AF_INET6
	}
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	s := &socket{fd: fd}
	if err := s.setUp(at, buffer); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("listen %v: %w", at, err)
	}
	return s, nil
}

func (s *socket) setUp(at netip.AddrPort, buffer int) error {
	if at.Addr().Is6() {
		if err := unix.SetsockoptInt(s.fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return err
		}
	}
	if unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer) != nil {
		// Without the right to force it the kernel's rmem_max caps it: no fault.
		_ = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, buffer)
	}
	if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
		return err
	}
	_ = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1) // a counter, no more
	if err := unix.Bind(s.fd, sockaddr(at)); err != nil {
		return err
	}
	sa, err := unix.Getsockname(s.fd)
	if err != nil {
		return err
	}
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		s.self = netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		s.self = netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port))
	}
	return nil
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// setUp points the headers at the batch's buffers, and after that only repairs what the last read changed.
func (b *batch) setUp() {
	s := &b.sys
	if !s.ready {
		s.ready, s.used = true, batchSize
		for i := range s.msgs {
			s.iov[i].Base = &b.data[i][0]
			s.iov[i].SetLen(datagramOctets)
			h := &s.msgs[i].hdr
			h.Iov = &s.iov[i]
			h.SetIovlen(1)
			h.Name = (*byte)(unsafe.Pointer(&s.names[i]))
			h.Control = &s.ctl[i][0]
		}
	}
	for i := range s.used {
		h := &s.msgs[i].hdr
		h.Namelen = uint32(unsafe.Sizeof(s.names[i]))
		h.SetControllen(controlOctets)
		h.Flags = 0
	}
}

// readBatch is one recvmmsg. RawSyscall: it never waits, so the scheduler need not know.
//
//earshot:hot
func (s *socket) readBatch(b *batch) int {
	b.setUp()
	n, _, e := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&b.sys.msgs[0])), batchSize, unix.MSG_DONTWAIT, 0, 0)
	if e != 0 { // EAGAIN: nothing there; others (EINTR, a pending ICMP error) leave what is there for the next sweep
		b.sys.used = 0
		return 0
	}
	b.sys.used = int(n)
	for i := range int(n) {
		m, d := &b.sys.msgs[i], &b.got[i]
		d.octets = b.data[i][:min(m.len, datagramOctets)]
		if m.hdr.Flags&unix.MSG_TRUNC != 0 {
			d.octets = nil // cut: not a packet of ours
		}
		d.source = source(&b.sys.names[i])
		d.stamp = s.control(b.sys.ctl[i][:min(int(m.hdr.Controllen), controlOctets)])
	}
	return int(n)
}

// source reads a socket address: both families have the port, in network order, at the same place.
func source(n *unix.RawSockaddrInet6) netip.AddrPort {
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&n.Port))[:])
	if n.Family == unix.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(n)).Addr), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom16(n.Addr).Unmap(), port)
}

// control walks the control messages: cmsghdr{len, level, type}, data, padding to the word.
func (s *socket) control(c []byte) (stamp int64) {
	const word = int(unsafe.Sizeof(uintptr(0)))
	const head = int(unsafe.Sizeof(unix.Cmsghdr{}))
	for len(c) >= head {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&c[0]))
		size := int(h.Len)
		if size < head || size > len(c) {
			break
		}
		data := c[head:size]
		switch {
		case h.Level != unix.SOL_SOCKET:
		case h.Type == unix.SO_TIMESTAMPNS && len(data) >= int(unsafe.Sizeof(unix.Timespec{})):
			stamp = (*unix.Timespec)(unsafe.Pointer(&data[0])).Nano()
		case h.Type == unix.SO_RXQ_OVFL && len(data) >= 4:
			s.drops = binary.NativeEndian.Uint32(data)
		}
		next := (size + word - 1) &^ (word - 1)
		if next >= len(c) {
			break
		}
		c = c[next:]
	}
	return stamp
}

func (s *socket) writeTo(octets []byte, to netip.AddrPort) error {
	return unix.Sendto(s.fd, octets, unix.MSG_DONTWAIT, sockaddr(to))
}

func (s *socket) buffer() int {
	n, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	if err != nil {
		return 0
	}
	return n
}

func (s *socket) local() netip.AddrPort { return s.self }
func (s *socket) kernelDrops() int64    { return int64(s.drops) }
func (s *socket) Close() error          { return unix.Close(s.fd) }
