//go:build !linux

package media

import (
	"fmt"
	"net"
	"net/netip"
)

// sysBatch: nothing is needed besides the buffers.
type sysBatch struct{}

// listen opens a port with room for so many octets; 0 is the kernel's choice.
func listen(at netip.AddrPort, buffer int) (receiver, error) {
	network := "udp4"
	if at.Addr().Is6() {
		network = "udp6"
	}
	c, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, fmt.Errorf("listen %v: %w", at, err)
	}
	_ = c.SetReadBuffer(buffer) // less than asked for is no fault
	return newPacketConn(c), nil
}
