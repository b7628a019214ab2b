package endpoint_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
)

// Hold, resume, a transfer and its answer, whatever becomes of the events that tell of them.
func TestDisorderOfEventsCostsNoCallAndNoRequest(t *testing.T) {
	worlds := newCrowd(t)
	defer worlds.wg.Wait()
	for name, feed := range map[string]ringsim.Feed{
		"in order":           {},
		"out of order":       {Reorder: 0.5},
		"twice":              {Duplicate: 0.5},
		"by several filters": {Overlap: true, Duplicate: 0.2, Reorder: 0.2},
		"late":               {Delay: 700 * time.Millisecond, Reorder: 0.3},
		"lost now and then":  {Loss: 0.3, Reorder: 0.3},
	} {
		worlds.run(name, func(t *testing.T) {
			dir := t.TempDir()
			cfg := ringsim.Config{Limits: plenty}
			cfg.Switches.InviteDelay, cfg.Switches.RefuseTwice, cfg.Switches.Feed = -1, true, feed
			sim := ringsim.Start(t, cfg)
			ep, stop := listeningNotReady(t, sim, "udp", "party", dir, 3*time.Second)
			oracle.Eventually(t, faultTime, "registered, logged in and subscribed", func() bool { return ep.Ready() && sim.Subscribers() == 1 })
			c := ringing(t, sim, "108")
			c.Answer()
			oracle.Eventually(t, faultTime, "heard", func() bool { return heardSince(c, time.Time{}) })
			c.Hold()
			c.Resume()
			held := time.Now()
			oracle.Eventually(t, faultTime, "heard after the hold", func() bool { return heardSince(c, held) })
			if n := sim.Requested("POST", partySupervise); n != 2 {
				t.Errorf("%d requests to supervise until the transfer, want 2", n)
			}
			if err := c.TransferBlind("109"); err != nil {
				t.Fatal(err)
			}
			c.Answer()
			moved := time.Now()
			oracle.Eventually(t, faultTime, "heard after the transfer", func() bool { return heardSince(c, moved) })
			c.Hangup()
			oracle.Eventually(t, faultTime, "the end of the call", func() bool { return closed(c.Done()) })
			stop()
			for _, r := range sim.Requests() {
				if r.Pattern == partySupervise && r.Status == http.StatusConflict {
					t.Errorf("%d requests for a party that was asked for already, or was not there", r.Count)
				}
			}
			compareParts(t, c, dir)
			endsAreNamed(t, dir)
		})
	}
}
