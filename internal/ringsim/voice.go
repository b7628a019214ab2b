package ringsim

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/earshot/earshot/internal/ringsim/trunk"
)

// voice is what one person says on the call's clock. It changes ahead of what has been sent, so what it says at n is the same
// whenever it is asked.
type voice struct{ parts atomic.Pointer[[]part] }

// part is what is said from an index on.
type part struct {
	from int64
	src  trunk.Source
}

func newVoice(src trunk.Source) *voice {
	if src == nil {
		src = trunk.Silence{}
	}
	v := &voice{}
	v.parts.Store(&[]part{{src: src}})
	return v
}

// Octet implements trunk.Source.
func (v *voice) Octet(law trunk.Law, n int64) byte {
	parts := *v.parts.Load()
	for i := len(parts) - 1; i > 0; i-- {
		if n >= parts[i].from {
			return parts[i].src.Octet(law, n)
		}
	}
	return parts[0].src.Octet(law, n)
}

// source is what the person says by itself, whatever is heard of it just now.
func (v *voice) source() trunk.Source { return (*v.parts.Load())[0].src }

// turnLocked lets the voice say something else from n on; Sim.mu is held.
func (v *voice) turnLocked(n int64, src trunk.Source) {
	old := *v.parts.Load()
	parts := append(append(make([]part, 0, len(old)+1), old...), part{n, src})
	v.parts.Store(&parts)
}

// Say lets the far side or the agent speak for a while and be silent then: what they said before Say is over.
func (c *Call) Say(who Role, src trunk.Source, length time.Duration) error {
	now := time.Now()
	c.sim.mu.Lock()
	defer c.sim.mu.Unlock()
	p := c.session.peer
	if who == RoleAgent {
		p = c.session.agent
	}
	switch {
	case !c.session.ended.IsZero():
		return fmt.Errorf("call %s: say: %w", c.session.id, ErrCallEnded)
	case !p.talking() || c.session.begin.IsZero():
		return fmt.Errorf("call %s: say: the %s does not talk", c.session.id, who)
	}
	n := c.session.index(now)
	p.voice.turnLocked(n, src)
	p.voice.turnLocked(n+int64(length*8000/time.Second), trunk.Silence{})
	return nil
}

// room is the sum of those who are in it: what a session-level supervision hears.
type room struct{ members atomic.Pointer[[]member] }

// member is in the room from one index to another; to 0 means until the end.
type member struct {
	voice    *voice
	from, to int64
}

// Octet implements trunk.Source.
func (r *room) Octet(law trunk.Law, n int64) byte {
	list := r.members.Load()
	if list == nil {
		return law.Silence()
	}
	sum := 0
	for _, m := range *list {
		if n >= m.from && (m.to == 0 || n < m.to) {
			sum += decode(law, m.voice.Octet(law, n))
		}
	}
	return encode(law, max(-32768, min(32767, sum)))
}

// enterLocked and leaveLocked change who is heard from n on; Sim.mu is held.
func (r *room) enterLocked(v *voice, n int64) {
	r.members.Store(ptr(append(r.copyLocked(), member{voice: v, from: n})))
}

func (r *room) leaveLocked(v *voice, n int64) {
	list := r.copyLocked()
	for i := range list {
		if list[i].voice == v && list[i].to == 0 {
			list[i].to = max(n, 1)
		}
	}
	r.members.Store(&list)
}

func (r *room) copyLocked() []member {
	if list := r.members.Load(); list != nil {
		return append([]member(nil), *list...)
	}
	return nil
}

func ptr[T any](v T) *T { return &v }

// ahead is how far from now a change of a voice lies: a packet may be on its way already.
const ahead = 40 * time.Millisecond

// index is the place on the call's clock where a change can begin.
func (se *session) index(now time.Time) int64 {
	if se.begin.IsZero() {
		return 0
	}
	return int64((now.Sub(se.begin) + ahead) * 8000 / time.Second)
}

// Music is a tone for those who hold: a known function of n.
type Music struct{}

// Octet implements trunk.Source: a square wave of 400 Hz.
func (Music) Octet(law trunk.Law, n int64) byte {
	const half, level = 10, 4000
	if n/half%2 == 0 {
		return encode(law, level)
	}
	return encode(law, -level)
}
