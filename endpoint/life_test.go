package endpoint_test

import (
	"slices"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/ringsim"
)

func TestConferenceGoesOnAsANextPart(t *testing.T) {
	t.Parallel()
	for _, known := range []string{byAgents, byAccount} {
		t.Run(known, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, worldSpec{known: known})
			c := w.start(ringsim.CallSpec{Agent: "108"})
			w.talk(c, time.Second)
			third, err := c.AddParty(ringsim.PartySpec{Number: "+14155550123"})
			w.must(err)
			w.until("a second of the three", func() bool { return w.tracks("mix", 1) == 1 })
			w.must(c.DropParty(third)) // the two that are left go on as they are
			w.talk(c, time.Second)
			w.hangUp(c)
			got := w.one(2, c)
			if !slices.Equal(got[0].Channels, []string{"customer", "agent"}) || !slices.Equal(got[1].Channels, []string{"mix"}) {
				t.Errorf("channels: got %v and %v", got[0].Channels, got[1].Channels)
			}
			for _, r := range got {
				if r.State != "recorded" {
					t.Errorf("part %d: got %s (%s), want recorded: all that came is there", r.Part, r.State, r.Cause)
				}
			}
		})
	}
}
