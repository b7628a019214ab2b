package supervise

import (
	"strings"
	"time"
)

// view is what events and readings have told of one telephony session, wanted or not. Events carry the party that
// changed only; the view puts them together.
//
// Invariant: the state of a party is that of the event with the highest sequence, so repeated events and events out of
// order leave the same view as those in order.
type view struct {
	id        string
	parties   []*viewParty // by first mention
	top       int64        // the highest sequence so far
	numbers   numbers      // of the events so far
	readTop   int64        // top when the newest reading was asked for: older events are in the reading
	whole     bool         // a reading has shown all parties
	at        time.Time    // the newest change
	prev      string       // the session that went on in this one
	next      string       // the session in which this one went on
	wanted    bool         // it was to be heard
	direction string       // of the call that began here; empty: not known
	asked     bool         // the hook was asked; hook is its answer
	hook      fact
	consented bool   // the hook said so
	basis     string // and on what ground
	masked    bool   // the hook said so: for good, and for the sessions in which the call goes on
	will      will   // what a user said of it by hand
	guest     string // the party that came from another session, if it is from outside the account
	heard     bool   // a dialog of it was up
	nextAt    time.Time
	giver     string // the extension whose agent handed the call over to this session, and leaves it
}

type viewParty struct {
	partyState
	seq  int64     // of the newest event; 0: known from a reading only
	at   time.Time // when that came
	read bool      // a reading has shown it
}

const (
	maxViews    = 20_000
	maxSessions = maxViews
	// forgetEvery is the least time between two searches for views that are not needed any more: each looks through all.
	forgetEvery = time.Second
	// A view outlives its session, so that late events can't bring a dead call back to life.
	keepEnded = 10 * time.Minute
	keepView  = 24 * time.Hour
)

func is(p partyState, codes ...string) bool {
	for _, c := range codes {
		if strings.EqualFold(p.Status, c) {
			return true
		}
	}
	return false
}

// live is a party that is on the line, or holds it.
func live(p partyState) bool     { return is(p, "Answered", "Hold") }
func answered(p partyState) bool { return is(p, "Answered") }
func pending(p partyState) bool  { return is(p, "Setup", "Proceeding") }
func parked(p partyState) bool   { return is(p, "Parked") }
func left(p partyState) bool     { return is(p, "Disconnected", "Gone") }

// look gives the view of a session, and makes it where there is none.
func (c *core) viewOf(now time.Time, id string) *view {
	if v := c.views[id]; v != nil {
		return v
	}
	if len(c.views) >= maxViews && now.Sub(c.forgotAt) >= forgetEvery {
		c.forgotAt = now
		c.forget(now, keepEnded/10, keepView/48)
	}
	v := &view{id: id, at: now}
	if len(c.views) < maxViews {
		c.views[id] = v // else it is known for this moment only, and the session is read where it matters
	}
	return v
}

// forget drops the views of calls that ended a while ago, and of those that nothing was heard of for long.
func (c *core) forget(now time.Time, ended, silent time.Duration) {
	for id, v := range c.views {
		age := now.Sub(v.at)
		if c.sessions[id] == nil && c.sessions[v.next] == nil && (age > silent || (age > ended && v.ended())) {
			delete(c.views, id)
		}
	}
}

func (v *view) party(id string) *viewParty {
	for _, p := range v.parties {
		if p.ID == id {
			return p
		}
	}
	return nil
}

// ended says whether everybody has left; supervisors don't count.
func (v *view) ended() bool {
	for _, p := range v.parties {
		if !left(p.partyState) && !p.Supervising {
			return false
		}
	}
	return true
}

func (v *view) states() []partyState {
	out := make([]partyState, len(v.parties))
	for i, p := range v.parties {
		out[i] = p.partyState
	}
	return out
}

// merge takes an event, and says whether it changed anything: an older or repeated one does not.
func (v *view) merge(now time.Time, ev sessionEvent) bool {
	changed := false
	for _, p := range ev.parties {
		known := v.party(p.ID)
		switch {
		case known == nil && len(v.parties) >= maxParties:
			continue
		case known == nil:
			known = &viewParty{}
			v.parties = append(v.parties, known)
		case ev.sequence > 0 && (ev.sequence <= known.seq || (known.read && ev.sequence <= v.readTop)):
			known.seq = max(known.seq, ev.sequence)
			continue
		}
		known.partyState = fill(p, known.partyState)
		known.seq, known.at = max(known.seq, ev.sequence), now
		changed = true
	}
	v.top = max(v.top, ev.sequence)
	if changed {
		v.at = now
	}
	return changed
}

// mergeRead takes a reading that was asked for when top was the highest sequence: what events have told since is newer.
func (v *view) mergeRead(now time.Time, parties []partyState, top int64) {
	shown := map[string]bool{}
	for _, p := range parties {
		shown[p.ID] = true
		known := v.party(p.ID)
		if known == nil {
			if len(v.parties) >= maxParties {
				continue
			}
			known = &viewParty{partyState: p}
			v.parties = append(v.parties, known)
		}
		// The reading may come from a server that lags behind the events: who has left does not come back.
		if known.seq <= top && !(known.seq > 0 && left(known.partyState)) {
			known.partyState = fill(p, known.partyState)
		} else {
			known.partyState = fill(known.partyState, p)
		}
		known.read = true
	}
	kept := v.parties[:0]
	for _, p := range v.parties {
		if shown[p.ID] || p.seq > top {
			kept = append(kept, p)
		}
	}
	clear(v.parties[len(kept):])
	v.parties = kept
	v.readTop, v.whole, v.at = top, true, now
}

// fill completes what one telling of a party lacks by another.
func fill(p, other partyState) partyState {
	set := func(s *string, or string) {
		if *s == "" {
			*s = or
		}
	}
	set(&p.ExtensionID, other.ExtensionID)
	set(&p.Status, other.Status)
	set(&p.Name, other.Name)
	set(&p.Number, other.Number)
	set(&p.Extension, other.Extension)
	if p.Far == (farEnd{}) {
		p.Far = other.Far
	}
	if p.Peer == (Ref{}) {
		p.Peer = other.Peer
	}
	// A supervisor stays one, also when a later event gives another reason, for its end for instance.
	p.Supervising = p.Supervising || other.Supervising
	p.Queue = p.Queue || other.Queue
	return p
}
