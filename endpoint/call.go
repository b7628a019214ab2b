package endpoint

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/attr"
	"github.com/earshot/earshot/media"
)

// State is where a call stands.
type State uint8

// The states of a live Call. joining: no track yet; held: every track is on hold. A call that has ended is a recording.
const (
	StateJoining State = iota
	StateLive
	StateHeld
)

// String gives the state's name as in status and metrics.
func (s State) String() string {
	return [...]string{"joining", "live", "held"}[s]
}

// lookEvery is how often a call without legs looks whether RingCentral shows it still; supervise reads the session anew
// within half a second of a leg's end.
const lookEvery = 200 * time.Millisecond

// Call is what a person calls one call: its legs, its timeline, its sinks. An ear's legs and Run's loop share it.
type Call struct {
	// Set by newCall, then constant.
	id      string
	mode    string // as call.Info.Mode
	e       *Endpoint
	ear     *ear
	changed chan struct{} // size 1: run has something to look at
	made    chan struct{} // closed when the fields below are set

	// Set by make, then constant.
	timeline *media.Timeline
	started  time.Time
	err      error // why it could not be made

	// parting is held while a part is being made. Lock order: parting, then mu.
	parting sync.Mutex

	// mu guards the fields below. Nothing is called with it held.
	mu       sync.Mutex
	info     call.Info
	agent    string // extension number of who has the call
	parts    []*part
	legs     []*leg
	tracks   []*media.Track // all that ever were
	holders  int            // legs that are being made
	closing  bool
	cause    call.Cause    // of the newest leg that ended
	down     time.Duration // when the last leg ended, on the engine's clock; 0: there is one, or there was none
	left     bool          // the agent has left since
	broken   time.Time     // when a leg ended that this process can't ask for again; zero: none has
	silent   map[media.TrackID]silence
	laddered map[string]bool // dialogs whose SIP a recording has
	holds    map[media.Holder]call.Mask

	// heeding is held while it is seen whether the call is on hold. Lock order: heeding, then a leg's mu, then mu.
	heeding sync.Mutex
	// masking is held while a person's mask is set or ended, disk included. Lock order: masking, then parting and mu.
	masking sync.Mutex
	pci     pciMask
	// consenting is held while consent is given or refused, disk included. Lock order: as masking.
	consenting sync.Mutex
	remembers  bool // mu guards it: the timeline keeps audio in memory
}

// silence is how long a track has brought nothing.
type silence struct {
	packets int64
	since   time.Time
	told    bool
}

// newCall is a call that is still to be made; the caller holds it once.
func newCall(e *Endpoint, r *ear, info call.Info) *Call {
	return &Call{
		id: info.ID, agent: info.Agent, mode: info.Mode, e: e, ear: r, made: make(chan struct{}), changed: make(chan struct{}, 1),
		holders: 1, silent: map[media.TrackID]silence{}, laddered: map[string]bool{}, holds: map[media.Holder]call.Mask{},
	}
}

// make gives the call its timeline and attaches its sinks.
func (c *Call) make(info call.Info) error {
	tl, err := c.e.engine.NewTimeline(info)
	if err != nil {
		return err
	}
	zero := tl.Zero()
	info.Started = c.e.engine.Wall(zero)
	c.timeline, c.started, c.info = tl, info.Started, info
	if c.e.cfg.Told != nil {
		tl.Attach(&teller{told: c.e.cfg.Told})
	}
	c.begin(info, zero, 0)
	facts := map[string]any{"agent": info.Agent, "mode": info.Mode}
	if late := info.Started.Sub(info.Talks); !info.Talks.IsZero() && late > 0 {
		facts["late_ms"] = late.Milliseconds()
		if info.Obstacle != "" {
			facts["delayed_by"] = info.Obstacle
		}
	}
	c.post(call.Event{Type: call.EventCallStarted, Facts: facts})
	c.e.log.Info("call heard", attr.Call(info.ID), attr.Agent(info.Agent), attr.Number(customerOf(info).Number), "mode", info.Mode)
	c.shut(info.Masked)
	c.tellShut()
	ids := append([]string{c.id}, info.Sessions...)
	c.inherit(ids...)
	c.gate(ids...)
	return nil
}

// customerOf is the customer whom the plan names, or nobody.
func customerOf(info call.Info) call.Party {
	for _, p := range info.Expected {
		if p.Role == call.RoleCustomer {
			return p
		}
	}
	return call.Party{}
}

