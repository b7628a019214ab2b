package bench

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// Streams is what consumers of a step had, and how long it was on its way to them.
type Streams struct {
	// InOrder are packets with none missing shortly before them, Behind those that come while a hole may be open: it is waited for (media's live wait).
	InOrder Delay `json:"in_order"`
	Behind  Delay `json:"behind_hole"`
	// LostSamples never came to a good consumer, WrongSamples are not those that were sent. Both must be 0.
	LostSamples  int64    `json:"lost_samples"`
	WrongSamples int64    `json:"wrong_samples"`
	Hostile      *Hostile `json:"hostile,omitempty"`
}

// Hostile is what good consumers had while others hung, crawled, reset their connections and flooded.
type Hostile struct {
	Seconds float64 `json:"seconds"`
	InOrder Delay   `json:"in_order"`
	Behind  Delay   `json:"behind_hole"`
	// Ratio is the p99 in order to that of the window before.
	Ratio float64 `json:"p99_ratio"`
	// Attacks are connections by conduct, FloodedBytes what was sent to us on them.
	Attacks      map[string]int64 `json:"attacks"`
	FloodedBytes int64            `json:"flooded_bytes"`
	// DroppedSamples and Restarts are of the hostile ones: what they did not take, and how often they were connected to again.
	DroppedSamples int64 `json:"dropped_samples"`
	Restarts       int64 `json:"restarts"`
	// The process's memory when it began, and the most of each second: resident, and live on the heap at a collection.
	RSSBefore  int64 `json:"rss_before_bytes"`
	RSSMost    int64 `json:"rss_most_bytes"`
	HeapBefore int64 `json:"heap_before_bytes"`
	HeapMost   int64 `json:"heap_most_bytes"`
}

// take works out what follows from what was heard, beside the window before.
func (x *Hostile) take(h heard, before Delay) {
	x.InOrder, x.Behind, x.FloodedBytes, x.Attacks = h.InOrder, h.Behind, h.Flooded, map[string]int64{}
	if before.P99 > 0 {
		x.Ratio = float64(x.InOrder.P99) / float64(before.P99)
	}
	for i, n := range h.Attacks {
		x.Attacks[conducts[i].name] = n
	}
}

// writeStreams writes the table of delays.
func (r *Result) writeStreams(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(t, "\ncalls\tdelay, ms\tpackets\tp50\tp99\tmost\tlost\twrong\t")
	ms := func(d time.Duration) string { return fmt.Sprintf("%.1f", inMillis(d)) }
	row := func(s *Step, what string, d Delay) {
		if d.Packets > 0 {
			_, _ = fmt.Fprintf(t, "%d\t%s\t%d\t%s\t%s\t%s\t%d\t%d\t\n", s.Calls, what, d.Packets, ms(d.P50), ms(d.P99), ms(d.Most), s.Streams.LostSamples, s.Streams.WrongSamples)
		}
	}
	for i := range r.Steps {
		s := &r.Steps[i]
		row(s, "in order", s.Streams.InOrder)
		row(s, "behind a hole", s.Streams.Behind)
		if x := s.Streams.Hostile; x != nil {
			row(s, "in order, half hostile", x.InOrder)
			row(s, "behind a hole, half hostile", x.Behind)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for i := range r.Steps {
		if x := r.Steps[i].Streams.Hostile; x != nil {
			if _, err := io.WriteString(w, x.text()); err != nil {
				return err
			}
		}
	}
	return nil
}

func (x *Hostile) text() string {
	var conns []string
	for _, c := range conducts {
		conns = append(conns, fmt.Sprintf("%s %d", c.name, x.Attacks[c.name]))
	}
	return fmt.Sprintf("hostile for %.0f s: p99 %.2f x that before; connections: %s; %d MiB sent to us; %.0f s of audio not taken, %d connections made anew; resident %d MiB before, %d at most; heap %d, %d\n",
		x.Seconds, x.Ratio, strings.Join(conns, ", "), x.FloodedBytes>>20, float64(x.DroppedSamples)/8000, x.Restarts, x.RSSBefore>>20, x.RSSMost>>20, x.HeapBefore>>20, x.HeapMost>>20)
}
