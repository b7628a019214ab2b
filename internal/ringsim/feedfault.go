package ringsim

import "time"

// Cut is how connections of the event feed end before their time.
type Cut string

// The ways.
const (
	CutNow    Cut = "now"    // TCP ends, without a closing handshake
	CutSilent Cut = "silent" // the connection stays, and nothing goes over it any more, not even pings
	CutForget Cut = "forget" // TCP ends, and what is kept for recovery is gone
)

// CutFeed ends all connections of the event feed that are there, and tells how many.
func (s *Sim) CutFeed(how Cut) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, k := range s.world.gateway.links {
		c := k.conn
		if c == nil {
			continue
		}
		n++
		k.conn, k.lost = nil, time.Now()
		if how == CutForget {
			k.sub, k.kept, k.id = nil, nil, "" // no wsc has an empty id
		}
		if how == CutSilent {
			c.silent = true
			s.world.muted[c] = struct{}{}
			continue
		}
		c.cancel()
	}
	return n
}

// DropSubscriptions makes all subscriptions vanish while their connections stay: no event comes, a GET or renewal is
// answered 404.
func (s *Sim) DropSubscriptions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, k := range s.world.gateway.links {
		if k.sub != nil {
			k.sub = nil
			n++
		}
	}
	return n
}

// Subscribers is how many connected clients of the event feed have a subscription.
func (s *Sim) Subscribers() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, k := range s.world.gateway.links {
		if k.conn != nil && k.sub != nil {
			n++
		}
	}
	return n
}
