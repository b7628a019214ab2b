package acceptance

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
	"github.com/earshot/earshot/internal/ringsim/trunk"
)

// quick are flags that make a test short: presence is looked at all the time.
const quick = "--set=supervise.poll=200ms"

// ringCentral is a strict RingCentral without rate limits.
func ringCentral(t *testing.T, agents int) *ringsim.Sim {
	t.Helper()
	return ringsim.Start(t, ringsim.Config{
		Agents: agents, Limits: ringsim.Unlimited, Trunk: func(c *trunk.Config) { c.Strict = true },
	})
}

// apartSamples is how far a call's parties may be apart: 10 ms, because other processes keep the simulator from sending in
// time. Endpoint's tests hold 2 ms.
const apartSamples = 80

// agent is the extension number of the i-th agent.
func agent(i int) string { return fmt.Sprint(ringsim.FirstAgentNumber + i) }

// law takes turns.
func law(i int) trunk.Law { return []trunk.Law{trunk.PCMU, trunk.PCMA}[i%2] }

// begin starts n calls, an agent each.
func begin(t *testing.T, sim *ringsim.Sim, n int, spec func(i int) ringsim.CallSpec) []*ringsim.Call {
	t.Helper()
	calls := make([]*ringsim.Call, n)
	for i := range calls {
		s := spec(i)
		s.Agent = agent(i)
		c, err := sim.StartCall(s)
		if err != nil {
			t.Fatal(err)
		}
		calls[i] = c
	}
	return calls
}

// supervised waits until every call is heard as a whole.
func supervised(t *testing.T, calls []*ringsim.Call) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, c := range calls {
		if err := c.WaitSupervised(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// said waits until every stream has sent so much.
func said(t *testing.T, calls []*ringsim.Call, audio time.Duration) {
	t.Helper()
	supervised(t, calls)
	for _, c := range calls {
		for _, s := range c.Streams() {
			heard(t, s, audio)
		}
	}
}

// heard waits until a stream has sent so much.
func heard(t *testing.T, s ringsim.Stream, audio time.Duration) {
	t.Helper()
	oracle.Eventually(t, audio+10*time.Second, fmt.Sprintf("%v of %s sent", audio, s.Role), func() bool {
		sent := s.Sent()
		return len(sent) > 0 && sent[len(sent)-1].At.Sub(sent[0].At) >= audio
	})
}

// hangUp ends the calls, and waits until all their dialogs have ended.
func hangUp(t *testing.T, calls []*ringsim.Call) {
	t.Helper()
	for _, c := range calls {
		c.Hangup()
	}
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	for _, c := range calls {
		select {
		case <-c.Done():
		case <-limit.C:
			t.Fatalf("call %s: not over 20 s after hanging up", c.SessionID())
		}
	}
}

// compareAll holds the daemon's recordings against the calls, one each.
func compareAll(t *testing.T, d daemon, calls []*ringsim.Call) {
	t.Helper()
	rec := oracle.ByCall(t, d.dir)
	if len(rec) != len(calls) {
		t.Errorf("%d recordings, want %d", len(rec), len(calls))
	}
	for _, c := range calls {
		r, ok := rec[c.SessionID()]
		if !ok {
			t.Errorf("call %s (%s): no recording", c.SessionID(), c.Form())
			continue
		}
		if r.State != "recorded" {
			t.Errorf("call %s (%s): state %s, cause %s, want recorded", c.SessionID(), c.Form(), r.State, r.Cause)
		}
		oracle.Compare(t, "call "+c.SessionID(), c.Streams(), r, oracle.Limits{ApartSamples: apartSamples})
	}
}
