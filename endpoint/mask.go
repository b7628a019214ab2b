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
	c.mu.Unlock()
	c.tell()
	c.shut(by)
	c.tellShut()
}

// shut closes the call's valve from its first sample on, or, where audio has gone out, from as far back as that can be taken. It is
// called before the first track is open, so that of a call which is masked from the start nobody gets a sample. Empty: it stays open.
func (c *Call) shut(by string) {
	if by != "" {
		c.holdBack(media.HolderHook, max(c.timeline.Zero(), 1), "") // 0 would mean now
	}
}

// tellShut tells the record that the call is masked for good.
func (c *Call) tellShut() {
	if by := c.description().Masked; by != "" {
		c.post(call.Event{Type: call.EventCallMasked, Facts: map[string]any{"masked": by}})
	}
}
