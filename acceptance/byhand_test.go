package acceptance

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
)

// step is a second reader of `earshot supervise --json`.
type step struct {
	Step                                                 int
	Name, Text, Hint, Session, Method, Path, Code, Party string
	OK                                                   bool
	Body                                                 map[string]any
	Parties                                              []struct{ ID, Role string }
	Device                                               string
	DeviceStatus                                         string `json:"device_status"`
	OwnParty                                             string `json:"own_party"`
	Dialog                                               string
	End                                                  bool
	Call, Error, Dir                                     string
}

// steps reads the lines of JSON; the last one says how it ended.
func steps(t *testing.T, out string) []step {
	t.Helper()
	var all []step
	for line := range strings.Lines(out) {
		var s step
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, s)
	}
	if len(all) == 0 || !all[len(all)-1].End {
		t.Fatalf("no last line: %s", out)
	}
	return all
}

// only gives the steps of one number.
func only(all []step, n int) (out []step) {
	for _, s := range all {
		if s.Step == n {
			out = append(out, s)
		}
	}
	return out
}

// simFile runs `earshot sim` with a scenario, and gives the configuration that fits it.
func simFile(t *testing.T, scenario string) (p *process, yaml string) {
	t.Helper()
	file := filepath.Join(folder(t), "scenario.yaml")
	if err := os.WriteFile(file, []byte(scenario), 0o600); err != nil {
		t.Fatal(err)
	}
	return startSim(t, "--scenario", file, "--every=0")
}

// excusing is a policy that leaves all calls of these tests alone: they are inbound.
const excusing = "--set=supervise.directions=outbound"

func TestSuperviseFollowsTheDocumentStepByStep(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, settings, mode string
		requests, dialogs    int
		fields               []string // of the granted request's body
	}{
		{"party", "", "party", 2, 2, []string{"agentExtensionId", "supervisorDeviceId", "autoAnswer", "mode"}},
		{"session", "", "session", 1, 1, []string{"agentExtensionId", "supervisorDeviceId", "autoAnswer", "mode"}},
		{"names of 2019", "  legacy_body: only\n", "session", 2, 1, []string{"extensionNumber", "deviceId", "mode"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			sim, yaml := simFile(t, "name: by hand\nsettings:\n  seed: 7\n"+c.settings+"steps:\n  - {at: 0s, do: start, call: a, agent: 108}\n  - {at: 90s, do: end}\n")
			d := write(t, yaml).runReady(t, quick, excusing)
			oracle.Eventually(t, 10*time.Second, "the call is excused", func() bool { return len(d.log.lines("call excused")) > 0 })
			code, out, errs := finish(t, d.home, 60*time.Second, "-c", d.config, "supervise", "--agent", "108", "--mode", c.mode, "--json")
			if code != 0 || errs != "" {
				t.Fatalf("exit code %d: %s%s", code, out, errs)
			}
			all := steps(t, out)
			agent, presence, device, requests, invites, check := only(all, 1), only(all, 2), only(all, 3), only(all, 4), only(all, 5), only(all, 6)
			if len(agent) != 1 || len(presence) != 1 || len(device) != 1 || len(requests) != c.requests || len(invites) != c.dialogs || len(check) != 1 {
				t.Fatalf("steps: %s", out)
			}
			if p := presence[0]; p.Session == "" || len(p.Parties) != 2 || !strings.Contains(p.Path, "/account/~/presence?detailedTelephonyState=true&sipData=true") {
				t.Errorf("presence: %+v", p)
			}
			if p := device[0]; p.Device != ringsim.DefaultDeviceID || p.DeviceStatus != "Online" {
				t.Errorf("device: %+v", p)
			}
			own := map[string]bool{}
			for i, r := range requests {
				refused := c.name == "names of 2019" && i == 0
				if r.Method != "POST" || r.OK == refused || !strings.HasSuffix(r.Path, "/supervise") || strings.Contains(r.Path, "/parties/") != (c.mode == "party") ||
					r.Body["mode"] != "Listen" || (r.OwnParty == "") != refused {
					t.Errorf("request %d: %+v", i, r)
				}
				if refused && (r.Code != "CMN-101" || !strings.Contains(r.Text, "400 CMN-101")) {
					t.Errorf("refusal: %+v, want RingCentral's code and words", r)
				}
				own[r.OwnParty] = true
			}
			last := requests[len(requests)-1]
			for _, f := range c.fields {
				if _, ok := last.Body[f]; !ok || len(last.Body) != len(c.fields) {
					t.Errorf("body %v: want %v", last.Body, c.fields)
				}
			}
			for _, i := range invites {
				if !i.OK || i.Dialog == "" || !own[i.OwnParty] {
					t.Errorf("invite: %+v", i)
				}
			}
			if !check[0].OK || !strings.Contains(check[0].Text, "activeCalls shows "+invites[0].OwnParty) && !strings.Contains(check[0].Text, " and "+invites[0].OwnParty) {
				t.Errorf("check: %+v", check[0])
			}
			// For people, of a call that is heard already.
			code, out, errs = finish(t, d.home, 60*time.Second, "-c", d.config, "supervise", "--agent", "108")
			for _, want := range []string{"1 agent     ok", "2 presence  ok", "is the supervisor", "3 device    ok", "heard already", "5 invite    ok", "6 check     ok", "heard: call s-"} {
				if code != 0 || errs != "" || !strings.Contains(out, want) {
					t.Errorf("exit code %d, lacks %q: %s%s", code, want, out, errs)
				}
			}
			d.terminate(t)
			sim.kill()
			r := oracle.ByCall(t, d.dir)[presence[0].Session]
			if r.State != "recorded" || len(r.Channels) != c.dialogs {
				t.Errorf("recording: %s, cause %s, channels %v", r.State, r.Cause, r.Channels)
			}
		})
	}
}

func TestSuperviseSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	sim := ringCentral(t, 2)
	d := write(t, string(sim.YAML("tls"))).runReady(t, quick)
	for _, c := range []struct {
		args []string
		code int
		want []string
	}{
		{[]string{"--agent", "108"}, 1, []string{"2 presence  FAIL  agent 108: no call", "earshot: supervise: agent 108: no call", "hint: presence shows no connected call of this agent; --wait"}},
		{[]string{"--agent", "4711"}, 1, []string{"1 agent     FAIL  extension 4711: not in this account", "hint:"}},
		{[]string{"--agent", "108", "--mode", "loud"}, 2, []string{"--mode"}},
		{nil, 2, []string{"--agent"}},
	} {
		code, out, errs := finish(t, d.home, 60*time.Second, append([]string{"-c", d.config, "supervise"}, c.args...)...)
		for _, want := range c.want {
			if code != c.code || !strings.Contains(out+errs, want) {
				t.Errorf("%v: exit code %d, want %d and %q: %s%s", c.args, code, c.code, want, out, errs)
			}
		}
	}
	// It waits, and what RingCentral refuses is told in its own words.
	waits := start(t, d.home, "-c", d.config, "supervise", "--agent", "109", "--wait")
	oracle.Eventually(t, 20*time.Second, "waiting", func() bool { return strings.Contains(waits.out.String(), "waiting for one") })
	c, err := sim.StartCall(ringsim.CallSpec{Agent: "109"})
	if err != nil {
		t.Fatal(err)
	}
	if code := waits.wait(t, 60*time.Second); code != 0 || !strings.Contains(waits.out.String(), "heard: call "+c.SessionID()) {
		t.Errorf("exit code %d: %s%s", code, waits.out.String(), waits.log.String())
	}
	hangUp(t, []*ringsim.Call{c})
	d.terminate(t)
}

func TestSuperviseWithoutADaemonHearsTheOneCall(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"the call ends", "ctrl-c"} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			sim := ringCentral(t, 2)
			d := write(t, string(sim.YAML("tls")))
			calls := begin(t, sim, 2, func(int) ringsim.CallSpec { return ringsim.CallSpec{} })
			d.process = start(t, d.home, "-c", d.config, "supervise", "--agent", "109")
			oracle.Eventually(t, 60*time.Second, "heard", func() bool {
				if !d.alive() {
					t.Fatalf("ended: %s%s", d.out.String(), d.log.String())
				}
				return strings.Contains(d.out.String(), "heard: call "+calls[1].SessionID())
			})
			said(t, calls[1:], time.Second)
			if code, out, errs := d.command(t, "run"); code != 1 || !strings.Contains(errs, "another earshot runs") && !strings.Contains(errs, "in use") {
				t.Errorf("run beside it: exit code %d: %s%s", code, out, errs)
			}
			if s := d.status(t); len(s.Calls) != 1 || s.Calls[0].ID != calls[1].SessionID() {
				t.Errorf("status: %+v, want the one call", s.Calls)
			}
			if end == "ctrl-c" {
				d.terminate(t)
				hangUp(t, calls)
			} else {
				hangUp(t, calls)
				if code := d.wait(t, 30*time.Second); code != 0 {
					t.Errorf("exit code %d: %s", code, d.log.String())
				}
			}
			d.sealed(t, 1, time.Second)
			if r := oracle.ByCall(t, d.dir)[calls[1].SessionID()]; r.State != "recorded" || r.Samples < 8000 {
				t.Errorf("recording: %s, cause %s, %d samples", r.State, r.Cause, r.Samples)
			}
			if end != "ctrl-c" {
				compareAll(t, d, calls[1:])
			}
		})
	}
}

