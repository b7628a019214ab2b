package bench

import (
	"context"
	"errors"
	"net/netip"
	"time"
)

// spent is CPU time over packets, in a window.
type spent struct {
	cpu     time.Duration
	packets int64
	wall    time.Duration
}

// perPacket is in nanoseconds.
func (s spent) perPacket() float64 {
	if s.packets == 0 {
		return 0
	}
	return float64(s.cpu.Nanoseconds()) / float64(s.packets)
}

// floorWarm is let pass before the floor is measured.
const floorWarm = 300 * time.Millisecond

// measureFloor lets the sender send to one bare socket for a time.
func measureFloor(ctx context.Context, c *child, ip netip.Addr, secure bool, d time.Duration) (spent, error) {
	f, err := openFloor(ip)
	if err != nil {
		return spent{}, err
	}
	defer f.close()
	if _, err := c.ask(order{To: []netip.AddrPort{f.at}, SRTP: secure}); err != nil {
		return spent{}, err
	}
	s, err := f.run(ctx, d)
	_, stopped := c.ask(order{Stop: true})
	return s, errors.Join(err, stopped)
}

// run is the floor itself.
func (f *floorSocket) run(ctx context.Context, d time.Duration) (spent, error) {
	tick := time.NewTicker(floorInterval)
	defer tick.Stop()
	for begun := time.Now(); time.Since(begun) < floorWarm; {
		<-tick.C
		f.drain()
	}
	cpu, err := cpuTime()
	if err != nil {
		return spent{}, err
	}
	begun, n := time.Now(), int64(0)
	for time.Since(begun) < d && ctx.Err() == nil {
		<-tick.C
		n += f.drain()
	}
	after, err := cpuTime()
	if n == 0 && err == nil {
		err = errors.Join(errors.New("floor: no packets came"), ctx.Err())
	}
	return spent{cpu: after - cpu, packets: n, wall: time.Since(begun)}, err
}
