package sip

import (
	"context"
	"sync"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// dialogKey names a dialog (RFC 3261 section 12): a struct, for joined texts may collide.
type dialogKey struct{ callID, local, remote string }

// txKey names a transaction as RFC 3261 section 17.2.3 does, without the method.
type txKey struct{ branch, sentBy string }

func keyOfTx(req *gosip.Request) txKey {
	v := req.Via()
	if v == nil {
		return txKey{}
	}
	branch, _ := param(v.Params, "branch")
	if branch == "" { // RFC 2543
		branch = callID(req) + " " + fromTag(req)
	}
	return txKey{branch, v.SentBy()}
}

// inviteKey is the same for all ways an INVITE may reach us twice (RFC 3261 section 8.2.2.2).
type inviteKey struct {
	callID, from string
	seq          uint32
}

func keyOfInvite(req *gosip.Request) inviteKey {
	return inviteKey{callID: callID(req), from: fromTag(req), seq: seqOf(req)}
}

// Bounds of the memories.
const (
	maxMemos   = 4096
	maxCancels = 1024
	memoLife   = time.Minute
)

// calls holds what is up: dialogs, INVITEs that wait for their answer, and what must be remembered of both.
type calls struct {
	mu      sync.Mutex
	max     int
	dialogs map[dialogKey]*Dialog
	byID    map[string][]*Dialog // by Call-ID
	invites map[txKey]*invite
	cancels map[txKey]chan struct{} // CANCELs that came before their INVITE; closed when it comes
	memos   memory
	stopped bool // nothing new gets in
}

func (c *calls) init(limit int) {
	c.max = limit
	c.dialogs = make(map[dialogKey]*Dialog)
	c.byID = make(map[string][]*Dialog)
	c.invites = make(map[txKey]*invite)
	c.cancels = make(map[txKey]chan struct{})
}

func (c *calls) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.dialogs)
}

func (c *calls) all() []*Dialog {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]*Dialog, 0, len(c.dialogs))
	for _, d := range c.dialogs {
		out = append(out, d)
	}
	return out
}

// admission is what calls.admit found.
type admission uint8

const (
	admitted admission = iota
	admitBusy
	admitMerged    // it is here already, by another way
	admitRepeated  // a late copy of one that was answered
	admitAgain     // it failed a moment ago; the same answer again
	admitCancelled // its CANCEL was quicker
	admitStopping
)

// admit takes a new INVITE in, or says why not.
func (c *calls) admit(inv *invite, now time.Time) (admission, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return admitStopping, 0
	}
	if m, ok := c.memos.get(inv.id, now); ok {
		switch {
		case m.code >= 300:
			return admitAgain, m.code
		case m.tx != inv.tx:
			return admitMerged, 0
		case m.code != 0:
			// sipgo forgets the transaction when the ACK is there; RFC 6026 section 7.1 has it take copies in for 64*T1.
			return admitRepeated, m.code
		}
	}
	if early, ok := c.cancels[inv.tx]; ok {
		close(early)
		delete(c.cancels, inv.tx)
		return admitCancelled, 0
	}
	if len(c.dialogs)+len(c.invites) >= c.max {
		return admitBusy, 0
	}
	c.invites[inv.tx] = inv
	c.rememberLocked(inv, 0, now)
	return admitted, 0
}

// rememberLocked keeps what became of an INVITE.
func (c *calls) rememberLocked(inv *invite, code int, now time.Time) {
	c.memos.put(inv.id, memo{tx: inv.tx, code: code, until: now.Add(memoLife)}, now)
}

// settle says what became of an INVITE that is not a call.
func (c *calls) settle(inv *invite, code int, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.invites, inv.tx)
	c.rememberLocked(inv, code, now)
}

// forget takes an INVITE out, if it is still there.
func (c *calls) forget(inv *invite) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.invites, inv.tx)
}

// promote makes an INVITE a dialog, and gives the right to answer it; false if it is cancelled or we stop.
func (c *calls) promote(inv *invite, d *Dialog, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped || !inv.state.CompareAndSwap(inviteOpen, inviteAnswered) {
		return false
	}
	delete(c.invites, inv.tx)
	c.dialogs[d.key] = d
	c.byID[d.key.callID] = append(c.byID[d.key.callID], d)
	c.rememberLocked(inv, 200, now)
	return true
}

// remove forgets a dialog.
func (c *calls) remove(d *Dialog) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.dialogs, d.key)
	id := d.key.callID
	left := make([]*Dialog, 0, len(c.byID[id]))
	for _, o := range c.byID[id] {
		if o != d {
			left = append(left, o)
		}
	}
	if len(left) == 0 {
		delete(c.byID, id)
		return
	}
	c.byID[id] = left
}

// find looks for the dialog of a request: by its tags; if lax, by the Call-ID alone where that is only one's.
func (c *calls) find(k dialogKey, lax bool) *Dialog {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d := c.dialogs[k]; d != nil || !lax {
		return d
	}
	if ds := c.byID[k.callID]; len(ds) == 1 {
		return ds[0]
	}
	return nil
}

// cancel handles a CANCEL that sipgo did not match: its INVITE is here, or gets here within wait, or does not exist.
func (c *calls) cancel(ctx context.Context, k txKey, id inviteKey, wait time.Duration) (inv *invite, early bool) {
	c.mu.Lock()
	if inv := c.invites[k]; inv != nil {
		c.mu.Unlock()
		return inv, false
	}
	if m, ok := c.memos.get(id, time.Now()); ok && m.tx == k {
		c.mu.Unlock()
		return nil, true // it was answered before: the CANCEL has no effect (RFC 3261 section 9.2)
	}
	if _, twice := c.cancels[k]; twice || len(c.cancels) >= maxCancels {
		c.mu.Unlock()
		return nil, false
	}
	came := make(chan struct{})
	c.cancels[k] = came
	c.mu.Unlock()
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-came:
		return nil, true
	case <-t.C:
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-came:
		return nil, true
	default:
	}
	delete(c.cancels, k)
	return nil, false
}

// again notes a re-INVITE, for the CANCEL that may come after its answer; false: its CANCEL came before.
func (c *calls) again(k txKey, id inviteKey, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if early, ok := c.cancels[k]; ok {
		close(early)
		delete(c.cancels, k)
		return false
	}
	c.rememberLocked(&invite{tx: k, id: id}, 0, now)
	return true
}

// shut lets nothing in any more and ends all INVITEs that are not answered yet.
func (c *calls) shut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	for _, inv := range c.invites {
		inv.stop(errStopping)
	}
}
