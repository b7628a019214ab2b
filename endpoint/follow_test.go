package endpoint_test

import (
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
	looks := sim.Requested("GET", "/restapi/v1.0/account/{accountId}/presence")
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
	if n := sim.Requested("GET", "/restapi/v1.0/account/{accountId}/presence"); n > looks+1 {
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

func TestAttendedTransferStaysOneCall(t *testing.T) {
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
	if err := c.TransferAttended(consult); err != nil {
		t.Fatal(err)
	}
	oracle.Eventually(t, 15*time.Second, "the call goes on under its own name, with legs of the new session", func() bool {
		for _, s := range ep.Status().Calls {
			if s.ID == c.SessionID() && s.Legs == 2 && len(s.Tracks) >= 4 {
				return true
			}
		}
		return false
	})
	consult.Hangup()
	<-consult.Done()
	oracle.Eventually(t, 10*time.Second, "no call left", func() bool { return len(ep.Status().Calls) == 0 })
	stop()
	all := oracle.All(t, dir)
	if len(all) != 1 || len(all[0].Call.Sessions) != 2 || all[0].Call.ID != c.SessionID() {
		t.Fatalf("recordings: got %d, want one call of two sessions: %+v", len(all), all)
	}
}
