package media

import (
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"time"
)

// Config is what an [Engine] is made from.
type Config struct {
	// ListenIP is the address that ports are bound to. Zero: the address of the route towards Plan.Toward, per track.
	// Unspecified (0.0.0.0, ::): all addresses, and that route's is told in Track.Local.
	ListenIP netip.Addr
	// AdvertiseIP stands in Track.Local instead of the bound address: for a host behind a 1:1 NAT. Zero: as bound.
	AdvertiseIP netip.Addr
	// PortMin and PortMax bound the ports, both ends included. Both 0: the kernel chooses.
	PortMin, PortMax uint16
	// Shards is the number of goroutines that sweep. 0: one per core; at most 256.
	Shards int
	// Sweep is the time between two looks at the ports while somebody listens live. Default 20 ms, 1 ms to 200 ms.
	Sweep time.Duration
	// SlowSweep is the longest time between two looks, while all sinks are [Paced]. Default 200 ms, which is the most; no shorter than Sweep, no
	// longer than ArchiveWindow leaves room for. Negative: as Sweep.
	SlowSweep time.Duration
	// TracksPerPort is how many tracks share a port at most, where they can be told apart by where their packets come from. Default
	// 64, at most 1024, fewer where the kernel grants small buffers; negative: none share.
	TracksPerPort int
	// LiveWait is how long a hole waits for its packet before it is given out as lost. Default 60 ms, at most 1 s,
	// negative: not at all.
	LiveWait time.Duration
	// ArchiveWindow is how long a packet may still come late and be put in place. Default 2 s, at most 10 s, at least
	// LiveWait and a Sweep more.
	ArchiveWindow time.Duration
	// Keepalive is the time between two packets of silence that we send. Default 15 s, at least 20 ms; negative: none
	// after the first ten.
	Keepalive time.Duration
	// Tap sees all datagrams of all tracks. Nil: nobody does.
	Tap Tap
	// Triggers are what an agent dials to mask a call.
	Triggers Triggers
	// NoReports sends no RTCP; what comes is read all the same.
	NoReports bool
	// Log takes what a human should know. Nil discards.
	Log *slog.Logger
}

// The defaults and bounds of Config.
const (
	defaultSweep     = 20 * time.Millisecond
	minSweep         = time.Millisecond
	maxSweep         = 200 * time.Millisecond
	defaultSlow      = 200 * time.Millisecond
	defaultLiveWait  = 60 * time.Millisecond
	maxLiveWait      = time.Second
	defaultArchive   = 2 * time.Second
	maxArchive       = 10 * time.Second
	defaultKeepalive = 15 * time.Second
	minKeepalive     = 20 * time.Millisecond
	maxShards        = 256
)

// check applies the defaults and refuses what can't work.
func (c *Config) check() error {
	if c.Shards == 0 {
		c.Shards = min(runtime.GOMAXPROCS(0), maxShards)
	}
	c.Sweep = orDefault(c.Sweep, defaultSweep)
	c.LiveWait = max(0, orDefault(c.LiveWait, defaultLiveWait))
	c.ArchiveWindow = orDefault(c.ArchiveWindow, defaultArchive)
	c.Keepalive = orDefault(c.Keepalive, defaultKeepalive)
	c.SlowSweep = max(c.Sweep, min(orDefault(c.SlowSweep, defaultSlow), maxSweep, c.ArchiveWindow-c.LiveWait))
	if c.TracksPerPort == 0 {
		c.TracksPerPort = defaultTracksPerPort
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.ListenIP, c.AdvertiseIP = c.ListenIP.Unmap(), c.AdvertiseIP.Unmap()
	switch {
	case c.Shards < 1 || c.Shards > maxShards:
		return fmt.Errorf("media: shards: got %d, want 1 to %d", c.Shards, maxShards)
	case c.Sweep < minSweep || c.Sweep > maxSweep:
		return fmt.Errorf("media: sweep: got %v, want %v to %v", c.Sweep, minSweep, maxSweep)
	case c.LiveWait > maxLiveWait:
		return fmt.Errorf("media: live wait: got %v, want at most %v", c.LiveWait, maxLiveWait)
	case c.ArchiveWindow < c.LiveWait+c.Sweep || c.ArchiveWindow > maxArchive:
		return fmt.Errorf("media: archive window: got %v, want %v to %v", c.ArchiveWindow, c.LiveWait+c.Sweep, maxArchive)
	case c.TracksPerPort > maxTracksPerPort:
		return fmt.Errorf("media: tracks per port: got %d, want at most %d", c.TracksPerPort, maxTracksPerPort)
	case c.Keepalive > 0 && c.Keepalive < minKeepalive:
		return fmt.Errorf("media: keepalive: got %v, want at least %v", c.Keepalive, minKeepalive)
	case c.AdvertiseIP.IsUnspecified():
		return fmt.Errorf("media: advertise ip: got %v, want an address that others can reach", c.AdvertiseIP)
	}
	if err := c.Triggers.Check(); err != nil {
		return fmt.Errorf("media: triggers: %w", err)
	}
	return c.checkPorts()
}

func (c *Config) checkPorts() error {
	if c.PortMin == 0 && c.PortMax == 0 {
		return nil
	}
	if c.PortMin == 0 || evenPort(c.PortMin)+1 > int(c.PortMax) {
		return fmt.Errorf("media: ports: got %d-%d, want a range with an even port and the odd one after it", c.PortMin, c.PortMax)
	}
	return nil
}

// evenPort is the first even port from p on.
func evenPort(p uint16) int { return (int(p) + 1) &^ 1 }

func orDefault(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}
