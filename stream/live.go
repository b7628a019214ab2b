package stream

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshot/earshot/call"
)

// States of a live consumer.
const (
	StateWaiting   = "waiting"   // it is being started or connected, or its next try is waited for
	StateConnected = "connected" // it has the audio
	StateGivenUp   = "given_up"  // it gets nothing more of this call
)

// Live is one consumer of one live call, or of one of its tracks.
type Live struct {
	Call     string
	Consumer string // its name
	Role     string // whose audio: agent, customer, mix, or customer,agent for both in stereo
	State    string
	Since    time.Time // of the state
	// Lag is how much audio waits for it.
	Lag time.Duration
	// DroppedSamples were lost on it, at 8000 Hz.
	DroppedSamples int64
	Reconnects     int64 // connections, or processes, after the first
	SentOctets     int64
	// Error is why the newest connection ended, or was not made; empty: nothing failed.
	Error string
}

// ConsumerTotals counts what all consumers of one name did since start.
type ConsumerTotals struct {
	Connected       int64         // now
	Connections     int64         // and processes, that were there
	Reconnects      int64         // of these, after the first of a call or track
	DroppedSamples  int64         // at 8000 Hz
	CaughtUpSamples int64         // at 8000 Hz: came from the recording, as they were missed, or given again
	SentOctets      int64         // headers included
	Lag             time.Duration // the longest now
}

const (
	// maxNames bounds the names that are counted apart: each reload may bring others.
	maxNames = 48
	// otherName has what is beyond.
	otherName = "other"
)

// tally counts for all consumers of one name.
type tally struct {
	connected, connections, reconnects, dropped, caughtUp, octets atomic.Int64
}

// progress is how one consumer of one call gets on.
type progress struct {
	sent atomic.Int64

	// mu guards the fields below. The media path never takes it.
	mu          sync.Mutex
	state       string
	since       time.Time
	connections int64
	failed      string
}

func newProgress() *progress { return &progress{state: StateWaiting, since: time.Now()} }

func (g *progress) enter(state, failed string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state != state {
		g.state, g.since = state, time.Now()
	}
	if failed != "" {
		g.failed = failed
	}
}

// connected tells that the consumer has the audio from now on; until what it gives is called.
func (p *outlook) connected() (over func()) {
	t, g := p.consumer.tally, p.progress
	g.mu.Lock()
	g.connections++
	again := g.connections > 1
	g.mu.Unlock()
	g.enter(StateConnected, "")
	p.hub.count.started.Add(1)
	p.hub.count.running.Add(1)
	t.connections.Add(1)
	t.connected.Add(1)
	if again {
		t.reconnects.Add(1)
	}
	p.event(call.EventStreamStarted, map[string]any{"consumer": p.consumer.Name})
	return func() {
		p.hub.count.running.Add(-1)
		t.connected.Add(-1)
		g.enter(StateWaiting, "")
	}
}

// sent counts octets that the consumer took.
func (p *outlook) sent(octets int) {
	p.progress.sent.Add(int64(octets))
	p.consumer.tally.octets.Add(int64(octets))
}

// live shows how the consumer gets on.
func (p *outlook) live() Live {
	g := p.progress
	g.mu.Lock()
	l := Live{
		Call: p.call, Consumer: p.consumer.Name, Role: p.role, State: g.state, Since: g.since, Reconnects: max(0, g.connections-1), Error: g.failed,
	}
	g.mu.Unlock()
	l.SentOctets = g.sent.Load()
	held, lost := p.ring.standing()
	l.Lag, l.DroppedSamples = time.Duration(held)*sampleTime, lost
	return l
}

// standing is how many samples wait, and how many were lost.
func (r *ring) standing() (held, lost int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.waitsLocked(), r.lost.total
}

// Live lists the consumers of live calls, by call, name and role. Safe from anywhere.
func (h *Hub) Live() []Live {
	takers := h.takers()
	out := make([]Live, 0, len(takers))
	for _, p := range takers {
		out = append(out, p.live())
	}
	slices.SortFunc(out, func(a, b Live) int {
		if c := strings.Compare(a.Call, b.Call); c != 0 {
			return c
		}
		return strings.Compare(a.Consumer+"\x00"+a.Role, b.Consumer+"\x00"+b.Role)
	})
	return out
}

// Consumers counts by name; those that are configured, or were, up to 48 of them: the rest is "other". Safe from anywhere.
func (h *Hub) Consumers() map[string]ConsumerTotals {
	out := map[string]ConsumerTotals{}
	h.mu.Lock()
	for name, t := range h.tallies {
		out[name] = ConsumerTotals{
			Connected: t.connected.Load(), Connections: t.connections.Load(), Reconnects: t.reconnects.Load(), DroppedSamples: t.dropped.Load(), CaughtUpSamples: t.caughtUp.Load(),
			SentOctets: t.octets.Load(),
		}
	}
	h.mu.Unlock()
	for _, l := range h.Live() {
		name := l.Consumer
		if _, ok := out[name]; !ok {
			name = otherName
		}
		c := out[name]
		c.Lag = max(c.Lag, l.Lag)
		out[name] = c
	}
	return out
}

// tallied gives each consumer the counters of its name.
func (h *Hub) tallied(consumers []Consumer) []Consumer {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range consumers {
		name := consumers[i].Name
		if h.tallies[name] == nil && len(h.tallies) >= maxNames {
			name = otherName
		}
		if h.tallies[name] == nil {
			h.tallies[name] = &tally{}
		}
		consumers[i].tally = h.tallies[name]
	}
	return consumers
}

// dropped is what all consumers lost.
func (h *Hub) dropped() (samples int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.tallies {
		samples += t.dropped.Load()
	}
	return samples
}
