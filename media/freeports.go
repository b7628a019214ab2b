package media

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"syscall"
)

// FreePorts tries the pairs of a range as a track would, each for a moment: how many are free and how many taken. The zero
// address stands for all of the machine's. err is why the address itself can't be used. Not for a range in use: a call that
// comes meanwhile finds the port taken.
func FreePorts(ip netip.Addr, lo, hi uint16) (free, taken int, err error) {
	if lo == 0 {
		return 0, 0, nil // the kernel chooses
	}
	if !ip.IsValid() {
		ip = netip.IPv4Unspecified()
	}
	var lc net.ListenConfig
	bind := func(port int) error {
		c, err := lc.ListenPacket(context.Background(), "udp", net.JoinHostPort(ip.String(), strconv.Itoa(port)))
		if err != nil {
			return err
		}
		return c.Close()
	}
	for port := evenPort(lo); port+1 <= int(hi); port += 2 {
		err := errors.Join(bind(port), bind(port+1))
		switch {
		case err == nil:
			free++
		case errors.Is(err, syscall.EADDRINUSE), errors.Is(err, syscall.EACCES):
			taken++
		default:
			return free, taken, err
		}
	}
	return free, taken, nil
}
