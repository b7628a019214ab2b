package acceptance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
	"github.com/earshot/earshot/internal/ringsim/trunk"
)

// looks are the commands that only look.
var looks = [][]string{{"calls", "--json"}, {"devices"}, {"groups"}, {"doctor"}, {"supervise", "--agent", "108"}} //nolint:gochecknoglobals // constant

// limited is a strict RingCentral with its documented request rates.
func limited(t *testing.T, cfg ringsim.Config) *ringsim.Sim {
	t.Helper()
	cfg.Trunk = func(c *trunk.Config) { c.Strict = true }
	return ringsim.Start(t, cfg)
}

func asked(sim *ringsim.Sim, pattern string, status int) (n int) {
	for _, r := range sim.Requests() {
		if strings.HasSuffix(r.Pattern, pattern) && (status == 0 || r.Status == status) {
			n += r.Count
		}
	}
	return n
}

func TestFiftyLooksBesideLiveCallsTouchNothing(t *testing.T) {
	t.Parallel()
	times := 50
	if testing.Short() {
		times = 5
	}
	sim := limited(t, ringsim.Config{Agents: 3})
	d := write(t, string(sim.YAML("tls"))).runReady(t)
	calls := begin(t, sim, 3, func(i int) ringsim.CallSpec { return ringsim.CallSpec{Law: law(i)} })
	said(t, calls, time.Second)
	for i := range times {
		for _, args := range looks {
			code, out, errs := d.command(t, args...)
			if code != 0 || strings.Count(out, "\n") < 2 {
				t.Fatalf("%v, time %d: exit code %d: %s%s", args, i+1, code, out, errs)
			}
			if args[0] == "calls" && i == 0 {
				wantThreeCalls(t, out, calls)
			}
		}
	}
	said(t, calls, 2*time.Second)
	if st := d.status(t); len(st.Calls) != 3 || st.SIP["flows_lost"] != 0 {
		t.Errorf("after the looks: %d calls, %d flows lost", len(st.Calls), st.SIP["flows_lost"])
	}
	hangUp(t, calls)
	d.sealed(t, 3, 5*time.Second)
	d.terminate(t)
	compareAll(t, d, calls)
	if in, gone := asked(sim, "/oauth/token", 0), asked(sim, "/oauth/revoke", 0); in != 1 || gone != 1 {
		t.Errorf("%d logins, %d revoked, want the daemon's one", in, gone)
	}
	if n := asked(sim, "", http.StatusTooManyRequests); n != 0 {
		t.Errorf("%d answers of 429", n)
	}
	if n := len(d.log.lines("msg=registered")); n != 1 {
		t.Errorf("registered %d times", n)
	}
	if n := asked(sim, "/presence", 0); n > 8 { // four fifths of a minute's ten, for those who look and for the daemon
		t.Errorf("presence was asked for %d times: an answer serves all who ask", n)
	} else {
		t.Logf("%d commands, %d looks at presence", times*len(looks), n)
	}
}

func wantThreeCalls(t *testing.T, out string, calls []*ringsim.Call) {
	t.Helper()
	var shown struct {
		Logins []struct {
			Owner struct{ Extension string }
			Calls []struct {
				Session      string
				SupervisedBy string `json:"supervised_by"`
				Agent        struct{ Extension string }
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &shown); err != nil || len(shown.Logins) != 1 || len(shown.Logins[0].Calls) != len(calls) {
		t.Fatalf("calls: %v, want one login with %d calls: %s", err, len(calls), out)
	}
	for i, c := range calls {
		found := false
		for _, s := range shown.Logins[0].Calls {
			found = found || s.Session == c.SessionID() && s.Agent.Extension == agent(i) && s.SupervisedBy == ringsim.SupervisorNumber
		}
		if !found {
			t.Errorf("call %s of %s: not shown as supervised by 101: %s", c.SessionID(), agent(i), out)
		}
	}
}

func TestFromSimOverInitToRecordings(t *testing.T) {
	t.Parallel()
	sim, env := startSim(t, "--env", "--every=1s", "--for=2s")
	d := daemon{home: folder(t)}
	d.dir, d.config = filepath.Join(d.home, "recordings"), filepath.Join(d.home, "earshot.yaml")
	if err := os.WriteFile(filepath.Join(d.home, ".env"), []byte(env), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := finish(t, d.home, 10*time.Second, "init")
	if code != 0 || !strings.Contains(out, "next: earshot run") {
		t.Fatalf("init: exit code %d: %s%s", code, out, errs)
	}
	// Nothing but what init wrote, in that folder.
	d.process = start(t, d.home, "run", "--set=console.listen=off")
	wantSpeech(t, d, sim)
}

// advice is what doctor says of one thing, once it says it.
func advice(t *testing.T, d daemon, mark, what string, words ...string) {
	t.Helper()
	last := ""
	defer func() {
		if t.Failed() {
			t.Logf("doctor:\n%s", last)
		}
	}()
	oracle.Eventually(t, 30*time.Second, fmt.Sprintf("%s %s with %q", mark, what, words), func() bool {
		_, last, _ = d.command(t, "doctor")
	next:
		for line := range strings.Lines(last) {
			if !strings.HasPrefix(line, mark) || !strings.Contains(line, what) {
				continue
			}
			for _, w := range words {
				if !strings.Contains(line, w) {
					continue next
				}
			}
			return true
		}
		return false
	})
}

func TestARefusedCallIsExplainedByWhatThereIsToSee(t *testing.T) {
	t.Parallel()
	sim := ringCentral(t, 2)
	if err := sim.SetMembers(ringsim.DefaultGroupID, []ringsim.Member{
		{Extension: ringsim.DefaultSupervisorID, Monitoring: true},
		{Extension: sim.Account().Extensions[1].ID, Monitored: true}, // not 109
	}); err != nil {
		t.Fatal(err)
	}
	yaml := strings.Replace(string(sim.YAML("tls")), `["108"]`, `["108", "109"]`, 1)
	if !strings.Contains(yaml, `"109"`) {
		t.Fatalf("no 109 in\n%s", yaml)
	}
	d := write(t, yaml).runReady(t, quick)
	c, err := sim.StartCall(ringsim.CallSpec{Agent: "109"})
	if err != nil {
		t.Fatal(err)
	}
	advice(t, d, "warn", "call "+c.SessionID(), "agent 109 not heard: refused", "109 is in no group with a supervisor")
	advice(t, d, "FAIL", "agents", "109", "Monitored")
	c.Hangup()
}

func TestADeviceThatAnotherProgramHasIsFound(t *testing.T) {
	t.Parallel()
	sim := ringCentral(t, 1)
	first := write(t, string(sim.YAML("tls"))).runReady(t, quick)
	// Another record.dir: to doctor this is a daemon of nobody's.
	other := write(t, string(sim.YAML("tls")))
	advice(t, other, "warn", "registration", "not tried", "Online", "one program a device")
	first.terminate(t)
	advice(t, other, "ok", "registration", "Offline, so free")
	if n := asked(sim, "/oauth/token", 0) - asked(sim, "/oauth/revoke", 0); n != 0 {
		t.Errorf("%d logins were not revoked", n)
	}
}
