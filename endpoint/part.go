package endpoint

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/attr"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/stream"
)

// part is a stretch of a call that has a folder, and streams, of its own. Its channels are fixed when it opens, so a dialog
// that does not fit begins the next part: a call of two that becomes a conference is heard as one stream from then on. The
// parts of a call may overlap: each takes what its own dialogs bring until they end.
type part struct {
	// Set when made, then constant.
	n      uint16 // from 1, in this process; the recording counts those before a restart too
	info   call.Info
	zero   time.Duration // of its first sample, on the engine's clock
	shift  int64         // samples from the call's first to the part's first
	stereo bool

	// Call.mu guards the fields below.
	rec     *recorder.Recording // nil: not recorded
	recErr  error               // why not
	dialogs []string            // SIP Call-IDs
	legs    int                 // that it has, those that are being made too
	windows []*window
	over    bool       // it takes no leg any more
	cause   call.Cause // of its newest leg that ended
	hears   bool       // words may come
}

// seat gives the part that an INVITE's leg belongs to, and makes it where no part has a place for it. The caller holds the
// call.
func (c *Call) seat(p plan) *part {
	// Two INVITEs of a new plan come at once, and want one part: the second waits for the first one's disk.
	c.parting.Lock()
	defer c.parting.Unlock()
	c.mu.Lock()
	for _, pt := range slices.Backward(c.parts) {
		if c.takesLocked(pt, p) {
			pt.legs++
			c.mu.Unlock()
			return pt
		}
	}
	stay := slices.DeleteFunc(slices.Clone(c.legs), func(l *leg) bool { return !l.expectedLocked(p.info.Expected) })
	c.mu.Unlock()
	from := c.e.engine.Now()
	for _, l := range stay {
		from = min(from, l.reached())
	}
	pt := c.begin(p.info, from, 1)
	for _, l := range stay {
		l.moveTo(pt, nil)
	}
	return pt
}

// begin opens a part for what info expects, from a time on, and ends the one before as soon as that has no leg. It is called
// with c.parting held, or before anybody else knows the call.
func (c *Call) begin(info call.Info, from time.Duration, legs int) *part {
	zero := c.timeline.Zero()
	shift := max(0, int64((from-zero)/sampleTime))
	pt := &part{shift: shift, zero: zero + time.Duration(shift)*sampleTime, stereo: len(info.Expected) >= 2, legs: legs}
	c.mu.Lock()
	pt.n = uint16(len(c.parts) + 1) //nolint:gosec // at most maxTracks
	info.ID, info.Sessions, info.SIPCallIDs, info.Masked = c.id, slices.Clone(c.info.Sessions), nil, c.info.Masked
	c.mu.Unlock()
	info.Started = c.e.engine.Wall(pt.zero)
	pt.info = info
	c.record(pt)
	if rec, _ := c.recording(pt); rec != nil {
		pt.info.Part = rec.Result().Part
	} else {
		pt.info.Part = int(pt.n)
	}
	if pt.info.Masked == "" { // else there is nothing to stream
		c.stream(pt)
	}
	if c.e.cfg.Sink != nil {
		if s := c.e.cfg.Sink(pt.info); s != nil {
			c.attach(pt, newWindow(pt.n, pt.shift, s))
		}
	}
	c.mu.Lock()
	before := slices.Clone(c.parts)
	c.parts = append(c.parts, pt)
	c.mu.Unlock()
	if len(before) > 0 {
		c.follows(pt, before[len(before)-1])
	}
	for _, o := range before {
		c.retire(o)
	}
	return pt
}

