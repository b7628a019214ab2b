package supervise

import (
	"strings"
	"time"
)

const (
	// linkWait is how long a call that went on in another session is believed to live before that session shows an agent.
	linkWait = 30 * time.Second
	maxChain = 16
)

// link notes that a party went on in another session: an attended transfer, a pick-up from park. RingCentral says so by
// the state Gone and a peerId.
func (c *core) link(now time.Time, v *view) {
	for _, p := range v.parties {
		to := p.Peer.Session
		if !is(p.partyState, "Gone") || to == "" || to == v.id || to == v.next || p.Supervising || c.own.has(p.ExtensionID) {
			continue
		}
		if !v.wanted {
			continue // nobody listens to this call: what it becomes is a call of its own
		}
		c.emit(actMoved{v.id, to})
		target := c.viewOf(now, to)
		target.masked = target.masked || c.masked(v.id)
		if c.known(target) || target.prev != "" || v.next != "" || c.before(v.id, to) {
			continue // that call is heard under its own name already
		}
		v.next, v.nextAt, target.prev = to, now, v.id
		if s := c.sessions[v.id]; s != nil {
			if s.seek.due { // no reading is needed any more
				s.seek.due, s.dirty = false, false
			}
			if !strings.EqualFold(p.Reason, "Pickup") {
				target.giver = s.agent.ID
			}
		}
		if p.ExtensionID == "" {
			target.guest = p.Peer.Party
		}
		if c.arrived(target) { // a consultation that policy left alone is the customer's call from now on
			c.follow(now, target)
		}
	}
}

// arrived says whether the one from outside who came from another session is there. An agent's own feed does not tell.
func (c *core) arrived(v *view) bool {
	if v.guest == "" {
		return false
	}
	p := v.party(v.guest)
	return p != nil && live(p.partyState) || p == nil && !c.feed.account
}

// known says whether INVITEs of the session have been named by its own id.
func (c *core) known(v *view) bool {
	s := c.sessions[v.id]
	if s == nil {
		return v.heard
	}
	if s.heard {
		return true
	}
	for _, j := range s.joins {
		if j.invited {
			return true
		}
	}
	return false
}

// before says whether a session stands in the chain that leads to another.
func (c *core) before(id, earlier string) bool {
	for _, s := range c.chain(id) {
		if s == earlier {
			return true
		}
	}
	return false
}

// chain gives the sessions of the call, the first one first, id last.
func (c *core) chain(id string) []string {
	chain := []string{id}
	for v := c.views[id]; v != nil && v.prev != "" && len(chain) < maxChain; v = c.views[v.prev] {
		chain = append([]string{v.prev}, chain...)
	}
	return chain
}

// lives says whether a session, or one that it went on in, has a monitored agent or awaits one.
func (c *core) lives(id string, now time.Time) bool {
	for range maxChain {
		if s := c.sessions[id]; s != nil && s.verdict != verdictExcused && !s.released && (s.inCall || s.unsure() || now.Before(s.passUntil)) {
			return true
		}
		v := c.views[id]
		if v == nil || v.next == "" {
			return false
		}
		next := c.views[v.next]
		if c.sessions[v.next] == nil && now.Sub(v.nextAt) < linkWait && (next == nil || len(next.parties) == 0 || !next.heard && !next.ended()) {
			return true
		}
		id = v.next
	}
	return false
}
