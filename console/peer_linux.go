package console

import (
	"net"

	"golang.org/x/sys/unix"

	"github.com/earshot/earshot/internal/who"
)

// peer names the process at the other end of a unix socket, by what the kernel noted when it connected (SO_PEERCRED, unix(7)).
func peer(c *net.UnixConn) string {
	raw, err := c.SyscallConn()
	if err != nil {
		return unknownPeer
	}
	var cred *unix.Ucred
	if e := raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); e != nil || err != nil {
		return unknownPeer
	}
	return who.Process(cred.Uid, cred.Pid)
}
