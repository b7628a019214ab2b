package media

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// nearTable is where most lookups end: a source and its track, in few lines of memory.
type nearTable [nearRoutes]nearRoute

// nearRoute is a source and its track. The key is all there is to an IPv4 address; of others it is a hash.
type nearRoute struct {
	key   uint64
	track *liveTrack // nil: nothing
}

const (
	// nearRoutes is a power of two, and four times the usual number of tracks; nearSteps is how many places are looked at.
	nearRoutes = 256
	nearSteps  = 4
	// mixer is 2^64 over the golden ratio: the highest bits of what it multiplies depend on all others.
	mixer = 0x9E3779B97F4A7C15
)

// nearKey is a source's key.
//
//earshot:hot
func nearKey(from netip.AddrPort) uint64 {
	if from.Addr().Is4() {
		ip := from.Addr().As4()
		return uint64(binary.BigEndian.Uint32(ip[:]))<<16 | uint64(from.Port())
	}
	ip := from.Addr().As16()
	high, low := binary.BigEndian.Uint64(ip[:]), binary.BigEndian.Uint64(ip[8:])
	return (high*mixer^low)*mixer ^ uint64(from.Port()) | 1<<63 // no IPv4 address has it
}

// at is the first place where a key may stand.
//
//earshot:hot
func (t *nearTable) at(key uint64) uint { return uint(key * mixer >> 56) }

// find gives the track of a source; nil: it doesn't stand here.
//
//earshot:hot
func (t *nearTable) find(key uint64, from netip.AddrPort) *liveTrack {
	for i, at := uint(0), t.at(key); i < nearSteps; i++ {
		n := &t[(at+i)%nearRoutes]
		if n.track == nil {
			return nil
		}
		if n.key == key && (from.Addr().Is4() || slices.Contains(n.track.sources, from)) {
			return n.track
		}
	}
	return nil
}

// put takes the first empty place, or that of another.
//
//earshot:hot
func (t *nearTable) put(key uint64, k *liveTrack) {
	at := t.at(key)
	for i := range uint(nearSteps) {
		if n := &t[(at+i)%nearRoutes]; n.track == nil {
			*n = nearRoute{key, k}
			return
		}
	}
	t[at%nearRoutes] = nearRoute{key, k}
}
