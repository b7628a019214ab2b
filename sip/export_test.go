package sip

import "time"

// Timers shortens what waits; zero fields stay as they are.
type Timers struct {
	Second, Register, Probe, Pong, T1, Reorder, Reinvite, Again, Dial, Log, Unreg, Write, Silence, Look, Rest, FirstPing, Message time.Duration
	Slower                                                                                                                        int // divides what one source may bring
}

// WithTimers gives c with other waiting times.
func (c Config) WithTimers(t Timers) Config {
	c.tune = tuning{
		second: t.Second, registerLimit: t.Register, probeEvery: t.Probe, pongLimit: t.Pong, t1: t.T1, t2: 8 * t.T1,
		reorderWait: t.Reorder, reinviteLimit: t.Reinvite, reinviteAgain: t.Again, dialLimit: t.Dial, logEvery: t.Log, unregLimit: t.Unreg,
		writeLimit: t.Write, silence: t.Silence, lookEvery: t.Look, proxyRest: t.Rest, firstPing: t.FirstPing, messageLimit: t.Message, guardSlower: t.Slower,
	}
	return c
}

// WithResolver gives c with another source of names.
func (c Config) WithResolver(r resolver) Config {
	c.resolver = r
	return c
}

// FillGate takes all the room that there is for requests, until empty is called.
func (a *Account) FillGate() (empty func()) {
	n := 0
	for a.gate.enter() == entryGranted {
		n++
	}
	return func() {
		for range n {
			a.gate.leave()
		}
	}
}

// WithWall gives c with another wall clock.
func (c Config) WithWall(wall func() time.Time) Config {
	c.wall = wall
	return c
}
