package endpoint

import (
	"sync/atomic"
	"time"

	"github.com/earshot/earshot/media"
)

// maskCounts counts masks by holder, since the start.
type maskCounts struct {
	begun, over [media.HolderConsent + 1]atomic.Int64
}

func (m *maskCounts) mask(h media.Holder)   { m.begun[h].Add(1) }
func (m *maskCounts) unmask(h media.Holder) { m.over[h].Add(1) }

// figures gives them by the holder's name.
func (m *maskCounts) figures() (begun, over map[string]int64) {
	begun, over = map[string]int64{}, map[string]int64{}
	for h := media.HolderPCI; h <= media.HolderConsent; h++ {
		begun[h.String()], over[h.String()] = m.begun[h].Load(), m.over[h].Load()
	}
	return begun, over
}

// MaskStatus is one word that holds a call's audio back.
type MaskStatus struct {
	By    string    `json:"by"` // pci, hook, hold, consent
	Why   string    `json:"why,omitempty"`
	Since time.Time `json:"since"`
	Until time.Time `json:"until,omitzero"` // it ends by itself; zero: it does not
}

// masks says who holds the call's audio back.
func (c *Call) masks() (out []MaskStatus) {
	for _, m := range c.heldBack() {
		s := MaskStatus{By: m.By, Why: m.Why, Since: m.From}
		if m.By == media.HolderPCI.String() {
			c.mu.Lock()
			s.Until = c.pci.until
			c.mu.Unlock()
		}
		out = append(out, s)
	}
	return out
}
