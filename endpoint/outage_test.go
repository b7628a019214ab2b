package endpoint_test

import (
	"testing"
	"time"

	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
)

// noticedWithin is how soon after a BYE that was lost in an outage its call must have ended.
const noticedWithin = 10 * time.Second

// TestByeInAnOutageIsNoticed: the customer hangs up while nobody reaches the proxy; the other call goes on.
func TestByeInAnOutageIsNoticed(t *testing.T) {
	for _, gone := range []time.Duration{500 * time.Millisecond, 3 * time.Second} {
		t.Run(gone.String(), func(t *testing.T) {
			dir := t.TempDir()
			sim := ringsim.Start(t, ringsim.Config{Limits: ringsim.Limits{Off: true}})
			ep, stop := listening(t, sim, "tls", "party", dir)
			var calls []*ringsim.Call
			for _, agent := range []string{"108", "109"} {
				c, err := sim.StartCall(ringsim.CallSpec{Agent: agent})
				if err != nil {
					t.Fatal(err)
				}
				if err := c.WaitSupervised(t.Context()); err != nil {
					t.Fatal(err)
				}
				calls = append(calls, c)
			}
			oracle.Eventually(t, 10*time.Second, "a second of both calls", func() bool {
				n := 0
				for _, c := range ep.Status().Calls {
					for _, k := range c.Tracks {
						if k.Seconds > 1 {
							n++
						}
					}
				}
				return n == 4
			})
			inject(t, sim, ringsim.Fault{Kind: ringsim.FaultProxyGone, For: gone})
			calls[0].Hangup() // there is no flow for its BYEs
			<-calls[0].Done()
			since := time.Now()
			oracle.Eventually(t, noticedWithin, "the end of the call whose BYE was lost", func() bool { return len(ep.Status().Calls) == 1 })
			t.Logf("noticed after %v, %v of them without a proxy", time.Since(since).Round(time.Millisecond), gone)
			calls[1].Hangup()
			<-calls[1].Done()
			oracle.Eventually(t, 10*time.Second, "the end of the other", func() bool { return len(ep.Status().Calls) == 0 })
			stop()
			for _, c := range calls {
				r, ok := oracle.ByCall(t, dir)[c.SessionID()]
				if !ok || r.State != "recorded" || r.Cause != "hangup" {
					t.Errorf("recording: %v, %s, cause %s; want one that was hung up", ok, r.State, r.Cause)
				}
				oracle.CompareCall(t, c, r)
			}
		})
	}
}