func TestReleaseGivesThePlaceToAHuman(t *testing.T) {
	t.Parallel()
	sim := ringCentral(t, 2)
	d := write(t, string(sim.YAML("tls"))).runReady(t, quick)
	calls := begin(t, sim, 1, func(int) ringsim.CallSpec { return ringsim.CallSpec{} })
	said(t, calls, time.Second)
	id := calls[0].SessionID()
	for _, args := range [][]string{{"release", "s-nowhere"}, {"release", "--agent", "109"}} {
		if code, _, errs := d.command(t, args...); code != 1 || !strings.Contains(errs, "no such call") || !strings.Contains(errs, "hint:") {
			t.Errorf("%v: exit code %d: %s", args, code, errs)
		}
	}
	if code, _, errs := d.command(t, "release"); code != 2 {
		t.Errorf("release of nothing: exit code %d: %s, want 2", code, errs)
	}
	code, out, errs := d.command(t, "release", id)
	if code != 0 || !strings.Contains(out, "released "+id+", agent 108") {
		t.Fatalf("exit code %d: %s%s", code, out, errs)
	}
	d.sealed(t, 1, 5*time.Second)
	var manifest struct {
		State, Cause string
		EndCause     struct{ Code, Text string } `json:"end_cause"`
	}
	raw(t, oracle.ByCall(t, d.dir)[id].Dir, &manifest)
	if manifest.State != "recorded" || manifest.EndCause.Code != "released" || manifest.EndCause.Text == "" {
		t.Errorf("manifest: %+v, want why it ends", manifest)
	}
	if _, out, _ := d.command(t, "status"); !strings.Contains(out, "released") {
		t.Errorf("status: %s, want released", out)
	}
	if err := calls[0].Occupy("109"); err != nil {
		t.Fatal(err)
	}
	oracle.Eventually(t, 30*time.Second, "the human is seen", func() bool { return len(d.log.lines("call taken by a human")) > 0 })
	if err := calls[0].Vacate(); err != nil {
		t.Fatal(err)
	}
	oracle.Eventually(t, 30*time.Second, "heard again", func() bool {
		s := d.status(t)
		return len(s.Calls) == 1 && len(s.Calls[0].Tracks) == 2 && s.Calls[0].Tracks[0].Seconds > 1
	})
	hangUp(t, calls)
	d.sealed(t, 2, 5*time.Second)
	d.terminate(t)
}

// raw reads a recording's manifest.
func raw(t *testing.T, dir string, into any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "recording.json"))
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestMaskedCallIsSilentForEverybody(t *testing.T) {
	t.Parallel()
	sim := ringCentral(t, 1)
	said1 := filepath.Join(folder(t), "streamed")
	d := write(t, string(sim.YAML("tls"))+fmt.Sprintf(
		"stream:\n  - {type: exec, command: [/bin/sh, -c, \"cat >> %s\"]}\n", said1))
	d = d.runReady(t, quick, "--set=supervise.hook.command=/bin/echo,masked")
	calls := begin(t, sim, 1, func(int) ringsim.CallSpec { return ringsim.CallSpec{} })
	supervised(t, calls)
	listener := start(t, d.home, "-c", d.config, "listen", calls[0].SessionID())
	said(t, calls, 2*time.Second)
	if _, out, _ := d.command(t, "status"); !strings.Contains(out, "masked") {
		t.Errorf("status: %s, want masked", out)
	}
	hangUp(t, calls)
	d.sealed(t, 1, 5*time.Second)
	listener.wait(t, 10*time.Second)
	d.terminate(t)
	r := oracle.ByCall(t, d.dir)[calls[0].SessionID()]
	if r.State != "recorded" || r.Samples < 2*8000 || len(r.Tracks) != 2 {
		t.Fatalf("recording: %s, cause %s, %d samples, %d tracks", r.State, r.Cause, r.Samples, len(r.Tracks))
	}
	for _, k := range r.Tracks {
		if len(k.Spans) != 1 || k.Spans[0].Kind != "masked" || k.Spans[0].Pos != 0 || k.Spans[0].Samples < 2*8000 {
			t.Errorf("%s: spans %+v, want one masked from the first sample on", k.Role, k.Spans)
		}
	}
	for ch, pcm := range r.PCM {
		for i, v := range pcm {
			if v != 0 {
				t.Fatalf("channel %d: sample %d is %d, want silence", ch, i, v)
			}
		}
	}
	for i, v := range oracle.S16LE(listener.out.Bytes()) {
		if v != 0 {
			t.Fatalf("listen: sample %d is %d, want silence", i, v)
		}
	}
	if _, err := os.Stat(said1); !os.IsNotExist(err) {
		t.Errorf("a stream program of a masked call was started: %v", err)
	}
	var manifest struct{ Call struct{ Masked string } }
	raw(t, r.Dir, &manifest)
	events, err := os.ReadFile(filepath.Join(r.Dir, "events.jsonl"))
	if manifest.Call.Masked != "hook" || err != nil || !strings.Contains(string(events), `"masked":"hook"`) || !strings.Contains(string(events), `"mask_on"`) {
		t.Errorf("manifest %+v, %v, events:\n%s: want on whose word it is masked", manifest, err, events)
	}
}