// stream opens the part's streams.
func (c *Call) stream(pt *part) {
	live := newWindow(pt.n, pt.shift, nil)
	c.mu.Lock()
	pt.hears = true
	c.mu.Unlock()
	if rec, _ := c.recording(pt); rec != nil {
		rec.AwaitWords()
	}
	live.sink = c.e.hub.Open(pt.info, stream.Options{Archive: c.archive(pt), Ended: func() { c.endWords(pt) }, Notify: func(ev call.Event) {
		switch ev.Type {
		case call.EventTranscript:
			c.hear(pt, live, ev)
			return
		case call.EventTranscriptRevoked:
			ev = c.unhear(pt, live, ev)
		}
		if ev.Track != 0 {
			ev.Track = live.global(ev.Track)
		}
		c.timeline.Post(ev)
		if ev.Type == call.EventStreamStarted {
			name, _ := ev.Facts["consumer"].(string)
			c.e.Note(context.Background(), actStream, About{Call: c.id, Why: "consumer " + name})
		}
	}})
	c.attach(pt, live)
}

// follows tells the record that a part follows another, why, and what lies between them.
func (c *Call) follows(pt, before *part) {
	why := pt.because(before)
	facts := map[string]any{"part": pt.info.Part, "mode": pt.info.Mode, "streams": len(pt.info.Expected), "text": why}
	c.mu.Lock()
	if gap := int64((pt.zero - c.down) / sampleTime); c.down != 0 && gap > 0 {
		cause := c.cause
		if c.left {
			cause = call.Cause{Code: call.CodeAgentLeft, Text: "no monitored agent was in the call"}
		}
		facts["gap_samples"], facts["cause"], facts["gap_text"] = gap, string(cause.Code), cause.Text
	}
	c.mu.Unlock()
	c.post(call.Event{Type: call.EventPartStarted, Facts: facts})
	c.e.log.Info("part started", attr.Call(c.id), "part", pt.info.Part, "mode", pt.info.Mode, attr.Reason(why))
}

// because says why a part follows another.
func (pt *part) because(before *part) string {
	switch {
	case before.stereo && !pt.stereo:
		return "the call comes in one stream, as when a third person joins"
	case !before.stereo && pt.stereo:
		return "the call comes in a stream for each party"
	}
	return "a dialog came whose channel is another party's"
}

// attach gives a window's sink what belongs to a part.
func (c *Call) attach(pt *part, w *window) {
	c.mu.Lock()
	pt.windows = append(pt.windows, w)
	over, cause := pt.over, pt.cause
	c.mu.Unlock()
	if over {
		w.finish(cause)
	}
	c.timeline.Attach(w)
}

// retire ends a part that has no leg and is not the newest one.
func (c *Call) retire(pt *part) {
	c.mu.Lock()
	over := !pt.over && pt.legs == 0 && pt != c.parts[len(c.parts)-1]
	pt.over = pt.over || over
	if over && pt.cause == (call.Cause{}) { // its legs go on elsewhere
		pt.cause = call.Cause{Code: call.CodeReplan, Text: fmt.Sprintf("its streams go on in part %d", c.parts[len(c.parts)-1].info.Part)}
	}
	windows, cause := slices.Clone(pt.windows), pt.cause
	c.mu.Unlock()
	if !over {
		return
	}
	for _, w := range windows {
		w.finish(cause)
	}
	c.post(call.Event{Type: call.EventPartEnded, Facts: map[string]any{"part": pt.info.Part}}) // and so the windows look
}

// takesLocked tells whether an INVITE's streams have a place in a part: its channels are as many, and nobody else's voice
// is on them.
func (c *Call) takesLocked(pt *part, p plan) bool {
	if pt.over || len(p.info.Expected) >= 2 && !pt.stereo || len(p.parties) > 1 && !pt.stereo {
		return false
	}
	var others []call.Party
	for _, l := range c.legs {
		if l.part == pt {
			others = append(others, l.parties...)
		}
	}
	for _, party := range p.parties {
		if !pt.fits(party, others) {
			return false
		}
	}
	return true
}

