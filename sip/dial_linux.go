package sip

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// tcpUserTimeout, in ms: what was sent and not acknowledged for so long ends the connection (RFC 5482). Without it the
// kernel takes a quarter of an hour to notice a dead path.
const tcpUserTimeout = 20_000

func dialControl(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		// Not being able to set it is no reason to stay away: keep-alive notices too, later.
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, tcpUserTimeout)
	})
}
