package media

import (
	"net/netip"
	"slices"
	"time"
)

// Datagram is what came for a track, before SRTP is opened and before anything is known of it but whose it may be.
type Datagram struct {
	Call  string
	Leg   string // SIP Call-ID
	Track TrackID
	// Captured is the kernel's arrival time, since the engine's start.
	Captured time.Duration
	From, To netip.AddrPort // To is our port, as bound
	Control  bool           // came to the port for RTCP
	// Octets are as they came; valid until Tap returns.
	Octets []byte
}

// Tap sees every datagram that a track gets, and those of which it turns out later that they are not the track's. It is called
// by all shards, so at once by several goroutines, and never blocks. What comes while the call is masked it does not see, nor what comes within
// the archive window after: it may have been on its way since. A mask that reaches back takes nothing back from it, so who stores what it
// gets keeps it for the archive window first.
type Tap interface{ Tap(*Datagram) }

// tapper is a shard's part of it.
type tapper struct {
	raw []byte // of a datagram that a key may change where it stands
	out Datagram
}

// keep notes a datagram as it is.
//
//earshot:hot
func (t *tapper) keep(b []byte) { t.raw = append(t.raw[:0], b...) }

// tap shows what was kept.
func (s *shard) tap(k *liveTrack, p receiver, from netip.AddrPort, at time.Duration, control bool) {
	if k.line.memory != nil || k.line.valve.masked(at-s.engine.cfg.ArchiveWindow, at) {
		return
	}
	t := &s.tapper
	t.out = Datagram{
		Call: k.line.info.ID, Leg: k.state.Leg, Track: k.state.ID, Captured: at, From: from, To: p.local(), Control: control,
		Octets: slices.Clip(t.raw),
	}
	s.engine.cfg.Tap.Tap(&t.out)
}
