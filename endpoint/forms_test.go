package endpoint_test

import (
	"flag"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/earshot/earshot/endpoint"
	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
	"github.com/earshot/earshot/internal/ringsim/trunk"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil { // calls are mostly waited for, whatever the number of cores
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// listening starts an endpoint that supervises the simulator's agents; stop ends it and waits. also takes its log too.
func listening(t *testing.T, sim *ringsim.Sim, transport, mode, dir string, also ...io.Writer) (ep *endpoint.Endpoint, stop func()) {
	t.Helper()
	ep, stop = listeningNotReady(t, sim, transport, mode, dir, 0, also...)
	oracle.Eventually(t, 10*time.Second, "registered and logged in", ep.Ready)
	return ep, stop
}

// listeningNotReady does not wait until all is well. check is how often the calls are looked at beside the feed; 0: the default.
func listeningNotReady(
	t *testing.T, sim *ringsim.Sim, transport, mode, dir string, check time.Duration, also ...io.Writer,
) (ep *endpoint.Endpoint, stop func()) {
	t.Helper()
	cfg := against(t, sim, transport, dir)
	rc := &cfg.Supervisors[0].RingCentral
	rc.Mode, rc.Poll, rc.Check = mode, 100*time.Millisecond, check
	cfg.Log = slog.New(slog.NewTextHandler(io.MultiWriter(append(also, t.Output())...), &slog.HandlerOptions{Level: slog.LevelInfo}))
	return started(t, cfg)
}

// rough is a way with everything that the path must stand: loss, disorder, duplicates, both wraps, a pause, a new SSRC.
func rough(seed int64) trunk.Impairment {
	return trunk.Impairment{
		Loss: 0.02, Reorder: 0.03, Duplicate: 0.02, Seed: seed, Fixed: true,
		StartSeq: 0xFFF0, StartTimestamp: 0xFFFFFFFF - 2000,
		Pauses:          []trunk.Pause{{After: 1500 * time.Millisecond, For: 700 * time.Millisecond}},
		SSRCChangeAfter: 3 * time.Second,
	}
}

func TestEverySampleOfEveryFormIsInItsPlace(t *testing.T) {
	type world struct {
		transport string
		srtp      bool
		law       trunk.Law
	}
	worlds := []world{
		{"tls", true, trunk.PCMU}, {"tls", true, trunk.PCMA}, {"tcp", false, trunk.PCMU}, {"tcp", true, trunk.PCMA},
		{"udp", false, trunk.PCMA}, {"udp", true, trunk.PCMU}, {"udp", false, trunk.PCMU}, {"tls", false, trunk.PCMA},
	}
	cores := make(chan struct{}, runtime.GOMAXPROCS(0)) // parties are in step as far as the simulator has the time to send in time
	for _, w := range worlds {
		t.Run(fmt.Sprintf("%s/srtp=%v/%s", w.transport, w.srtp, w.law), func(t *testing.T) {
			t.Parallel()
			cores <- struct{}{}
			defer func() { <-cores }()
			dir := t.TempDir()
			sim := ringsim.Start(t, ringsim.Config{Limits: ringsim.Limits{Light: 10000, Medium: 10000, Heavy: 10000, Auth: 10000}, Trunk: func(c *trunk.Config) { c.Strict = true }})
			_, stop := listening(t, sim, w.transport, "party", dir)
			var calls []*ringsim.Call
			for i, form := range []ringsim.Form{ringsim.FormTwoDialogs, ringsim.FormTwoLines, ringsim.FormMixed} {
				for j, way := range []trunk.Impairment{{}, rough(int64(10*i + 7))} {
					c, err := sim.StartCall(ringsim.CallSpec{
						Agent: agents[(2*i+j)%len(agents)], Form: form, ThirdParty: form == ringsim.FormMixed,
						Law: w.law, SRTP: &w.srtp, Impair: ringsim.Impair{Customer: way, Agent: way, Mix: way}, For: 6 * time.Second,
					})
					if err != nil {
						t.Fatal(err)
					}
					calls = append(calls, c)
				}
			}
			for _, c := range calls {
				if err := c.WaitSupervised(t.Context()); err != nil {
					t.Error(err)
				}
			}
			for _, c := range calls {
				<-c.Done()
			}
			stop()
			rec := oracle.ByCall(t, dir)
			if len(rec) != len(calls) {
				t.Errorf("%d recordings, want %d", len(rec), len(calls))
			}
			for _, c := range calls {
				r, ok := rec[c.SessionID()]
				if !ok {
					t.Errorf("call %s (%s): no recording", c.SessionID(), c.Form())
					continue
				}
				want := 2
				if c.Form() == ringsim.FormMixed {
					want = 1
				}
				if len(r.Channels) != want {
					t.Errorf("call %s (%s): channels %v, want %d", c.SessionID(), c.Form(), r.Channels, want)
				}
				oracle.CompareCall(t, c, r)
			}
		})
	}
}
