package media

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"github.com/earshot/earshot/call"
)

// Track is one party's audio: one m= line of one dialog. Its methods are safe for concurrent use and don't block.
type Track struct {
	// Set by Open, then constant.
	timeline  *Timeline
	id        TrackID
	plan      Plan
	rtp, rtcp netip.AddrPort
	live      *liveTrack // owned by the shard

	mu sync.Mutex
	// mu guards the fields below.
	recv *opener // of the newest committed agreement: a same key keeps its context
	send *sealer
}

// ID names the track on its timeline.
func (k *Track) ID() TrackID { return k.id }

// Local is where the far side shall send, as it stands in our SDP. With Mux both are the same.
func (k *Track) Local() (rtp, rtcp netip.AddrPort) { return k.rtp, k.rtcp }

// Prepare checks what an offer/answer exchange agreed and builds all of it that can fail. Call one of commit and undo: commit, when
// the answer goes out, never fails and takes effect at once, in a sweep of its own; undo drops it. A key that was agreed before keeps
// its SRTP context, and with it the roll-over counter (RFC 3711 section 3.3.1); a new one is in force at once, and the old
// one for 2 s more, as are payload types whose number has no other meaning. Inactive without payloads takes the line away.
func (k *Track) Prepare(p Params) (commit, undo func(), err error) {
	p.Payloads = slices.Clone(p.Payloads)
	a, err := newAgreement(p)
	if err != nil {
		return nil, nil, fmt.Errorf("prepare track %d: %w", k.id, err)
	}
	k.mu.Lock()
	recv, send := k.recv, k.send
	k.mu.Unlock()
	if a.recv, err = openerFor(p.RecvKey, recv); err != nil {
		return nil, nil, fmt.Errorf("prepare track %d: receive key: %w", k.id, err)
	}
	if a.send, err = sealerFor(p.SendKey, send); err != nil {
		return nil, nil, fmt.Errorf("prepare track %d: send key: %w", k.id, err)
	}
	a.params.RecvKey, a.params.SendKey = nil, nil // the contexts hold what is needed
	var once sync.Once
	commit = func() { once.Do(func() { k.commit(a) }) }
	return commit, func() { once.Do(func() {}) }, nil
}

func (k *Track) commit(a *agreement) {
	if !a.removed { // a line that comes back may come with its key
		k.mu.Lock()
		k.recv, k.send = a.recv, a.send
		k.mu.Unlock()
	}
	a.at = k.timeline.engine.Now()
	k.timeline.shard.mail.put(post{kind: postCommit, line: k.timeline.live, track: k.live, agree: a})
	k.timeline.shard.nudge()
}

// State is what was known of the track at the newest sweep.
func (k *Track) State() TrackState {
	k.timeline.shard.mu.Lock()
	defer k.timeline.shard.mu.Unlock()
	if pub := k.timeline.live.pub; int(k.id) <= len(pub) {
		return pub[k.id-1]
	}
	return TrackState{ID: k.id, Leg: k.plan.Leg, Line: k.plan.Line, Party: k.plan.Party, Part: k.plan.Part}
}

// Move gives the track to another part of the call: what is given out from the next sweep on belongs to that, and party is
// whose audio it is there. What still comes late for what lies before is in the batches as always.
func (k *Track) Move(part uint16, party call.Party) {
	k.timeline.shard.mail.put(post{kind: postMove, line: k.timeline.live, track: k.live, part: part, party: party})
}

// End tells that the track's dialog has ended: what came in is given out, and its ports are closed. The timeline goes on.
func (k *Track) End() {
	k.timeline.shard.mail.put(post{kind: postEnd, line: k.timeline.live, track: k.live})
}
