package recorder

import (
	"cmp"
	"slices"
	"time"

	"github.com/earshot/earshot/call"
)

// maxMasks bounds the masks that a manifest names: of more, the newest become one with the last of the same word.
const maxMasks = 1000

// Mask is a stretch whose audio was held back, and on whose word. Which samples of a track that were, its spans say: a word may begin or end
// while another holds.
type Mask struct {
	By   string     `json:"by"` // pci, hook, hold, consent
	Why  string     `json:"why,omitempty"`
	From time.Time  `json:"from"`
	To   *time.Time `json:"to,omitempty"` // absent: until the recording's end
	// Pos and Samples are where it lies in audio.wav.
	Pos     int64 `json:"pos"`
	Samples int64 `json:"samples"`
}

// mask takes what an event says of the valve.
func (n *notes) mask(e call.Event) {
	by, _ := e.Facts["by"].(string)
	why, _ := e.Facts["why"].(string)
	i := len(n.masks) - 1
	for i >= 0 && n.masks[i].By != by {
		i--
	}
	open := i >= 0 && n.masks[i].To.IsZero()
	switch {
	case e.Type == call.EventMaskOff && open:
		n.masks[i].To = e.Time
	case e.Type == call.EventMaskOff:
	case open: // it reaches further back
		if e.Time.Before(n.masks[i].From) {
			n.masks[i].From = e.Time
		}
	case i >= 0 && len(n.masks) >= maxMasks:
		n.masks[i].To = time.Time{}
	default:
		n.masks = append(n.masks, call.Mask{By: by, Why: why, From: e.Time})
	}
}

// masksIn gives masks as a manifest has them, of a recording of so many samples from a time on.
func masksIn(masks []call.Mask, started time.Time, samples int64) (out []Mask) {
	at := func(t time.Time) int64 { return min(samples, max(0, int64(t.Sub(started))*rate/int64(time.Second))) }
	for _, m := range masks {
		x := Mask{By: m.By, Why: m.Why, From: m.From.UTC(), Pos: at(m.From), Samples: samples}
		if !m.To.IsZero() {
			to := m.To.UTC()
			x.To, x.Samples = &to, at(to)
		}
		if x.Samples -= x.Pos; x.To != nil && !x.To.After(started) {
			continue // over before this part began
		}
		out = append(out, x)
	}
	slices.SortStableFunc(out, func(a, b Mask) int { return cmp.Compare(a.Pos, b.Pos) })
	return out
}
