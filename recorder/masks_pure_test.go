package recorder

import (
	"testing"
	"time"

	"github.com/earshot/earshot/call"
)

// A mask that is ended within the sweep that began it ends at that sweep's time, which may lie before the moment from which it was to hold.
func TestAMaskIsNeverShorterThanNothing(t *testing.T) {
	began := time.Date(2026, 11, 23, 10, 15, 0, 0, time.UTC)
	from := began.Add(time.Second)
	for _, to := range []time.Time{from.Add(-12 * time.Millisecond), from} {
		m := masksIn([]call.Mask{{By: "pci", From: from, To: to}}, began, 80_000)
		if len(m) != 1 || m[0].Samples != 0 || m[0].Pos != 8000 || m[0].To.Before(m[0].From) {
			t.Errorf("to %v: got %+v", to, m)
		}
	}
}