// ready tells whether the call is made, and so may be looked at.
func (c *Call) ready() bool {
	select {
	case <-c.made:
		return c.err == nil
	default:
		return false
	}
}

// hold keeps the call open while a leg is being made; false: it is closing already.
func (c *Call) hold() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return false
	}
	c.holders++
	return true
}

// add makes a held leg a leg of the call.
func (c *Call) add(l *leg, sessions []string) {
	for _, s := range sessions {
		c.goesOn(s)
	}
	c.mu.Lock()
	c.holders--
	c.legs, c.broken = append(c.legs, l), time.Time{}
	c.down, c.left = 0, false
	if l.agent != "" {
		c.agent = l.agent
	}
	l.part.dialog(l.id)
	c.mu.Unlock()
	c.tell()
	c.heed()
	c.wake()
}

// remove takes a leg away, with the cause of its end.
func (c *Call) remove(l *leg, cause call.Cause) {
	c.mu.Lock()
	c.legs = slices.DeleteFunc(c.legs, func(o *leg) bool { return o == l })
	pt := l.part
	if len(c.legs) == 0 {
		c.down = c.e.engine.Now()
	}
	c.cause, pt.cause = cause, cause
	pt.legs--
	if c.broken.IsZero() && c.e.shift.lent.Load() {
		c.broken = time.Now()
	}
	c.mu.Unlock()
	c.retire(pt)
	c.heed()
	c.wake()
}

// states gives what is known of each track, those that have ended too.
func (c *Call) states() []media.TrackState {
	c.mu.Lock()
	tracks := slices.Clone(c.tracks)
	c.mu.Unlock()
	out := make([]media.TrackState, len(tracks))
	for i, t := range tracks {
		out[i] = t.State()
	}
	return out
}

func (c *Call) wake() {
	select {
	case c.changed <- struct{}{}:
	default: // run looks anyway
	}
}

// post hands an event to the sinks. The sweep that takes it stamps it, so that times go with the order of lines.
func (c *Call) post(ev call.Event) {
	ev.Call = c.id
	c.timeline.Post(ev) // a full mailbox is counted there
}

// run looks after the call until it has no leg and RingCentral shows it no more, then closes it.
func (c *Call) run(ctx context.Context) {
	tick, retry := time.NewTicker(time.Second), time.NewTicker(storeRetry)
	defer tick.Stop()
	defer retry.Stop()
	for done := false; !done; {
		select {
		case <-ctx.Done():
			// The legs are being ended; the tick sees the last one go.
			select {
			case <-c.changed:
			case <-tick.C:
			}
		case <-c.changed:
		case <-retry.C:
			c.recordAgain()
		case now := <-tick.C:
			c.watchMedia(now)
			c.endDeserted(ctx)
			c.letGo(ctx, now)
			c.heedBook(ctx)
			c.heedConsent(ctx)
			c.endMaskInTime(ctx, now)
		}
		c.heedKeys(ctx)
		if c.lonely() {
			done = c.over(ctx)
		}
	}
	c.close()
}

func (c *Call) lonely() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.legs) == 0 && c.holders == 0
}

