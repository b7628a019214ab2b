package media

import (
	"net/netip"
	"sync"
	"time"
)

const (
	// defaultTracksPerPort: 16 ports for a thousand tracks keep the kernel's batches full.
	defaultTracksPerPort = 64
	maxTracksPerPort     = 1024
	// sharedPorts are opened, in all, before their tracks crowd.
	sharedPorts = 16
	// crowdTracks on each of them call for another one as long as there are fewer.
	crowdTracks = 8
	// trackBuffer is what of a socket's buffer a track needs: half a second of packets that the driver put into 2 KiB each.
	trackBuffer = 64 << 10
)

// share is a shared port, as those see it who look for one.
type share struct {
	// Set when made, then constant.
	port   *port
	at     netip.Addr // bound to
	mux    bool
	secure bool
	room   int

	// Guarded by sharing.mu.
	tracks  int
	remotes map[netip.AddrPort]time.Duration // offered: forever while live, then until it has rested
	hosts   map[netip.Addr]int
}

// sharing are a shard's shared ports.
type sharing struct {
	mu sync.Mutex
	// mu guards the field below, and what of a share is not constant. It is never held over a system call.
	shares []*share
}

// sharable tells whether a track can be told apart by where its packets come from: the offer names an address.
func (p Plan) sharable() bool {
	a := p.Remote.Addr()
	return a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() && p.Remote.Port() != 0
}

// seat finds or opens a port for a track.
func (e *Engine) seat(s *shard, p Plan) (*port, netip.Addr, error) {
	p.Remote = unmap(p.Remote)
	if e.cfg.TracksPerPort < 2 || !p.sharable() {
		pair, err := e.bind(p, socketBuffer)
		return ownPort(pair), pair.route, err
	}
	at, route, err := e.listenAddress(p)
	if err != nil {
		return nil, route, err
	}
	company := p.Secure || e.habits.straight(p.Remote.Addr(), e.Now())
	if port := s.sharing.take(p, at, company, max(1, sharedPorts/len(e.shards)), e.Now()); port != nil {
		return port, route, nil
	}
	pair, err := e.bind(p, e.cfg.TracksPerPort*trackBuffer)
	if err != nil {
		return nil, route, err
	}
	port := ownPort(pair)
	port.share = &share{
		port: port, at: at, mux: p.Mux, secure: p.Secure, tracks: 1, hosts: map[netip.Addr]int{p.Remote.Addr(): 1},
		room:    min(e.cfg.TracksPerPort, max(1, pair.rtp.buffer()/trackBuffer)),
		remotes: map[netip.AddrPort]time.Duration{p.Remote: forever},
	}
	s.sharing.mu.Lock()
	defer s.sharing.mu.Unlock()
	s.sharing.shares = append(s.sharing.shares, port.share)
	return port, route, nil
}

// take finds a port for a track: with as few of its address as can be, and of these the emptiest. Nil: one more has to be
// opened. company: a plain track may be on a port with others that are offered from its address.
func (g *sharing) take(p Plan, at netip.Addr, company bool, want int, now time.Duration) *port {
	g.mu.Lock()
	defer g.mu.Unlock()
	var best *share
	alike, ip := 0, p.Remote.Addr()
	for _, h := range g.shares {
		if h.at != at || h.mux != p.Mux || h.secure != p.Secure {
			continue
		}
		alike++
		rest, was := h.remotes[p.Remote]
		if h.tracks >= h.room || was && now < rest || !company && h.hosts[ip] > 0 {
			continue
		}
		if best == nil || h.hosts[ip] < best.hosts[ip] || h.hosts[ip] == best.hosts[ip] && h.tracks < best.tracks {
			best = h
		}
	}
	if best == nil || alike < want && (best.tracks >= crowdTracks || !p.Secure && best.hosts[ip] > 0) {
		return nil
	}
	best.tracks++
	best.hosts[ip]++
	best.remotes[p.Remote] = forever
	return best.port
}

// release gives a track's place back. True: it was the last, and the port is to be closed.
func (g *sharing) release(h *share, p Plan, now time.Duration) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	h.tracks--
	if ip := p.Remote.Addr(); h.hosts[ip] > 1 {
		h.hosts[ip]--
	} else {
		delete(h.hosts, ip)
	}
	for r, rest := range h.remotes {
		if r == p.Remote {
			h.remotes[r] = now + portRest
		} else if now >= rest {
			delete(h.remotes, r)
		}
	}
	if h.tracks > 0 {
		return false
	}
	for i, have := range g.shares {
		if have == h {
			g.shares = append(g.shares[:i], g.shares[i+1:]...)
			break
		}
	}
	return true
}

const (
	// habitHosts bounds the addresses whose habits are remembered.
	habitHosts = 4096
	// wanderTime is how long an address that sent from elsewhere is given ports without company.
	wanderTime = time.Hour
)

// habits is what is known of the addresses that media comes from: whether they send from the port that they name. One that
// does may have several plain tracks on a port, told apart by it.
type habits struct {
	mu sync.Mutex
	// mu guards the field below.
	hosts map[netip.Addr]habit
}

type habit struct {
	kept    bool          // a track came from where it was offered
	wanders time.Duration // until then one didn't
}

// note tells where a track's packets were found to come from.
func (h *habits) note(offered, source netip.AddrPort, now time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.hosts == nil || len(h.hosts) >= habitHosts {
		h.hosts = map[netip.Addr]habit{}
	}
	b := h.hosts[offered.Addr()]
	if offered == source {
		b.kept = true
	} else {
		b.wanders = now + wanderTime
	}
	h.hosts[offered.Addr()] = b
}

// straight tells whether an address is known to send from the ports that it names.
func (h *habits) straight(a netip.Addr, now time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	b := h.hosts[a]
	return b.kept && now >= b.wanders
}

// unseat gives back what seat gave to a track that its shard never heard of.
func (e *Engine) unseat(s *shard, k *liveTrack) {
	if k.port.share == nil || s.sharing.release(k.port.share, *k.plan, e.Now()) {
		k.port.pair.close(e.ports, e.Now())
	}
}
