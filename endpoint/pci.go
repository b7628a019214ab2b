package endpoint

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/attr"
	"github.com/earshot/earshot/internal/who"
	"github.com/earshot/earshot/media"
)

const (
	// defaultMaskMax is how long a mask lasts at most, unless configured.
	defaultMaskMax = 10 * time.Minute
	// maskWithin is how long the media engine may take to turn a valve: a sweep, on a machine that stands still.
	maskWithin = 5 * time.Second
	// maxPresses bounds the triggers of a call that wait to be looked at.
	maxPresses = 16
)

// MaskRequest says what is to be masked: what was captured from so long ago on, for so long.
type MaskRequest struct {
	Back time.Duration // how far back; 0: from now on
	For  time.Duration // 0: until Unmask, Config.MaskMax at most
}

// ErrBadMask is what Mask returns, wrapped, for what can't be.
var ErrBadMask = errors.New("bad mask")

// Masked is what became of a mask.
type Masked struct {
	Call   string `json:"call"`
	Agent  string `json:"agent,omitempty"`
	Masked bool   `json:"masked"` // whoever holds the audio back
	By     string `json:"by,omitempty"`
	// From is the moment from which the mask holds, or from which audio goes out again: Pos is its index in the audio of Dir.
	From time.Time `json:"from"`
	Pos  int64     `json:"pos"`
	Dir  string    `json:"dir,omitempty"`
	// CutShort: it does not reach back as far as asked for; what lies before had been given away for good.
	CutShort bool      `json:"cut_short,omitempty"`
	Asked    time.Time `json:"asked,omitzero"`
	Until    time.Time `json:"until,omitzero"` // it ends by itself
	// Changed: it was not so before.
	Changed bool `json:"changed"`
	// NotDurable says why a restart would not know of it; empty: it does.
	NotDurable string `json:"not_durable,omitempty"`
}

// pciMask is the mask that people set; Call.masking guards it.
type pciMask struct {
	page    maskPage
	on      bool
	presses []press   // Call.mu guards it, as the next
	until   time.Time // when it ends by itself, for status
}

// press is a trigger that an agent dialled.
type press struct {
	on bool
	at time.Duration
}

// Mask holds back the audio of a call, by its id or its agent's extension number, or of the only one. The answer comes when it holds, and when
// a restart would know of it. Who asks, and why, the context says (package who). ErrNoCall: there is no such call.
func (e *Endpoint) Mask(ctx context.Context, id, agent string, req MaskRequest) (Masked, error) {
	switch {
	case req.Back < 0 || req.For < 0:
		return Masked{}, fmt.Errorf("%w: back %v, for %v: want no negative time", ErrBadMask, req.Back, req.For)
	case req.For > e.cfg.MaskMax:
		return Masked{}, fmt.Errorf("%w: for %v: want %v at most (record.mask.max)", ErrBadMask, req.For, e.cfg.MaskMax)
	}
	if h := e.elsewhere(id, agent); h != nil {
		return e.maskElsewhere(ctx, h, req)
	}
	c, err := e.here(id, agent)
	if err != nil {
		return Masked{}, err
	}
	return c.setMask(ctx, max(e.engine.Now()-req.Back, c.timeline.Zero(), 1), req.For)
}

// Unmask ends what Mask began; audio goes out again if nobody else holds it back.
func (e *Endpoint) Unmask(ctx context.Context, id, agent string) (Masked, error) {
	if h := e.elsewhere(id, agent); h != nil {
		return e.unmaskElsewhere(ctx, h)
	}
	c, err := e.here(id, agent)
	if err != nil {
		return Masked{}, err
	}
	return c.endMask(ctx)
}