// over waits, for a call without legs, until RingCentral shows it no more, its time is over, or a leg comes back. It tells
// whether the call is over, and then lets no new leg in.
func (c *Call) over(ctx context.Context) bool {
	deadline := time.Now().Add(c.e.cfg.RejoinTimeout)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for ctx.Err() == nil && !c.e.shift.over.Load() && c.shown() && time.Now().Before(deadline) {
		select {
		case <-c.changed:
			if !c.lonely() {
				return false
			}
		case now := <-tick.C:
			c.endMaskInTime(ctx, now)
		case <-ctx.Done():
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing = len(c.legs) == 0 && c.holders == 0
	c.e.shift.nudge()
	return c.closing
}

// shown tells whether RingCentral still has a wanted party in the call, in any of the sessions that it went through.
func (c *Call) shown() bool {
	return c.mode != "" && slices.ContainsFunc(c.description().Sessions, c.ear.sup.InCall)
}

// goesOn notes that the call goes on in a further session.
func (c *Call) goesOn(session string) {
	c.mu.Lock()
	if slices.Contains(c.info.Sessions, session) {
		c.mu.Unlock()
		return
	}
	c.info.Sessions = append(slices.Clone(c.info.Sessions), session)
	c.mu.Unlock()
	c.tell()
	c.post(call.Event{Type: call.EventCallMoved, Facts: map[string]any{"session": session}})
	c.inherit(session)
	c.followConsent(session)
	c.follow()
	c.heed()
	c.wake()
}

// comesFrom notes the call that this one goes on from, heard as another.
func (c *Call) comesFrom(id string) {
	c.mu.Lock()
	known := slices.Contains(c.info.Earlier, id)
	if !known {
		c.info.Earlier = append(slices.Clone(c.info.Earlier), id)
	}
	c.mu.Unlock()
	if !known {
		c.tell()
		c.post(call.Event{Type: call.EventCallMoved, Facts: map[string]any{"from": id, "session": c.id}})
		c.inherit(id)
		c.followConsent(id)
	}
}

func (c *Call) close() {
	c.mu.Lock()
	cause := c.cause
	c.mu.Unlock()
	if cause.Code == call.CodeHangup {
		cause = c.unheard(cause)
	}
	c.recordAgain() // a record without audio is better than none
	parts := c.allParts()
	last := len(parts) - 1
	c.keepLadders(parts, cause)
	states := c.sealed(parts[:last]) // in order: each manifest holds the hash of the one before
	c.post(call.Event{Type: call.EventCallEnded, Facts: map[string]any{"cause": string(cause.Code), "text": cause.Text}})
	<-c.timeline.Close(cause)
	states = append(states, c.sealed(parts[last:])...)
	dir := ""
	if rec, _ := c.recording(parts[last]); rec != nil {
		dir = rec.Result().Dir
	}
	c.e.forget(c, cause, states)
	c.e.log.Info("call ended", attr.Call(c.id), attr.Cause(cause), "state", strings.Join(states, ","), "dir", dir,
		"duration", time.Since(c.started).Round(time.Millisecond))
}

// description gives what is known of the call.
func (c *Call) description() call.Info {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.info
}

// unheard gives the cause of a call that was hung up: its own, or why not one packet was of use.
func (c *Call) unheard(cause call.Cause) call.Cause {
	var n media.Counts
	for _, t := range c.states() {
		n.Packets += t.Counts.Packets
		n.AuthFailedPackets += t.Counts.AuthFailedPackets
		n.StrayPackets += t.Counts.StrayPackets
		n.UnknownPTPackets += t.Counts.UnknownPTPackets
		n.MalformedPackets += t.Counts.MalformedPackets
		n.ReceivedSamples += t.Counts.ReceivedSamples + t.Counts.MaskedSamples // masked audio came all the same
	}
	if n.ReceivedSamples > 0 {
		return cause
	}
	text := "answered, and not one packet came until the far side hung up"
	if bad := n.AuthFailedPackets + n.StrayPackets + n.UnknownPTPackets + n.MalformedPackets; bad > 0 {
		text = fmt.Sprintf("packets came and none could be used: %d whose SRTP did not open, %d from elsewhere, %d of a payload type not agreed, %d malformed",
			n.AuthFailedPackets, n.StrayPackets, n.UnknownPTPackets, n.MalformedPackets)
	}
	return call.Cause{Code: call.CodeNoMedia, Text: text}
}

// watchMedia tells once of a track that should bring packets and does not.
func (c *Call) watchMedia(now time.Time) {
	limit := c.e.cfg.NoMediaTimeout
	held := c.heldLines()
	for _, t := range c.states() {
		c.mu.Lock()
		s := c.silent[t.ID]
		if s.since.IsZero() || t.Counts.Packets != s.packets || t.Ended || held[trackLine{t.Leg, t.Line}] {
			s = silence{packets: t.Counts.Packets, since: now}
		}
		tell := !s.told && now.Sub(s.since) >= limit
		s.told = s.told || tell
		c.silent[t.ID] = s
		c.mu.Unlock()
		if tell {
			c.post(call.Event{Type: call.EventNoMedia, Leg: t.Leg, Track: uint32(t.ID), Pos: t.Length})
			c.e.log.Warn("track silent", "call", c.id, "leg", t.Leg, "track", t.ID, "party", t.Party.ID, "for", limit,
				"hint", "no packet came: look at the firewall between RingCentral's media ports and this host")
		}
	}
}
