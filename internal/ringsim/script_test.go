package ringsim_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/earshot/earshot/internal/ringsim"
)

func examples(t testing.TB) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob("testdata/scenarios/*.yaml")
	if err != nil || len(paths) < 4 {
		t.Fatalf("scenarios: %v, %v", paths, err)
	}
	out := map[string][]byte{}
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		out[p] = b
	}
	return out
}

func parsed(t *testing.T, lines ...string) ringsim.Scenario {
	t.Helper()
	sc, err := ringsim.ParseScenario("test.yaml", []byte(strings.Join(lines, "\n")+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	return sc
}

func TestExamplesAreScenarios(t *testing.T) {
	for path, b := range examples(t) {
		sc, err := ringsim.ParseScenario(path, b)
		if err != nil {
			t.Error(err)
			continue
		}
		var cfg ringsim.Config
		if err := sc.Configure(&cfg); err != nil || sc.Name == "" || sc.Steps() == 0 || sc.Length() == 0 {
			t.Errorf("%s: %v, %q, %d steps, %s", path, err, sc.Name, sc.Steps(), sc.Length())
		}
	}
}

func TestMistakesAreToldAllAtOnceWithTheirLines(t *testing.T) {
	for _, tc := range []struct {
		src  string
		want []string
	}{
		{"name: x\nsteps:\n  - {at: 0s, do: start, call: a}\n  - {at: 1s, do: dance, call: a}\n  - {at: soon, do: hold, call: a}\n  - {at: 1s, do: hold, call: b}\n  - {at: 1s, do: hold, call: a, to: 1}\n  - {at: 1s, do: transfer, call: a}\n", []string{
			`t:4: do: "dance": unknown; want add,`, `t:5: at: "soon": want a time`, `t:7: hold: does not take "to"`, `t:8: transfer: needs "to"`, `t:6: hold: call b has not been started`,
		}},
		{"settings:\n  form: three\n  colour: red\n  event_loss: 2\nsteps:\n  - {at: 0, do: start, call: a}\n", []string{
			`t:2: settings: form: "three": want two_dialogs`, `t:3: settings: colour: unknown; want one of access_ttl,`, `t:4: settings: event_loss: "2": want a number from 0 to 1`,
		}},
		{"steps:\n  - at: 0s\n    do: start\n    call: a\n    law: G729\n  - {at: 1s, do: fault, kind: nonsense}\n  - {at: 1s, do: fault, kind: slow}\n", []string{
			`t:2: start: law: "G729": want PCMU, PCMA`, `t:6: fault: fault "nonsense": unknown`, `t:7: fault: fault slow: no delay`,
		}},
		{"steps:\n  - {at: 0s, do: start, call: a}\n  - {at: 1s, do: start, call: a}\n", []string{`t:3: start: call a is there already`}},
		{"name: x\nsteps: 7\n", []string{`t:2: steps: want a list`}},
		{"nome: x\n", []string{`t:1: nome: unknown; want name, settings or steps`}},
		{"name: x\n", []string{`t:1: no steps`}},
		{"- x\n", []string{`t:1: scenario: want keys with values`}},
		{"", []string{`t:1: want one document`}},
		{"steps:\n  - {at: 0s, do: [}\n", []string{`t:2: not YAML`}},
		{"name: x\nname: y\n", []string{`t:2: `}},
	} {
		_, err := ringsim.ParseScenario("t", []byte(tc.src))
		if err == nil {
			t.Errorf("%q was taken", tc.src)
			continue
		}
		got := strings.Split(err.Error(), "\n")
		for i, w := range tc.want {
			if i >= len(got) || !strings.HasPrefix(got[i], w) {
				t.Errorf("%q: got %q, want %q", tc.src, got, tc.want)
				break
			}
		}
		if e := (*ringsim.ScriptError)(nil); len(got) != len(tc.want) || !errors.As(err, &e) {
			t.Errorf("%q: got %d mistakes, want %d: %q", tc.src, len(got), len(tc.want), got)
		}
	}
}

func TestSettingsReachTheConfig(t *testing.T) {
	sc := parsed(t, "settings:", "  agents: 5", "  seed: 9", "  form: mixed", "  hold: music", "  limits: off", "  event_delay: 0", "  feed_speed: 1000", "  feed: on",
		"steps:", "  - {at: 0, do: start, call: a}")
	var got ringsim.Config
	if err := sc.Configure(&got); err != nil {
		t.Fatal(err)
	}
	want := ringsim.Config{Agents: 5, Seed: 9, Form: ringsim.FormMixed}
	want.Limits.Off, want.Switches.HoldMedia = true, ringsim.HoldMusic
	want.Switches.Feed.Delay, want.Switches.Feed.Speed = -1, 1000
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b func()) bool { return true }), cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "Trunk" }, cmp.Ignore())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestScenarioIsPlayedAsWritten(t *testing.T) {
	c := start(t, quick())
	f := c.subscribed(accountFilter)
	calls, err := c.sim.Play(t.Context(), parsed(t, "name: all", "steps:",
		"  - {at: 0, do: start, call: a, answer: off, customer: +14085550164}",
		"  - {at: 10ms, do: ring-next, call: a, to: 109}",
		"  - {at: 20ms, do: answer, call: a}",
		"  - {at: 30ms, do: hold, call: a}",
		"  - {at: 40ms, do: resume, call: a}",
		"  - {at: 45ms, do: say, call: a, who: customer, for: 100ms, audio: music}",
		"  - {at: 50ms, do: transfer, call: a, to: 110, queue: Support}",
		"  - {at: 60ms, do: answer, call: a}",
		"  - {at: 70ms, do: consult, call: a, to: 108, as: b}",
		"  - {at: 80ms, do: complete, call: a, with: b}",
		"  - {at: 90ms, do: park, call: b}",
		"  - {at: 100ms, do: pick-up, call: b, by: 109, as: c}",
		"  - {at: 110ms, do: add, call: c, number: +14155550100}",
		"  - {at: 120ms, do: drop, call: c, number: +14155550100}",
		"  - {at: 125ms, do: switch, call: c}",
		"  - {at: 126ms, do: members, group: "+ringsim.DefaultGroupID+", monitoring: 101, monitored: 108 109}",
		"  - {at: 127ms, do: fault, kind: error, count: 1}",
		"  - {at: 128ms, do: heal}",
		"  - {at: 130ms, do: hang-up, call: c, who: agent}"))
	if err != nil {
		t.Fatal(err)
	}
	if len(calls) != 3 {
		t.Errorf("%d calls, want a, b and c", len(calls))
	}
	for name, call := range calls {
		select {
		case <-call.Done():
		default:
			t.Errorf("call %s goes on", name)
		}
	}
	if n := len(f.told()); n < 40 {
		t.Errorf("%d events, want those of three calls", n)
	}
	if n := len(c.sim.Account().Groups[0].Members); n != 3 {
		t.Errorf("%d members, want 3", n)
	}
}

