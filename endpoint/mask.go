package endpoint

import (
	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

// byHook: the policy's hook wants the audio held back.
const byHook = "hook"

// maskedBy says on whose word the audio of the session's call is held back; empty: it is not.
func (r *ear) maskedBy(session string) string {
	if r.sup != nil && session != "" && r.sup.Masked(session) {
		return byHook
	}
	return ""
}

// mask holds the audio of a call back from now on, for good.
func (c *Call) mask(by string) {
	c.mu.Lock()
	if c.info.Masked != "" {
		c.mu.Unlock()
		return
	}
	c.info.Masked = by
	info, rec := c.info, c.rec
	c.mu.Unlock()
	if rec != nil {
		rec.Update(info)
	}
	c.timeline.Valve(media.ValveMasked, max(c.timeline.Zero(), 1)) // back as far as it can be taken
	c.post(call.Event{Type: call.EventCallMasked, Facts: map[string]any{"masked": by}})
}