// fits tells whether a party has a channel in the part, beside those that are on the line.
func (pt *part) fits(party call.Party, others []call.Party) bool {
	if !pt.stereo {
		if slices.ContainsFunc(others, func(o call.Party) bool { return o.ID != party.ID }) {
			return false
		}
		return !sided(party) || slices.ContainsFunc(pt.info.Expected, func(e call.Party) bool { return e.ID == party.ID })
	}
	role := party.Role
	for _, e := range pt.info.Expected {
		if role == call.RoleUnknown && party.ID != "" && e.ID == party.ID {
			role = e.Role
		}
	}
	if role == call.RoleMix {
		return false
	}
	taken := 0
	for _, o := range others {
		if o.ID == party.ID && o.ID != "" {
			continue // it comes anew, before its old dialog's end was noticed
		}
		if taken++; o.Role == role && role != call.RoleUnknown {
			return false
		}
	}
	return taken < 2
}

// dialog notes a dialog of the part; Call.mu is held.
func (pt *part) dialog(id string) {
	if !slices.Contains(pt.dialogs, id) {
		pt.dialogs = append(pt.dialogs, id)
	}
}

// sided tells whether a party is one side of the conversation.
func sided(p call.Party) bool { return p.Role == call.RoleCustomer || p.Role == call.RoleAgent }

// diskHint is what to do when a recording can't be opened.
const diskHint = "look at record.dir: free space, permissions, the disk itself"

// record attaches a part's recording. A disk that can't take it costs the recording, not the call: streams and sinks still
// hear it, and run tries again.
func (c *Call) record(pt *part) {
	if c.e.store == nil {
		return
	}
	info := c.describe(pt)
	info.Masks = c.heldBack()
	rec, err := c.e.store.Open(info, recorder.Anchor{Wall: info.Started, Mono: pt.zero})
	if err == nil {
		rec.AwaitWords() // before somebody knows it, who may say that none comes any more
	}
	c.mu.Lock()
	pt.rec, pt.recErr = rec, err
	hears := pt.hears
	c.mu.Unlock()
	if err == nil && !hears {
		rec.EndWords()
	}
	if err != nil {
		c.e.log.Error("call not recorded", attr.Call(c.id), attr.Err(err), "hint", diskHint)
		return
	}
	c.attach(pt, newWindow(pt.n, pt.shift, rec))
}

// recording gives a part's recording, or why there is none.
func (c *Call) recording(pt *part) (*recorder.Recording, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return pt.rec, pt.recErr
}

// recordAgain tries again what the disk did not take.
func (c *Call) recordAgain() {
	for _, pt := range c.allParts() {
		if _, err := c.recording(pt); err != nil {
			c.record(pt)
		}
	}
}

// sealed waits until parts that have ended are sealed, and gives what became of them.
func (c *Call) sealed(parts []*part) (states []string) {
	for _, pt := range parts {
		switch rec, err := c.recording(pt); {
		case rec != nil:
			<-rec.Sealed()
			states = append(states, string(rec.Result().State))
		case err != nil:
			states = append(states, unrecorded)
		}
	}
	return states
}

// allParts lists the call's parts, the first one first.
func (c *Call) allParts() []*part {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.parts)
}

// newest is the part that the call is in.
func (c *Call) newest() *part {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.parts[len(c.parts)-1]
}

// describe gives what is known of a part.
func (c *Call) describe(pt *part) call.Info {
	c.mu.Lock()
	defer c.mu.Unlock()
	info := pt.info
	info.Earlier, info.Masked, info.Consent = slices.Clone(c.info.Earlier), c.info.Masked, c.info.Consent
	info.Sessions, info.SIPCallIDs = slices.Clone(c.info.Sessions), slices.Clone(pt.dialogs)
	return info
}

// tell brings the recordings up to what is known of the call.
func (c *Call) tell() {
	for _, pt := range c.allParts() {
		if rec, _ := c.recording(pt); rec != nil {
			rec.Update(c.describe(pt))
		}
	}
}