func TestPlayTellsTheLineOfWhatCouldNotBeDone(t *testing.T) {
	c := start(t, quick())
	_, err := c.sim.Play(t.Context(), parsed(t, "name: bad", "steps:", "  - {at: 0, do: start, call: a}", "  - {at: 0, do: pick-up, call: a, by: 109, as: b}"))
	if err == nil || !strings.Contains(err.Error(), "scenario bad: line 4: pick-up: ") {
		t.Errorf("got %v, want line 4", err)
	}
	_, err = c.sim.Play(t.Context(), parsed(t, "steps:", "  - {at: 0, do: start, call: a}", "  - {at: 0, do: wait-heard, call: a, within: 10ms}"))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nobody listens: %v", err)
	}
	_, err = c.sim.Play(t.Context(), parsed(t, "steps:", "  - {at: 0, do: wait-feed, within: 10ms}"))
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "nobody has subscribed") {
		t.Errorf("nobody has subscribed: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.sim.Play(ctx, parsed(t, "steps:", "  - {at: 0, do: start, call: a}", "  - {at: 1h, do: hang-up, call: a}")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestTheStoryBeginsWhenSomebodyHasSubscribed(t *testing.T) {
	c := start(t, quick())
	sc := parsed(t, "steps:", "  - {at: 0, do: wait-feed, within: 20s}", "  - {at: 0, do: start, call: a}", "  - {at: 300ms, do: hang-up, call: a}")
	done := make(chan error, 1)
	go func() {
		_, err := c.sim.Play(t.Context(), sc)
		done <- err
	}()
	f := c.subscribed(accountFilter)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if told := f.told(); len(told) < 6 {
		t.Errorf("heard %v, want the call from its first event on", told)
	}
}

func TestWhoSpeaksWhenIsHeard(t *testing.T) {
	c, _ := ready(t, quick())
	sc := parsed(t, "steps:", "  - {at: 0, do: start, call: a, audio: numbered}", "  - {at: 300ms, do: say, call: a, who: customer, for: 200ms, audio: music}", "  - {at: 1s, do: end}")
	done := make(chan error, 1)
	var calls map[string]*ringsim.Call
	go func() {
		var err error
		calls, err = c.sim.Play(t.Context(), sc)
		done <- err
	}()
	var id string
	eventually(t, eventTime, "the call", func() bool {
		p := records(c.ok(account + "/presence?detailedTelephonyState=true"))[1]
		if ac, ok := p["activeCalls"].([]any); ok {
			id = ac[0].(object)["telephonySessionId"].(string)
		}
		return id != ""
	})
	if r := c.post(account+"/telephony/sessions/"+id+"/parties/p-"+strings.TrimPrefix(id, "s-")+"-1/supervise", today()); r.status != 200 {
		t.Fatalf("supervise: %d %s", r.status, r.raw)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	var spoken int
	st := calls["a"].Streams()[0]
	for _, p := range st.Sent() {
		for n := p.Pos; n < p.Pos+int64(p.Octets); n++ {
			if st.Source.Octet(0, n) != 0xFF {
				spoken++
			}
		}
	}
	if spoken != 1600 {
		t.Errorf("%d octets are no silence, want 1600: 200 ms", spoken)
	}
}

func FuzzScenario(f *testing.F) {
	for _, b := range examples(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		sc, err := ringsim.ParseScenario("f", b)
		if err != nil {
			lines := 1 + strings.Count(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(b)), "\n")
			if e := (*ringsim.ScriptError)(nil); !errors.As(err, &e) || e.Line < 1 || e.Line > lines+1 || e.Text == "" {
				t.Errorf("error %v, want one with a line of %d", err, lines)
			}
			return
		}
		var cfg ringsim.Config
		if err := sc.Configure(&cfg); err != nil || sc.Steps() == 0 || sc.Length() < 0 {
			t.Errorf("%v, %d steps, %s", err, sc.Steps(), sc.Length())
		}
	})
}