// here finds a live call.
func (e *Endpoint) here(id, agent string) (*Call, error) {
	if c := e.ofSession(id); id != "" && c != nil {
		return c, nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	c, err := e.pickLocked(id, agent)
	if c == nil && err == nil {
		err = fmt.Errorf("no call is live: %w", ErrNoCall)
		if agent != "" {
			err = fmt.Errorf("agent %s: %w", agent, ErrNoCall)
		}
	}
	return c, err
}

// setMask masks the call from a time on, or has its mask last longer.
func (c *Call) setMask(ctx context.Context, from, long time.Duration) (Masked, error) {
	c.masking.Lock()
	defer c.masking.Unlock()
	why := who.Why(ctx)
	applied, err := answered(ctx, c.holdBack(media.HolderPCI, from, why)) // at once: the disk may be slow
	if err != nil {
		return Masked{}, fmt.Errorf("mask %s: %w", c.id, err)
	}
	if long == 0 {
		long = c.e.cfg.MaskMax
	}
	now, since := time.Now().UTC(), c.e.engine.Wall(applied.From)
	was := c.pci.page.on(now)
	if was != nil && c.pci.on {
		was.Until = later(was.Until, now.Add(long))
		was.From = earlier(was.From, since)
	} else {
		c.pci.page.Masks = append(c.pci.page.Masks, maskLine{From: since, Until: now.Add(long), Why: why, Who: who.From(ctx), Applied: since})
	}
	out := c.answer(applied, !c.pci.on)
	c.pci.on = true
	out.Until = c.pci.page.on(now).Until
	if out.Asked = c.e.engine.Wall(from); applied.From > from {
		out.CutShort = true
	}
	if err := c.keepMask(now); err != nil {
		out.NotDurable = err.Error()
	}
	c.e.Note(ctx, actMask, About{Call: c.id})
	c.e.log.Info("call masked", attr.Call(c.id), "from", out.From, "until", out.Until, "cut_short", out.CutShort)
	return out, nil
}

// endMask ends the call's mask.
func (c *Call) endMask(ctx context.Context) (Masked, error) {
	c.masking.Lock()
	defer c.masking.Unlock()
	was := c.pci.on
	if now := time.Now().UTC(); was {
		if m := c.pci.page.on(now); m != nil {
			m.To = now
		}
		if err := c.keepMask(now); err != nil { // it comes back masked then, which hurts less than a mask that can't end
			c.e.log.Warn("end of mask not written", attr.Call(c.id), attr.Err(err))
		}
	}
	c.pci.on = false
	applied, err := answered(ctx, c.letOut(media.HolderPCI))
	if err != nil {
		return Masked{}, fmt.Errorf("unmask %s: %w", c.id, err)
	}
	if was {
		c.e.Note(ctx, actUnmask, About{Call: c.id})
		c.e.log.Info("call unmasked", attr.Call(c.id))
	}
	return c.answer(applied, was), nil
}

// answered waits for the valve.
func answered(ctx context.Context, reply <-chan media.Applied) (media.Applied, error) {
	t := time.NewTimer(maskWithin)
	defer t.Stop()
	select {
	case a, ok := <-reply:
		if !ok {
			return a, fmt.Errorf("it has just ended: %w", ErrNoCall)
		}
		return a, nil
	case <-ctx.Done():
		return media.Applied{}, context.Cause(ctx)
	case <-t.C:
		return media.Applied{}, errors.New("the media engine does not answer; the valve is turned as soon as it does")
	}
}

// answer says where the valve stands.
func (c *Call) answer(a media.Applied, changed bool) Masked {
	pt, masks := c.newest(), c.heldBack()
	out := Masked{
		Call: c.id, Agent: c.who(), Masked: len(masks) > 0, By: byWhom(masks), From: c.e.engine.Wall(a.From),
		Pos: max(0, int64((a.From-pt.zero)/sampleTime)), Changed: changed,
	}
	if rec, _ := c.recording(pt); rec != nil {
		out.Dir = rec.Result().Dir
	}
	return out
}

// keepMask makes the call's masks durable.
func (c *Call) keepMask(now time.Time) error {
	p := &c.pci.page
	c.mu.Lock()
	c.pci.until = time.Time{}
	if m := p.on(now); m != nil {
		c.pci.until = m.Until
	}
	c.mu.Unlock()
	p.Call, p.Sessions = c.id, c.description().Sessions
	p.trim(now)
	err := c.e.book.write(*p, now)
	if err != nil {
		c.e.log.Error("mask not durable", attr.Call(c.id), attr.Err(err), "hint", diskHint)
	}
	return err
}

// inherit masks the call if it, or what it goes on from, was masked and is still to be: after a restart, a hand-over, a re-join, a transfer. It is
// called before the call's first track is open. What can't be read is told, and nothing else: whose mask it was nobody knows.
func (c *Call) inherit(ids ...string) {
	found, err := c.e.book.find(ids)
	if err != nil {
		c.e.log.Error("masks of earlier processes not read", attr.Call(c.id), attr.Err(err), "hint", diskHint)
	}
	now := time.Now().UTC()
	c.masking.Lock()
	defer c.masking.Unlock()
	for _, p := range found {
		if p.Call == c.id && len(c.pci.page.Masks) == 0 {
			c.pci.page.Masks = p.Masks
		}
		m := p.on(now)
		if m == nil {
			continue
		}
		if mine := c.pci.page.on(now); p.Call != c.id && mine == nil {
			c.pci.page.Masks = append(c.pci.page.Masks, *m)
		} else if mine != nil {
			mine.Until = later(mine.Until, m.Until)
		}
		if !c.pci.on {
			c.pci.on = true
			c.holdBack(media.HolderPCI, max(c.timeline.Zero(), 1), m.Why)
			c.e.log.Info("call comes back masked", attr.Call(c.id), "until", m.Until)
		}
		_ = c.keepMask(now) // told there
	}
}

// follow has the mask of a call follow it into a further session.
func (c *Call) follow() {
	c.masking.Lock()
	defer c.masking.Unlock()
	if len(c.pci.page.Masks) > 0 {
		_ = c.keepMask(time.Now().UTC()) // told there
	}
}

// endMaskInTime ends a mask whose time is over, loudly.
func (c *Call) endMaskInTime(ctx context.Context, now time.Time) {
	c.masking.Lock()
	over := c.pci.on && c.pci.page.on(now) == nil
	c.masking.Unlock()
	if !over {
		return
	}
	c.post(call.Event{Type: call.EventMaskOver, Facts: map[string]any{"by": media.HolderPCI.String()}})
	c.e.log.Warn("mask ended by itself: audio goes out again", attr.Call(c.id), "hint", "nobody unmasked the call in time: see docs/masking.md")
	if _, err := c.endMask(who.Because(ctx, "its time was over")); err != nil {
		c.e.log.Error("mask not ended", attr.Call(c.id), attr.Err(err))
	}
}

// Dialled notes that an agent dialled a trigger; see media.Dialled.
func (e *Endpoint) Dialled(id string, on bool, at time.Duration) {
	e.mu.Lock()
	c := e.calls[id]
	e.mu.Unlock()
	if c == nil {
		return
	}
	c.mu.Lock()
	if n := len(c.pci.presses); n < maxPresses {
		c.pci.presses = append(c.pci.presses, press{on, at})
	} else if on {
		c.pci.presses[n-1] = press{on, at}
	}
	c.mu.Unlock()
	c.wake()
}

// heedKeys does what an agent dialled.
func (c *Call) heedKeys(ctx context.Context) {
	c.mu.Lock()
	presses := c.pci.presses
	c.pci.presses = nil
	c.mu.Unlock()
	ctx = who.Because(who.With(context.WithoutCancel(ctx), "agent "+c.who()+" of the call"), media.WhyDialled)
	for _, p := range presses {
		var err error
		if p.on {
			_, err = c.setMask(ctx, p.at, 0)
		} else {
			_, err = c.endMask(ctx)
		}
		if err != nil && !errors.Is(err, ErrNoCall) {
			c.e.log.Error("dialled trigger not heeded", attr.Call(c.id), attr.Err(err))
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
