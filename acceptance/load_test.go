package acceptance

import (
	"context"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
)

// load is a shift, and the pool that hears it.
type load struct {
	agents, supervisors, devices, dialogs int // devices of each supervisor, dialogs of each device
	limits                                ringsim.Limits
	rate                                  float64
	length, lasts                         time.Duration
	faults                                bool
}

// TestShiftIsHeardAsAWhole: every call of a shift is recorded from its answer to its end, but for those in whose time a fault
// was planted; each of these is accounted for. EARSHOT_LOAD=10m is the shift of docs/performance.md.
func TestShiftIsHeardAsAWhole(t *testing.T) {
	l := load{agents: 300, supervisors: 1, devices: 1, limits: ringsim.Unlimited, rate: 2, length: 8 * time.Second, lasts: 30 * time.Second, faults: true}
	if long := lasts(t); long > 0 {
		l.length, l.lasts = 50*time.Second, long
	} else {
		t.Parallel()
	}
	l.run(t)
}

// lasts is how long EARSHOT_LOAD wants a shift to be; 0: it is not set.
func lasts(t *testing.T) time.Duration {
	t.Helper()
	v := os.Getenv("EARSHOT_LOAD")
	if v == "" {
		return 0
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < time.Minute {
		t.Fatalf("EARSHOT_LOAD=%s: want a time of a minute or more, such as 10m", v)
	}
	return d
}

func (l load) run(t *testing.T) {
	t.Helper()
	world, err := ringsim.Populate(ringsim.Population{Agents: l.agents, Supervisors: l.supervisors, Devices: l.devices, MaxDialogs: l.dialogs})
	if err != nil {
		t.Fatal(err)
	}
	sim := ringsim.Start(t, ringsim.Config{Account: world, Limits: l.limits})
	d := write(t, string(sim.YAML("tls"))+"media: {listen_ip: 127.0.0.1, ports: 10000-13999}\n").runReady(t)
	oracle.Eventually(t, 10*time.Second, "events", func() bool { return sim.Subscribers() == 1 })

	s := &shift{sim: sim, rate: l.rate, length: l.length, seed: 1}
	for i := range l.agents {
		s.agents = append(s.agents, agent(i))
	}
	m := &meter{d: d, live: s.liveNow}
	before := m.read(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var beside sync.WaitGroup
	var faults []planted
	beside.Go(func() { m.run(ctx, t, max(time.Second, l.lasts/100)) })
	if l.faults {
		beside.Go(func() { faults = l.plant(ctx, t, sim) })
	}
	s.work(ctx, t, l.lasts)
	stop()
	beside.Wait()
	oracle.Eventually(t, 45*time.Second, "every call closed", func() bool {
		_, open := oracle.Folders(t, d.dir)
		return len(open) == 0
	})
	m.settled(t, before, l.supervisors)
	accounts := reckon(t, d.dir, s.calls, faults)
	compared := compareSome(t, accounts)
	l.judge(t, sim, accounts)
	t.Logf("%s\nat most %d live; %d compared sample by sample\n%s\nrequests:%s", table(accounts), s.most, compared, m, requests(sim))
}

// plant makes things go wrong, one after the other, and says when calls that are answered may suffer. A call that was answered
// before must live through all of them.
func (l load) plant(ctx context.Context, t *testing.T, sim *ringsim.Sim) (out []planted) {
	t.Helper()
	faults := []struct {
		ringsim.Fault
		what  string
		heals time.Duration // after which a call that is answered sees nothing of it
	}{
		{ringsim.Fault{Kind: ringsim.FaultUnavailable, Method: "POST", Path: "/supervise", Count: 6}, "503 to six POSTs", 5 * time.Second},
		{ringsim.Fault{Kind: ringsim.FaultFeedCut}, "feed cut", 5 * time.Second},
		{ringsim.Fault{Kind: ringsim.FaultFlowsCut, Device: ringsim.DefaultDeviceID}, "flow of a device cut", 5 * time.Second},
		{ringsim.Fault{Kind: ringsim.FaultEventsLost, For: 2 * time.Second}, "events of two seconds lost", 5 * time.Second},
	}
	for _, f := range faults {
		if !pass(ctx, l.lasts/time.Duration(len(faults)+1)) {
			t.Errorf("%s: the shift was over before", f.what)
			return out
		}
		now := time.Now()
		if err := sim.Inject(f.Fault); err != nil {
			t.Error(err)
		}
		out = append(out, planted{f.what, now.Add(-time.Second), now.Add(f.heals)})
	}
	return out
}

// judge fails what must not be.
func (l load) judge(t *testing.T, sim *ringsim.Sim, accounts []account) {
	t.Helper()
	if want := int(l.rate * l.lasts.Seconds() * 0.9); len(accounts) < want {
		t.Errorf("%d calls, want %d at least", len(accounts), want)
	}
	for i := range accounts {
		a := &accounts[i]
		v := a.verdict()
		if v == "unaccounted" || v != "whole" && a.planted == "" {
			t.Errorf("call %s of agent %s, answered %s: %s, %v of %v heard, %s", a.SessionID(), a.agent, a.answered.Format(time.TimeOnly),
				v, a.heard, a.talked().Round(time.Millisecond), a.cause)
		}
		if v != "whole" && a.cause == "" && v != "unaccounted" {
			t.Errorf("call %s of agent %s: %s, and no cause is told", a.SessionID(), a.agent, v)
		}
	}
	for _, r := range sim.Requests() {
		if r.Status == http.StatusTooManyRequests {
			t.Errorf("%d requests over a limit: %s %s", r.Count, r.Method, r.Pattern)
		}
	}
}
