package media

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"
)

const (
	// maxSources bounds the sources that are known as one track's.
	maxSources = 8
	// strangerTries bounds what a port's strangers may cost in a sweep: keys tried, and looks through its tracks.
	strangerTries = 128
)

// known says whose packets come from where on a shared port.
type known struct {
	routes   map[netip.AddrPort]route
	controls map[netip.AddrPort]*liveTrack // of RTCP
	hosts    map[netip.Addr]host           // of plain tracks, by offered address
	budget   int
	near     nearTable // emptied when routes change
}

// route is what is known of a source: its track, or that it must not be believed.
type route struct {
	track *liveTrack
	// contested: two tracks were told to come from there, so the address alone proves nothing.
	contested bool
	// until is how long a source of a track that has ended is still turned away, so that its last packets are nobody's.
	until time.Duration
}

// host counts the plain tracks that are offered from one address; only is one of them.
type host struct {
	n    int
	only *liveTrack
}

// meet makes a source the track's.
func (p *port) meet(k *liveTrack, from netip.AddrPort) {
	if p.known == nil {
		p.known = &known{routes: map[netip.AddrPort]route{}, controls: map[netip.AddrPort]*liveTrack{}, hosts: map[netip.Addr]host{}}
	}
	p.rehost()
	if !from.IsValid() || from.Addr().IsUnspecified() {
		return
	}
	clear(p.near[:])
	switch r, have := p.routes[from]; {
	case have && r.track == k:
		return
	case have && (r.track != nil || r.contested):
		p.routes[from] = route{contested: true}
		return
	}
	if len(k.sources) == maxSources {
		p.forget(k, k.sources[0], 0)
		k.sources = slices.Delete(k.sources, 0, 1)
	}
	k.sources = append(k.sources, from)
	p.routes[from] = route{track: k}
}

// forget takes a source from a track; until a time it is nobody's.
func (p *port) forget(k *liveTrack, from netip.AddrPort, until time.Duration) {
	clear(p.near[:])
	if r := p.routes[from]; r.track == k {
		delete(p.routes, from)
		if until > 0 {
			p.routes[from] = route{until: until}
		}
	}
}

// part lets go of what is known of a track. Its sources rest as a port does that was closed.
func (p *port) part(k *liveTrack, now time.Duration) {
	if p.known == nil { // it never joined
		return
	}
	for _, from := range k.sources {
		p.forget(k, from, now+portRest)
	}
	k.sources = nil
	for from, r := range p.routes {
		if r.until != 0 && now >= r.until {
			delete(p.routes, from)
		}
	}
	for from, have := range p.controls {
		if have == k {
			delete(p.controls, from)
		}
	}
	p.rehost()
}

// agreed notes what an exchange named.
func (p *port) agreed(k *liveTrack) {
	p.meet(k, k.latch.offered)
	if c := k.agree.params.RemoteRTCP; c.IsValid() {
		p.controls[c] = k
	}
}

// rehost counts the plain tracks of each address anew.
func (p *port) rehost() {
	clear(p.hosts)
	for _, k := range p.tracks {
		if k.keyed() || k.state.Ended {
			continue
		}
		from := k.latch.offered.Addr()
		if !from.IsValid() {
			from = k.plan.Remote.Addr()
		}
		h := p.hosts[from]
		p.hosts[from] = host{h.n + 1, k}
	}
}

// keyed tells whether what comes must open with a key.
//
//earshot:hot
func (k *liveTrack) keyed() bool {
	if k.agree == nil {
		return k.plan.Secure
	}
	return k.agree.recv != nil
}

// find tells whose a datagram is: by where it comes from, else by its key, else by what only one track can be.
//
//earshot:hot
func (p *port) find(s *shard, b []byte, from netip.AddrPort, at time.Duration) (*liveTrack, []byte, form) {
	key := nearKey(from)
	if k := p.near.find(key, from); k != nil {
		return k, b, formMedia
	}
	if r, ok := p.routes[from]; ok && !r.contested {
		if r.track != nil {
			p.near.put(key, r.track)
		}
		if r.track != nil || at < r.until {
			return r.track, b, formMedia
		}
		delete(p.routes, from)
	}
	return p.stranger(s, b, from, at)
}

