package acceptance

import (
	"context"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
)

// load is a shift, and the pool that hears it.
type load struct {
	agents, supervisors, devices int // devices of each supervisor
	rate                         float64
	length, lasts                time.Duration
	first                        int // so many agents' calls come first where the pool is too small
	ports                        string
}

// dialogs is what some have seen a device take at once; RingCentral documents no number.
const dialogs = 5

// TestShiftIsHeardAsAWhole: every call of a shift is recorded from its answer to its end, but for those in whose time a fault
// was planted; each of these is accounted for. RingCentral's documented limits hold. EARSHOT_LOAD=10m is the shift of
// docs/performance.md.
func TestShiftIsHeardAsAWhole(t *testing.T) {
	// Some 160 requests in the first minute for 50 of each login, some 20 calls at once for two on each device.
	l := load{agents: 300, supervisors: 4, devices: 4, rate: 2, length: 8 * time.Second, lasts: 30 * time.Second, ports: "10000-11999"}
	if long := lasts(t); long > 0 {
		l.supervisors, l.devices, l.length, l.lasts = 8, 7, 50*time.Second, long // for 110 calls at peak
	} else {
		t.Parallel()
	}
	l.work(t, true).whole(t)
}

// TestPoolThatIsTooSmallServesTheFirstFirst: with half the pool the calls that policy ranks first are heard, the others are
// missed with a cause, and an alarm says so.
func TestPoolThatIsTooSmallServesTheFirstFirst(t *testing.T) {
	l := load{agents: 300, supervisors: 2, devices: 4, rate: 2, length: 8 * time.Second, lasts: 30 * time.Second, first: 60, ports: "12000-13999"}
	if long := lasts(t); long > 0 {
		l.supervisors, l.devices, l.length, l.lasts = 4, 7, 50*time.Second, long
	} else {
		t.Parallel()
	}
	l.work(t, false).ranked(t)
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

// worked is a shift that is over.
type worked struct {
	load
	sim      *ringsim.Sim
	daemon   daemon
	begun    time.Time
	accounts []account
}

// work runs the shift, with faults planted or without, and reckons.
func (l load) work(t *testing.T, faulty bool) worked {
	t.Helper()
	world, err := ringsim.Populate(ringsim.Population{Agents: l.agents, Supervisors: l.supervisors, Devices: l.devices, MaxDialogs: dialogs})
	if err != nil {
		t.Fatal(err)
	}
	sim := ringsim.Start(t, ringsim.Config{Account: world})
	s := &shift{sim: sim, rate: l.rate, length: l.length, seed: 1}
	for i := range l.agents {
		s.agents = append(s.agents, agent(i))
	}
	var flags []string
	if l.first > 0 {
		flags = append(flags, "--set=supervise.priority="+strings.Join(s.agents[:l.first], ","))
	}
	d := write(t, string(sim.YAML("tls"))+"media: {listen_ip: 127.0.0.1, ports: "+l.ports+"}\n").run(t, flags...)
	d.equipped(t, l.supervisors*l.devices)
	oracle.Eventually(t, 10*time.Second, "events", func() bool { return sim.Subscribers() == 1 })

	m := &meter{d: d, live: s.liveNow}
	before := m.read(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var beside sync.WaitGroup
	var faults []planted
	beside.Go(func() { m.run(ctx, t, max(time.Second, l.lasts/100)) })
	if faulty {
		beside.Go(func() { faults = l.plant(ctx, t, sim) })
	}
	w := worked{load: l, sim: sim, daemon: d, begun: time.Now()}
	s.work(ctx, t, l.lasts)
	stop()
	beside.Wait()
	oracle.Eventually(t, 45*time.Second, "every call closed", func() bool {
		_, open := oracle.Folders(t, d.dir)
		return len(open) == 0
	})
	m.settled(t, before, l.supervisors)
	w.accounts = reckon(t, d.dir, s.calls, faults)
	compared := compareSome(t, w.accounts)
	t.Logf("%s\nat most %d live; %d compared sample by sample\n%s\nrequests:%s", table(w.accounts), s.most, compared, m, requests(sim))
	if want := int(l.rate * l.lasts.Seconds() * 0.9); len(w.accounts) < want {
		t.Errorf("%d calls, want %d at least", len(w.accounts), want)
	}
	for i := range w.accounts {
		a := &w.accounts[i]
		if v := a.verdict(); v == "unaccounted" || (v == "missed" || v == "partial") && a.cause == "" {
			t.Errorf("%s: %s, and no cause is told", a, v)
		}
	}
	t.Cleanup(func() {
		if lines := append(d.log.lines("level=WARN"), d.log.lines("level=ERROR")...); t.Failed() {
			t.Logf("%d warnings and errors, such as:\n%s", len(lines), strings.Join(lines[:min(len(lines), 60)], "\n"))
		}
	})
	for _, r := range sim.Requests() {
		if r.Status == http.StatusTooManyRequests {
			t.Errorf("%d requests over a limit: %s %s", r.Count, r.Method, r.Pattern)
		}
	}
	return w
}

// equipped waits until so many devices are registered.
func (d daemon) equipped(t *testing.T, devices int) {
	t.Helper()
	oracle.Eventually(t, 30*time.Second, "devices registered", func() bool {
		if !d.alive() {
			t.Fatalf("earshot ended: %s", d.log.String())
		}
		code, _ := d.get("/readyz")
		return code == http.StatusOK && len(d.log.lines("msg=registered")) >= devices
	})
}

// whole fails each call that was not heard as a whole and has no fault to blame.
func (w worked) whole(t *testing.T) {
	t.Helper()
	for i := range w.accounts {
		a := &w.accounts[i]
		if v := a.verdict(); v != "whole" && a.planted == "" {
			t.Errorf("%s: %s, %v of %v heard, %s", a, v, a.heard, a.talked().Round(time.Millisecond), a.cause)
		}
	}
}

// ranked wants that of the calls which come first a third at most of the others' share is missed, and an alarm.
func (w worked) ranked(t *testing.T) {
	t.Helper()
	ranks := map[string]int{}
	for i := range w.first {
		ranks[agent(i)] = 1
	}
	var first, rest []account
	for _, a := range w.accounts {
		if ranks[a.agent] == 1 {
			first = append(first, a)
		} else {
			rest = append(rest, a)
		}
	}
	t.Logf("first: %s", table(first))
	t.Logf("others: %s", table(rest))
	missed := func(list []account) (n int) {
		for i := range list {
			if list[i].verdict() == "missed" {
				n++
			}
		}
		return n
	}
	if a, b := missed(first), missed(rest); b == 0 || 3*a*len(rest) > b*len(first) {
		t.Errorf("%d of %d calls that come first are missed, and %d of %d others: want a third of that share at most", a, len(first), b, len(rest))
	}
	alarms := w.daemon.log.lines("pool too small")
	if len(alarms) == 0 {
		t.Error("no alarm: want a line `pool too small`")
		return
	}
	_, stamp, _ := strings.Cut(alarms[0], "time=")
	stamp, _, _ = strings.Cut(stamp, " ")
	at, err := time.Parse(time.RFC3339, stamp)
	if err != nil {
		t.Fatalf("%v: %s", err, alarms[0])
	}
	for i := range w.accounts { // in the order of their answers
		if a := &w.accounts[i]; a.verdict() == "missed" {
			t.Logf("the alarm came %v after the answer of the first call that is missed", at.Sub(a.answered).Round(time.Millisecond))
			if at.Sub(a.answered) > time.Minute {
				t.Error("want it within a minute")
			}
			break
		}
	}
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
		{ringsim.Fault{Kind: ringsim.FaultFeedCut}, "feed cut", 10 * time.Second}, // presence is looked at each 8 s meanwhile
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
