package acceptance

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
)

// edit changes the daemon's configuration file.
func (d daemon) edit(t *testing.T, old, changed string) {
	t.Helper()
	b, err := os.ReadFile(d.config)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), old) {
		t.Fatalf("no %q in\n%s", old, b)
	}
	if err := os.WriteFile(d.config, []byte(strings.Replace(string(b), old, changed, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestReloadInTheMiddleOfCallsLosesNoSample(t *testing.T) {
	t.Parallel()
	sim := ringCentral(t, 3)
	yaml := strings.Replace(string(sim.YAML("tls")), `agents: ["108", "109", "110"]`, `agents: ["108"]`, 1)
	if yaml == string(sim.YAML("tls")) {
		t.Fatalf("other agents in\n%s", yaml)
	}
	d := write(t, yaml).runReady(t, quick)
	calls := begin(t, sim, 3, func(i int) ringsim.CallSpec { return ringsim.CallSpec{Law: law(i)} })
	said(t, calls[:1], time.Second)
	if n := len(calls[1].Streams()); n != 0 {
		t.Errorf("109 is heard, and is no agent yet")
	}

	// 108 is no agent any more: its call stays. 109 is one, and its call is heard from now on.
	d.edit(t, `agents: ["108"]`, `agents: ["109"]`)
	want := func(out string) {
		t.Helper()
		code, got, errs := d.command(t, "reload")
		if code != 0 || got != out {
			t.Errorf("reload: exit code %d, standard output %q, want 0, %q: %s", code, got, out, errs)
		}
	}
	want("at work: supervise.agents\n")
	said(t, calls[1:2], time.Second)
	want("nothing has changed\n")

	// A mistake changes nothing, also not what is right beside it.
	d.edit(t, `agents: ["109"]`, `agents: ["110"]`)
	good := "mode: party"
	for _, bad := range []string{"mode: conference", "mode: party\n  numbers: [\"44\"]\n  schedule: [\"Noday 8\"]"} {
		d.edit(t, good, bad)
		good = bad
		code, out, errs := d.command(t, "reload")
		key := "supervise.mode: conference"
		if strings.Contains(bad, "numbers") {
			key = "supervise.numbers: 44"
			if !strings.Contains(errs, "supervise.schedule: ") {
				t.Errorf("the second mistake is not told: %q", errs)
			}
		}
		if code != 2 || out != "" || !strings.Contains(errs, key) || !strings.Contains(errs, "hint: nothing has changed") {
			t.Errorf("reload of a bad configuration: exit code %d, standard output %q, standard error %q", code, out, errs)
		}
	}
	d.edit(t, good, "mode: session")
	const both = "at work: supervise.agents\nnot at work before a restart (earshot run --takeover): supervise.mode\n"
	want(both)
	want("not at work before a restart (earshot run --takeover): supervise.mode\n") // it is still so
	said(t, calls[2:], time.Second)

	// SIGHUP is the same, in the log.
	d.edit(t, "mode: session", "mode: party")
	d.edit(t, `agents: ["110"]`, `agents: ["108", "109", "110"]`)
	if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	oracle.Eventually(t, 10*time.Second, "reloaded", func() bool {
		return len(d.log.lines("configuration reloaded", "applied=[supervise.agents]", "restart=[]")) == 2 // and the first
	})
	said(t, calls, 2*time.Second)
	hangUp(t, calls)
	d.sealed(t, 3, 10*time.Second)
	d.terminate(t)
	compareAll(t, d, calls)
}

func TestReloadWithoutADaemonSaysSo(t *testing.T) {
	t.Parallel()
	sim := ringCentral(t, 1)
	d := write(t, string(sim.YAML("tls")))
	for _, command := range []string{"reload", "drain"} {
		code, _, errs := d.command(t, command)
		if code != 1 || !strings.Contains(errs, "no earshot runs here") || !strings.Contains(errs, "hint: ") {
			t.Errorf("%s: exit code %d, standard error %q", command, code, errs)
		}
	}
}
