package supervise

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// The worked examples of docs/sizing.md.
func TestSizingAsTheDocumentWorksItOut(t *testing.T) {
	for _, c := range []struct {
		name string
		load Load
		want string
	}{
		{"a small team", Load{Agents: 10, PeakCalls: 6, CallsPerSecond: 0.05}, "1 supervisors, 3 devices of 2; 3 a call, 9.0 and 24.6 of 40; looks 1 and 8"},
		{"300 agents", Load{Agents: 300, PeakCalls: 100, CallsPerSecond: 2}, "8 supervisors, 50 devices of 2; 2 a call, 240.0 and 305.7 of 40; looks 1 and 8"},
		{"300 agents, one stream", Load{Agents: 300, PeakCalls: 100, CallsPerSecond: 2, Mode: ModeSession}, "4 supervisors, 20 devices of 5; 1 a call, 120.0 and 152.9 of 40; looks 1 and 8"},
		{"800 agents", Load{Agents: 800, PeakCalls: 300}, "7 supervisors, 150 devices of 2; 2 a call, 200.0 and 260.0 of 40; looks 1 and 8"},
		{"a larger plan", Load{Agents: 800, PeakCalls: 300, LightPerMinute: 200, MaxDialogs: 20}, "2 supervisors, 30 devices of 10; 2 a call, 200.0 and 260.0 of 160; looks 1 and 8"},
		{"a large account", Load{Agents: 800, PeakCalls: 300, Extensions: 5000}, "7 supervisors, 150 devices of 2; 2 a call, 200.0 and 260.0 of 40; looks 5 and 8"},
		{"nobody", Load{}, "1 supervisors, 1 devices of 2; 3 a call, 0.0 and 0.0 of 40; looks 1 and 8"},
	} {
		n, err := Size(c.load)
		got := fmt.Sprintf("%d supervisors, %d devices of %d; %d a call, %.1f and %.1f of %d; looks %d and %d", n.Supervisors, n.Devices, n.CallsPerDevice,
			n.RequestsPerCall, n.MeanPerMinute, n.PeakPerMinute, n.UsablePerLogin, n.LooksPerMinute, n.LooksWithoutFeed)
		if err != nil || got != c.want {
			t.Errorf("%s: got  %s, %v\nwant %s", c.name, got, err, c.want)
		}
	}
}

func TestSizingSaysWhatItAssumed(t *testing.T) {
	n, err := Size(Load{Agents: 800, PeakCalls: 300})
	if want := "needs 7 supervisors and 150 devices of 2 calls (assumed: calls of 3 minutes, 5 dialogs a device)"; err != nil || n.String() != want {
		t.Errorf("got  %s, %v\nwant %s", n, err, want)
	}
	if n, _ := Size(Load{Agents: 8}); !strings.Contains(n.String(), "all 8 agents on the line at once") {
		t.Errorf("got %s", n)
	}
}

func TestSizingRefusesWhatCanNotWork(t *testing.T) {
	if _, err := Size(Load{Agents: 1, MaxDialogs: 1}); err == nil || !strings.Contains(err.Error(), "supervise.mode session") {
		t.Errorf("one dialog in party mode: got %v", err)
	}
	if _, err := Size(Load{Agents: 1, MaxDialogs: 1, Mode: ModeSession}); err != nil {
		t.Errorf("one dialog in session mode: %v", err)
	}
	if _, err := Size(Load{Agents: 1, LightPerMinute: 2}); err == nil {
		t.Error("two requests a minute: no error")
	}
}

func TestMoreLoadNeverAsksForLess(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		l := Load{Agents: 101 + r.IntN(2000), PeakCalls: 1 + r.IntN(1000), CallsPerSecond: r.Float64() * 10, MaxDialogs: 2 + r.IntN(40), LightPerMinute: 10 + r.IntN(300)}
		n, err := Size(l)
		if err != nil {
			t.Fatal(err)
		}
		if n.Devices*n.CallsPerDevice < l.PeakCalls || float64(n.Supervisors*n.UsablePerLogin) < n.PeakPerMinute-0.001 || n.Devices < n.Supervisors {
			t.Fatalf("%+v: %+v is too little", l, n)
		}
		more := l
		more.PeakCalls += r.IntN(10)
		more.CallsPerSecond += r.Float64()
		if m, err := Size(more); err != nil || m.Devices < n.Devices || m.Supervisors < n.Supervisors {
			t.Fatalf("%+v needs %+v, and %+v only %+v, %v", l, n, more, m, err)
		}
	}
}
