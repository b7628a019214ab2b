package endpoint_test

import (
	"testing"
	"time"

	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
)

// TestCallWhoseByesWereLostEnds: that RingCentral shows it no more and that nothing comes is the end of it.
func TestCallWhoseByesWereLostEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sim := ringsim.Start(t, ringsim.Config{Switches: ringsim.Switches{LoseByes: true}})
	ep, stop := listening(t, sim, "tls", "party", dir)
	c, err := sim.StartCall(ringsim.CallSpec{Agent: "108"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.WaitSupervised(t.Context()); err != nil {
		t.Fatal(err)
	}
	oracle.Eventually(t, 10*time.Second, "a second of audio", func() bool {
		st := ep.Status()
		return len(st.Calls) == 1 && len(st.Calls[0].Tracks) == 2 && st.Calls[0].Tracks[0].Seconds > 1
	})
	c.Hangup()
	<-c.Done()
	oracle.Eventually(t, 20*time.Second, "the call closed", func() bool { return len(ep.Status().Calls) == 0 })
	r, ok := oracle.ByCall(t, dir)[c.SessionID()]
	if !ok || r.State != "recorded" || r.Cause != "hangup" {
		t.Errorf("recording: %v, %s, cause %s, want one that was hung up", ok, r.State, r.Cause)
	}
	oracle.CompareCall(t, c, r)
	stop()
}