// stranger looks at a datagram of a source that is not known, or not of one track.
//
//earshot:hot
func (p *port) stranger(s *shard, b []byte, from netip.AddrPort, at time.Duration) (*liveTrack, []byte, form) {
	if isRTCP(b) {
		return p.ofSender(b, from), b, formMedia
	}
	h, ok := parseHeader(b)
	if !ok {
		return nil, b, formMedia
	}
	if k, plain := p.byKey(s, b, &h, from, at); k != nil {
		return k, plain, formOpened
	}
	return p.byHost(&h, from), b, formMedia
}

// byKey tries the keys of the port: whatever authenticates may move a track. First those whose source it says it is, then
// those that nothing is heard of, then the rest, within the port's budget.
func (p *port) byKey(s *shard, b []byte, h *header, from netip.AddrPort, at time.Duration) (*liveTrack, []byte) {
	for _, step := range [...]likeness{sameSource, silentHere, silent, anyone} {
		for _, k := range p.tracks {
			if !k.keyed() || !k.open() || k.gone(at) || k.likeness(h, from, at) != step {
				continue
			}
			if p.budget--; p.budget < 0 {
				return nil, nil
			}
			plain, ok := k.tryKey(b, h, at, step <= silentHere)
			if ok {
				p.meet(k, from)
				return k, plain
			}
		}
	}
	return nil, nil
}

// likeness is how likely a stranger is a track's.
type likeness uint8

const (
	sameSource likeness = iota // it names the track's SSRC
	silentHere                 // nothing is heard of the track, and it was offered from the stranger's address
	silent                     // nothing is heard of the track
	anyone
)

func (k *liveTrack) likeness(h *header, from netip.AddrPort, at time.Duration) likeness {
	quiet := !k.latch.source.IsValid() || at-k.latch.heard >= relatchSilence
	switch {
	case k.placer.begun && k.placer.seq.ssrc == h.ssrc:
		return sameSource
	case quiet && k.latch.offered.Addr() == from.Addr():
		return silentHere
	case quiet:
		return silent
	}
	return anyone
}

// tryKey opens a packet if the track's key does. Only where it is likely its roll-over counter is looked for: the search has
// a budget, which is for the track's own packets.
func (k *liveTrack) tryKey(b []byte, h *header, at time.Duration, likely bool) ([]byte, bool) {
	if likely {
		return k.unseal(b, h, at)
	}
	if plain, ok := k.agree.recv.open(k.shard.scratch, b); ok {
		return plain, true
	}
	return k.oldOpens(b, at)
}

// byHost is the plain track that a stranger can only be of: the one that is offered from its address, if it is the only one
// there; among several the only one with its SSRC. Whether it is believed is the track's latch to say.
//
//earshot:hot
func (p *port) byHost(h *header, from netip.AddrPort) *liveTrack {
	there := p.hosts[from.Addr()]
	if there.n < 2 {
		return there.only
	}
	if p.budget--; p.budget < 0 {
		return nil
	}
	return p.oneWith(h.ssrc, func(k *liveTrack) bool { return !k.keyed() && k.latch.offered.Addr() == from.Addr() })
}

// oneWith is the only track with an SSRC, of those that fit.
func (p *port) oneWith(ssrc uint32, fits func(*liveTrack) bool) (found *liveTrack) {
	for _, k := range p.tracks {
		if k.placer.begun && k.placer.seq.ssrc == ssrc && fits(k) {
			if found != nil {
				return nil
			}
			found = k
		}
	}
	return found
}

// findControl tells whose a datagram of the RTCP port is.
//
//earshot:hot
func (p *port) findControl(b []byte, from netip.AddrPort) *liveTrack {
	if k, ok := p.controls[from]; ok {
		return k
	}
	return p.ofSender(b, from)
}

// ofSender is the track whose source wrote an RTCP packet: its SSRC stands after the first word (RFC 3550 section 6.4).
func (p *port) ofSender(b []byte, from netip.AddrPort) *liveTrack {
	if p.budget--; p.budget < 0 || len(b) < 8 {
		return nil
	}
	return p.oneWith(binary.BigEndian.Uint32(b[4:]), func(k *liveTrack) bool {
		return k.latch.source.Addr() == from.Addr() || k.latch.offered.Addr() == from.Addr()
	})
}

// settle keeps the port's knowledge in step with where the track's packets were found to come from.
//
//earshot:hot
func (k *liveTrack) settle() {
	if k.latch.source == k.found {
		return
	}
	k.found = k.latch.source
	if k.found.IsValid() && k.port.share != nil {
		k.port.meet(k, k.found)
		if !k.keyed() {
			k.shard.engine.habits.note(k.latch.offered, k.found, k.shard.now)
		}
	}
}
