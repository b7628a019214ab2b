package endpoint_test

import (
	"slices"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
)

func TestAnsweredCallIsHeardByItsEvent(t *testing.T) {
	dir := t.TempDir()
	sim := ringsim.Start(t, ringsim.Config{Switches: ringsim.Switches{InviteDelay: -1, Feed: ringsim.Feed{Delay: -1}}})
	ep, stop := listening(t, sim, "udp", "party", dir)
	oracle.Eventually(t, 10*time.Second, "a feed", func() bool { return sim.Subscribers() == 1 })
	looks := sim.Requested("GET", "/restapi/v1.0/account/{account}/presence")
	c, err := sim.StartCall(ringsim.CallSpec{Agent: "108", Ringing: true})
	if err != nil {
		t.Fatal(err)
	}
	answered := time.Now()
	c.Answer()
	if err := c.WaitSupervised(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("both parties' dialogs are up %v after the agent's answer", time.Since(answered))
	if n := sim.Requested("GET", "/restapi/v1.0/account/{account}/presence"); n > looks+1 {
		t.Errorf("presence was looked at %d times between answer and joining: the event alone should do", n-looks)
	}
	oracle.Eventually(t, 5*time.Second, "a second of audio", func() bool {
		st := ep.Status()
		return len(st.Calls) == 1 && len(st.Calls[0].Tracks) == 2 && st.Calls[0].Tracks[0].Seconds > 1
	})
	c.Hangup()
	<-c.Done()
	stop()
	oracle.CompareCall(t, c, oracle.ByCall(t, dir)[c.SessionID()])
}

func TestAttendedTransferIsFollowed(t *testing.T) {
	dir := t.TempDir()
	sim := ringsim.Start(t, ringsim.Config{Limits: ringsim.Limits{Light: 10000, Heavy: 10000}})
	ep, stop := listening(t, sim, "tls", "party", dir)
	c, err := sim.StartCall(ringsim.CallSpec{Agent: "108"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.WaitSupervised(t.Context()); err != nil {
		t.Fatal(err)
	}
	consult, err := c.Consult(ringsim.CallSpec{Peer: "109"})
	if err != nil {
		t.Fatal(err)
	}
	oracle.Eventually(t, 10*time.Second, "the consultation between colleagues is excused", func() bool {
		w := ep.Status().Waiting
		return len(w) == 1 && w[0].State == "excused"
	})
	if err := c.TransferAttended(consult); err != nil {
		t.Fatal(err)
	}
	if err := consult.WaitSupervised(t.Context()); err != nil {
		t.Fatal(err)
	}
	oracle.Eventually(t, 10*time.Second, "a second of the other agent's audio", func() bool {
		for _, s := range ep.Status().Calls {
			for _, k := range s.Tracks {
				if s.Agent == "109" && k.Seconds > 1 {
					return true
				}
			}
		}
		return false
	})
	consult.Hangup()
	<-consult.Done()
	oracle.Eventually(t, 10*time.Second, "no call left", func() bool { return len(ep.Status().Calls) == 0 })
	stop()
	for _, part := range []*ringsim.Call{c, consult} {
		found := false
		for _, r := range oracle.All(t, dir) {
			found = found || r.Call.ID == part.SessionID() || slices.Contains(r.Call.Sessions, part.SessionID())
		}
		if !found {
			t.Errorf("session %s: not recorded", part.SessionID())
		}
	}
}
