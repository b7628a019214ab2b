package sip

import (
	"sync"
	"time"
)

// gate counts the goroutines of sipgo that are inside our handler, so that Run can await them.
type gate struct {
	mu     sync.Mutex
	in     int
	limit  int // of in; 0: none
	closed bool
	idle   chan struct{} // closed when nobody is inside; nil if nobody waits for that
}

// maxInside is how many requests may be in our hands at once, besides two INVITEs of each call: one that waits for its ACK
// and one of a re-offer.
const maxInside = 1024

// entry is what enter says.
type entry uint8

const (
	entryGranted entry = iota
	entryFull
	entryShut
)

// enter lets one in, unless the gate is shut or too many are inside.
func (g *gate) enter() entry {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.closed:
		return entryShut
	case g.limit > 0 && g.in >= g.limit:
		return entryFull
	}
	g.in++
	return entryGranted
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.in--
	if g.in == 0 && g.idle != nil {
		close(g.idle)
		g.idle = nil
	}
}

// shut lets nobody in any more.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}

// quiet waits until nobody is inside, at most limit.
func (g *gate) quiet(limit time.Duration) {
	g.mu.Lock()
	if g.in == 0 {
		g.mu.Unlock()
		return
	}
	if g.idle == nil {
		g.idle = make(chan struct{})
	}
	idle := g.idle
	g.mu.Unlock()
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-idle:
	case <-t.C:
	}
}
