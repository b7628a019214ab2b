package sip

import (
	"sync"
	"time"
)

// gate counts the goroutines of sipgo that are inside our handler, so that Run can await them.
type gate struct {
	mu     sync.Mutex
	in     int
	closed bool
	idle   chan struct{} // closed when nobody is inside; nil if nobody waits for that
}

// enter lets one in, unless the gate is shut.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.in++
	return true
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
