package media

import (
	"net"
	"net/netip"
	"time"
)

const (
	// batchSize is how many datagrams one read takes.
	batchSize = 64
	// datagramOctets is the largest datagram that is taken whole; RTP of G.711 at 100 ms with SRTP is under 900.
	datagramOctets = 2048
	// bufferOctets is no power of two: all buffers would begin at the same places in the caches.
	bufferOctets = datagramOctets + 192
	// socketBuffer is what we ask of SO_RCVBUF: 2 s of ten tracks' packets, for a shard that was held up.
	socketBuffer = 1 << 20
)

// datagram is what a socket gave: before SRTP. Its octets belong to the batch.
type datagram struct {
	octets []byte
	source netip.AddrPort
	stamp  int64 // of the kernel: Unix nanoseconds; 0: none
}

// batch is a shard's room for one read, used by one socket after the other.
type batch struct {
	got  [batchSize]datagram
	data [batchSize][bufferOctets]byte
	sys  sysBatch
}

// receiver is one port. It is used by one goroutine.
type receiver interface {
	// readBatch takes what is there without waiting, at most batchSize, and returns how many.
	readBatch(*batch) int
	writeTo(octets []byte, to netip.AddrPort) error
	local() netip.AddrPort
	// buffer is how many octets wait in the kernel at most, overhead included, as far as it told.
	buffer() int
	// kernelDrops is how many datagrams the kernel dropped here since the socket was opened, as far as it told.
	kernelDrops() int64
	Close() error
}

// packetConn is a receiver on Go's own sockets, for systems without recvmmsg and for tests.
type packetConn struct {
	conn net.PacketConn
	self netip.AddrPort
}

// connPatience is how long an empty net.PacketConn is waited for: it can't be asked without waiting.
const connPatience = time.Millisecond

func newPacketConn(c net.PacketConn) *packetConn {
	p := &packetConn{conn: c}
	if a, ok := c.LocalAddr().(*net.UDPAddr); ok {
		p.self = unmap(a.AddrPort())
	}
	return p
}

func (p *packetConn) readBatch(b *batch) int {
	_ = p.conn.SetReadDeadline(time.Now().Add(connPatience)) // a closed one fails at the read
	for i := range b.got {
		n, from, err := p.conn.ReadFrom(b.data[i][:])
		if err != nil {
			return i
		}
		d := &b.got[i]
		d.octets, d.stamp, d.source = b.data[i][:n], time.Now().UnixNano(), netip.AddrPort{}
		if a, ok := from.(*net.UDPAddr); ok {
			d.source = unmap(a.AddrPort())
		}
	}
	return len(b.got)
}

func (p *packetConn) writeTo(octets []byte, to netip.AddrPort) error {
	_, err := p.conn.WriteTo(octets, net.UDPAddrFromAddrPort(to))
	return err
}

func (p *packetConn) local() netip.AddrPort { return p.self }
func (p *packetConn) buffer() int           { return 0 }
func (p *packetConn) kernelDrops() int64    { return 0 }
func (p *packetConn) Close() error          { return p.conn.Close() }

// unmap makes an IPv4 address in IPv6 form an IPv4 address, and forgets a zone.
func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}
