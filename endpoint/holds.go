package endpoint

import (
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

// holdBack has a holder hold back the call's audio from a time on (on the engine's clock; 0 is now), and notes it for the parts and
// for status. The answer is media.Timeline.Hold's.
func (c *Call) holdBack(h media.Holder, from time.Duration, why string) <-chan media.Applied {
	c.noteHeld(h, from, why)
	return c.timeline.Hold(h, from, why)
}

// noteHeld notes that a holder holds.
func (c *Call) noteHeld(h media.Holder, from time.Duration, why string) {
	since := time.Now().UTC()
	if from > 0 {
		since = c.e.engine.Wall(from)
	}
	c.mu.Lock()
	was, on := c.holds[h]
	if !on || since.Before(was.From) {
		c.holds[h] = call.Mask{By: h.String(), Why: why, From: since}
	}
	c.mu.Unlock()
	if !on {
		c.e.masks.mask(h)
	}
}

// letOut ends what a holder holds.
func (c *Call) letOut(h media.Holder) <-chan media.Applied {
	c.mu.Lock()
	_, on := c.holds[h]
	delete(c.holds, h)
	c.mu.Unlock()
	if on {
		c.e.masks.unmask(h)
	}
	return c.timeline.Release(h)
}

// heldBack lists the masks that last, the oldest first.
func (c *Call) heldBack() []call.Mask {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]call.Mask, 0, len(c.holds))
	for _, m := range c.holds {
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b call.Mask) int {
		if a.From.Equal(b.From) {
			return strings.Compare(a.By, b.By)
		}
		return a.From.Compare(b.From)
	})
	return out
}

// byWhom names who holds back the call's audio; empty: nobody does.
func byWhom(masks []call.Mask) string {
	var by []string
	for _, m := range masks {
		by = append(by, m.By)
	}
	return strings.Join(by, ",")
}

// heed masks the call while it is on hold, where that is wanted: a line that the far side holds, or an agent whom RingCentral shows so.
func (c *Call) heed() {
	if !c.e.cfg.MaskHolds {
		return
	}
	c.heeding.Lock()
	defer c.heeding.Unlock()
	on := len(c.heldLines()) > 0 || c.mode != "" && slices.ContainsFunc(c.description().Sessions, c.ear.sup.Held)
	c.mu.Lock()
	_, was := c.holds[media.HolderHold]
	c.mu.Unlock()
	switch {
	case on && !was:
		c.holdBack(media.HolderHold, 0, "on hold")
	case !on && was:
		c.letOut(media.HolderHold)
	}
}
