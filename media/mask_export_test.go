package media

import "time"

// Line is the hall's timeline.
func (h *Hall) Line() *Timeline { return h.line }

// Now is the hall's time.
func (h *Hall) Now() time.Duration { return h.now }

// Begin has sample 0 lie at a time: streams take 0 for not known.
func (h *Hall) Begin(at time.Duration) *Hall {
	h.line.live.zero = at
	return h
}
