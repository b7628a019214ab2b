package endpoint_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/ringsim"
)

// TestAnswerIsHeardByTwoRequestsInSequenceAtMost: with the account's feed the two POSTs and nothing else, with a filter for
// each agent one reading of the session before them. Nothing waits for a look at presence, which is an hour away.
func TestAnswerIsHeardByTwoRequestsInSequenceAtMost(t *testing.T) {
	const calls = 10
	for name, tc := range map[string]struct{ agents, reads int }{
		"account's feed":  {agents: 101, reads: calls / 5}, // none, but where a busy machine holds the second event back
		"agents' filters": {agents: 20, reads: calls},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startSite(t, tc.agents)
			all := 0
			for i := range calls {
				c := w.call(t, i)
				c.Answer()
				h := w.watch.hearing(c.SessionID())
				await(t, h.both, "both parties heard")
				reads, posts := len(w.watch.of(c.SessionID(), "GET", h.first())), len(w.watch.of(c.SessionID(), "call supervised", h.first()))
				if reads > 1 || posts != 2 {
					t.Errorf("call %d: %d session GETs and %d supervise POSTs before the first sample, want one at most, and 2", i, reads, posts)
				}
				all += reads
				end(t, c)
			}
			if all > tc.reads {
				t.Errorf("%d session GETs for %d calls, want %d at most", all, calls, tc.reads)
			}
		})
	}
}

// TestPartiesAreAskedForSideBySide: a POST is not answered before both parties are heard, so neither waits for the other's
// answer, nor for its own.
func TestPartiesAreAskedForSideBySide(t *testing.T) {
	w := startSite(t, 101)
	if err := w.sim.Inject(ringsim.Fault{Kind: ringsim.FaultSlow, Method: "POST", Path: "/supervise", Delay: 3 * time.Second}); err != nil {
		t.Fatal(err)
	}
	c := w.call(t, 0)
	c.Answer()
	h := w.watch.hearing(c.SessionID())
	await(t, h.both, "both parties heard")
	if n := len(w.watch.of(c.SessionID(), "POST", h.first())); n != 0 {
		t.Errorf("%d POSTs were answered before the first sample of both parties, want 0", n)
	}
	end(t, c)
}

// TestAHundredCallsAnsweredAtOnceAreAllHeard is a cold burst: nothing is joined yet. EARSHOT_SPEED=200 has 200 of them.
func TestAHundredCallsAnsweredAtOnceAreAllHeard(t *testing.T) {
	n := 100
	if testing.Short() {
		n = 20
	}
	w := startSite(t, 201)
	calls := make([]*ringsim.Call, max(n, runs(t)))
	for i := range calls {
		calls[i] = w.call(t, i)
	}
	answered := make([]time.Time, len(calls))
	for i, c := range calls {
		answered[i] = time.Now()
		c.Answer()
	}
	var took []time.Duration
	for i, c := range calls {
		h := w.watch.hearing(c.SessionID())
		await(t, h.both, fmt.Sprintf("call %d heard", i))
		took = append(took, h.first().Sub(answered[i]))
	}
	end(t, calls...)
	t.Logf("%d calls answered within %v: first sample of both parties after %s", len(calls), answered[len(calls)-1].Sub(answered[0]).Round(time.Millisecond), figures(took))
}

// TestFromAnswerToFirstSample measures; what is asserted is that every call is heard. EARSHOT_SPEED=200 measures 200 calls,
// with none and with 100 others live.
func TestFromAnswerToFirstSample(t *testing.T) {
	n := runs(t)
	lives := []int{0, 100}
	if n == 0 {
		n, lives = 10, []int{0, 5}
	}
	for _, live := range lives {
		t.Run(fmt.Sprintf("live=%d", live), func(t *testing.T) {
			w := startSite(t, 300)
			var others []*ringsim.Call
			for i := range live {
				c := w.call(t, 150+i)
				c.Answer()
				others = append(others, c)
				await(t, w.watch.hearing(c.SessionID()).both, "another call heard")
			}
			measure(t, w, n)
			end(t, others...)
		})
	}
}

func measure(t *testing.T, w site, n int) {
	t.Helper()
	stages := []string{"POSTs taken", "dialogs up", "our first packets there", "their first packets sent", "first samples", "in the sink"}
	took := map[string][]time.Duration{}
	for i := range n {
		c := w.call(t, i)
		linger(time.Duration(rand.IntN(40)) * time.Millisecond) // so that answers and sweeps are not in step
		answered := time.Now()
		c.Answer()
		h := w.watch.hearing(c.SessionID())
		await(t, h.both, "both parties heard")
		add := func(stage string, at time.Time) { took[stage] = append(took[stage], at.Sub(answered)) }
		add("POSTs taken", last(w.watch.of(c.SessionID(), "call supervised", h.handed)))
		add("dialogs up", last(w.watch.of(c.SessionID(), "join joined", h.handed)))
		var latched, sent time.Time
		for _, s := range c.Streams() {
			latched = last([]time.Time{latched, s.Received().First})
			sent = last([]time.Time{sent, s.Sent()[0].At})
		}
		add("our first packets there", latched)
		add("their first packets sent", sent)
		add("first samples", h.first())
		add("in the sink", h.handed)
		end(t, c)
	}
	for _, stage := range stages {
		t.Logf("%-25s %s", stage, figures(took[stage]))
	}
}

// runs is how many calls EARSHOT_SPEED asks for; 0: none.
func runs(t *testing.T) int {
	t.Helper()
	v := os.Getenv("EARSHOT_SPEED")
	if v == "" {
		return 0
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		t.Fatalf("EARSHOT_SPEED=%s: want a number of calls", v)
	}
	return n
}

func linger(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}

func last(at []time.Time) time.Time { return slices.MaxFunc(at, time.Time.Compare) }

// figures gives the usual percentiles.
func figures(took []time.Duration) string {
	took = slices.Clone(took)
	slices.Sort(took)
	at := func(p int) time.Duration {
		return took[min(len(took)-1, len(took)*p/100)].Round(100 * time.Microsecond)
	}
	return fmt.Sprintf("n=%d p50=%v p90=%v p99=%v max=%v", len(took), at(50), at(90), at(99), at(100))
}
