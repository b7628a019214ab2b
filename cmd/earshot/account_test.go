package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/earshot/earshot/internal/ringsim"
)

var update = flag.Bool("update", false, "rewrite the golden files") //nolint:gochecknoglobals // a flag

// alone runs a subcommand in a folder without a daemon, with the simulator's account in the environment.
func alone(t *testing.T, sim *ringsim.Sim, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	dir := t.TempDir()
	dotenv := string(sim.DotEnv())
	if strings.Contains(dotenv, "SIP_INFO_USERNAME=\n") { // no device of the user's can register
		dotenv = regexp.MustCompile(`(?m)^SIP_INFO_.*\n`).ReplaceAllString(dotenv, "")
	}
	args = append([]string{"--env-file=" + write(t, filepath.Join(dir, "sim.env"), dotenv), "--set=record.dir=" + dir}, args...)
	t.Chdir(dir)
	env := []string{"RINGCENTRAL_JWT=" + sim.Account().Extensions[0].JWT} // the .env has it only where the user has a device
	code = run(t.Context(), process{args: args, env: env, in: strings.NewReader(""), out: &o, err: &e})
	return code, o.String(), e.String()
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// golden compares with testdata/NAME; what differs from run to run is masked.
func golden(t *testing.T, root, name, got string) {
	t.Helper()
	for _, m := range []struct{ from, to string }{
		{`"20\d\d-\d\d-\d\dT[0-9:.]+Z"`, `"TIME"`},
		{`\b([sp])-[0-9a-fz]{20,}`, `$1-ID`},
		{`127\.0\.0\.1:\d+`, `HOST:PORT`},
	} {
		got = regexp.MustCompile(m.from).ReplaceAllString(got, m.to)
	}
	path := filepath.Join(root, "testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, path, got)
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s:\ngot\n%s\nwant\n%s", name, got, want)
	}
}

func here(t *testing.T) string {
	t.Helper()
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// called sums the requests whose pattern ends so.
func called(sim *ringsim.Sim, end string) (n int) {
	for _, r := range sim.Requests() {
		if strings.HasSuffix(r.Pattern, end) {
			n += r.Count
		}
	}
	return n
}

func TestWhatRingCentralShowsIsGoldenAndTheLoginIsRevoked(t *testing.T) {
	root := here(t)
	sim := ringsim.Start(t, ringsim.Config{})
	if _, err := sim.StartCall(ringsim.CallSpec{Agent: "108"}); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"calls", "devices", "groups"} {
		code, out, errs := alone(t, sim, name, "--json")
		if code != exitDone || errs != "" {
			t.Fatalf("%s: exit code %d, standard error %q", name, code, errs)
		}
		golden(t, root, "account/"+name+".json", out)
		if in, gone := called(sim, "/oauth/token"), called(sim, "/oauth/revoke"); in != i+1 || gone != i+1 {
			t.Errorf("%s: %d logins, %d revoked, want %d of each", name, in, gone, i+1)
		}
	}
	_, out, _ := alone(t, sim, "devices")
	golden(t, root, "account/devices.txt", out)
	if !strings.Contains(out, "Offline") {
		t.Errorf("a command without a daemon registered the device:\n%s", out)
	}
}

func TestRefusalsAreShownVerbatimWithWhatToDo(t *testing.T) {
	a := ringsim.DefaultAccount(3)
	a.Extensions[0].Denied = []string{"ReadPresenceStatus"}
	sim := ringsim.Start(t, ringsim.Config{Account: a})
	code, out, errs := alone(t, sim, "calls")
	for _, want := range []string{"earshot: look at presence: 403 CMN-408: In order to call this API endpoint, user needs to have [ReadPresenceStatus]", "hint: "} {
		if !strings.Contains(errs, want) {
			t.Errorf("standard error lacks %q: %s", want, errs)
		}
	}
	if code != exitFailed || out != "" {
		t.Errorf("exit code %d, standard output %q", code, out)
	}
	if called(sim, "/oauth/revoke") != 1 {
		t.Error("the login was not revoked")
	}
}

func TestNothingToShowSaysWhyThatMayBe(t *testing.T) {
	a := ringsim.DefaultAccount(1)
	a.Devices, a.Groups = nil, nil
	sim := ringsim.Start(t, ringsim.Config{Account: a})
	for _, name := range []string{"calls", "devices", "groups"} {
		code, out, errs := alone(t, sim, name)
		if code != exitDone || out != "" || strings.Count(errs, "\n") != 1 || !strings.HasPrefix(errs, "earshot: no "+name) {
			t.Errorf("%s: exit code %d, standard output %q, error %q", name, code, out, errs)
		}
	}
}

func TestSeveralLoginsAreToldApart(t *testing.T) {
	a, err := ringsim.Populate(ringsim.Population{Agents: 3, Supervisors: 2, Devices: 2, MaxDialogs: 4})
	if err != nil {
		t.Fatal(err)
	}
	sim := ringsim.Start(t, ringsim.Config{Account: a, Limits: ringsim.Unlimited}) // four logins each, within a moment
	if _, err := sim.StartCall(ringsim.CallSpec{Agent: "108"}); err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	write(t, "earshot.yaml", string(sim.YAML("tls")))
	command := func(args ...string) (string, string) {
		var o, e bytes.Buffer
		if code := run(t.Context(), process{args: args, in: strings.NewReader(""), out: &o, err: &e}); code != exitDone {
			t.Errorf("%v: exit code %d: %s%s", args, code, &o, &e)
		}
		return o.String(), e.String()
	}
	if out, _ := command("devices"); strings.Count(out, "OtherPhone  Offline  101") != 2 || strings.Count(out, "OtherPhone  Offline  102") != 2 {
		t.Errorf("devices:\n%s", out)
	}
	if out, _ := command("calls"); strings.Count(out, "108") != 1 || !strings.Contains(out, "SHOWN TO") || !strings.Contains(out, "101,102") {
		t.Errorf("calls: want each once, with who sees it:\n%s", out)
	}
	if out, _ := command("groups"); strings.Count(out, "8121017") != 1 || !strings.Contains(out, "101,102") {
		t.Errorf("groups: want each once:\n%s", out)
	}
	out, _ := command("doctor", "--set=media.ports=0-0", "--peak=8")
	for _, want := range []string{"ok    login (101): as 101", "ok    login (102): as 102", "registration (102): not tried", "needs 1 supervisor and 4 devices of 2 calls", "there are 2 and 4"} {
		if !strings.Contains(out, want) {
			t.Errorf("doctor lacks %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "warn  sizing") || called(sim, "/oauth/token") != 8 || called(sim, "/oauth/revoke") != 8 {
		t.Errorf("%d logins, %d revoked:\n%s", called(sim, "/oauth/token"), called(sim, "/oauth/revoke"), out)
	}
}

func TestWithoutAnAccountTheCommandsSayWhatIsNeeded(t *testing.T) {
	for _, name := range []string{"calls", "devices", "groups"} {
		var out, errs bytes.Buffer
		t.Chdir(t.TempDir())
		code := run(t.Context(), process{args: []string{name}, out: &out, err: &errs})
		if code != exitUsage || !strings.Contains(errs.String(), "no RingCentral login") || !strings.Contains(errs.String(), "hint: ") {
			t.Errorf("%s: exit code %d, standard error %q", name, code, &errs)
		}
	}
}
