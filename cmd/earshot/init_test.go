package main

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/earshot/earshot/cmd/earshot/internal/config"
	"github.com/earshot/earshot/internal/ringsim"
)

// begun runs init in a folder of its own, with the simulator's .env there.
func begun(t *testing.T, sim *ringsim.Sim, args ...string) (code int, dir, out, errs string) {
	t.Helper()
	dir = t.TempDir()
	t.Chdir(dir)
	write(t, ".env", string(sim.DotEnv()))
	code, out, errs = initialise(t, args...)
	return code, dir, out, errs
}

func initialise(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), process{args: append([]string{"init"}, args...), in: strings.NewReader(""), out: &o, err: &e})
	return code, o.String(), e.String()
}

func TestInitWritesWhatRunReads(t *testing.T) {
	sim := ringsim.Start(t, ringsim.Config{})
	code, dir, out, errs := begun(t, sim)
	path := filepath.Join(dir, "earshot.yaml")
	if code != exitDone || errs != "" || out != "wrote "+path+"\nnext: earshot run\n" {
		t.Fatalf("exit code %d: %s%s", code, out, errs)
	}
	l, err := config.Load(config.Input{File: "earshot.yaml", Required: true, EnvFile: ".env"})
	if err != nil {
		t.Fatal(err)
	}
	s := l.Config.Supervise
	if s.DeviceID != ringsim.DefaultDeviceID || len(s.Groups) != 1 || s.Groups[0] != ringsim.DefaultGroupID || len(s.Agents) != 0 {
		t.Errorf("got %+v", s)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 || bytes.Contains(b, []byte(ringsim.DefaultClientSecret)) {
		t.Errorf("mode %v, %v, want 0600 and no secret in\n%s", st.Mode(), err, b)
	}
	if called(sim, "/oauth/token") != 1 || called(sim, "/oauth/revoke") != 1 || called(sim, "/oauth/wstoken") != 0 {
		t.Error("want one login, revoked, and no token for the feed: the daemon that starts next needs what RingCentral allows a minute")
	}
	if code, _, errs := initialise(t); code != exitUsage || !strings.Contains(errs, "is there already") || !strings.Contains(errs, "--force") {
		t.Errorf("a second time: exit code %d: %s", code, errs)
	}
	if code, _, errs := initialise(t, "--force", "--agent=108"); code != exitDone {
		t.Errorf("forced: exit code %d: %s", code, errs)
	}
	if l, err = config.Load(config.Input{File: "earshot.yaml", Required: true, EnvFile: ".env"}); err != nil || len(l.Config.Supervise.Agents) != 1 {
		t.Errorf("forced, with an agent: got %+v, %v", l, err)
	}
}

func TestInitStoresSecretsThatStandNowhereElse(t *testing.T) {
	sim := ringsim.Start(t, ringsim.Config{})
	dir := t.TempDir()
	t.Chdir(t.TempDir())
	env := write(t, filepath.Join(dir, "softphone.env"), string(sim.DotEnv()))
	var out, errs bytes.Buffer
	target := filepath.Join(dir, "own.yaml")
	code := run(t.Context(), process{args: []string{"--env-file", env, "init", "--file", target}, in: strings.NewReader(""), out: &out, err: &errs})
	if code != exitDone || !strings.HasSuffix(out.String(), "next: cd "+dir+" && earshot -c own.yaml run\n") {
		t.Fatalf("exit code %d: %s%s", code, &out, &errs)
	}
	l, err := config.Load(config.Input{File: target, Required: true}) // without the .env
	if err != nil || l.Config.RingCentral.ClientSecret.Reveal() != ringsim.DefaultClientSecret || l.Config.RingCentral.JWT == "" {
		t.Errorf("got %+v, %v", l, err)
	}
}

func TestInitNamesEveryMissingStepAndWritesNothing(t *testing.T) {
	sim := ringsim.Start(t, account(func(a *ringsim.Account) {
		a.Devices[0].Type, a.Groups = "HardPhone", nil
		a.Apps[0].Scopes = []string{"ReadAccounts", "ReadPresence", "WebSocketsSubscription"}
	}))
	code, dir, out, errs := begun(t, sim)
	for _, want := range []string{"FAIL  scopes: ", "CallControl", "FAIL  device: ", "Existing Phone", "FAIL  groups: ", "init: 3 steps are missing, nothing was written", "hint: "} {
		if !strings.Contains(errs, want) {
			t.Errorf("standard error lacks %q:\n%s", want, errs)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "earshot.yaml")); err == nil || code != exitFailed || out != "" {
		t.Errorf("exit code %d, %v, standard output %q", code, err, out)
	}
	if called(sim, "/oauth/revoke") != 1 {
		t.Error("the login was not revoked")
	}
}

func TestInitTakesTheDeviceThatIsNamed(t *testing.T) {
	two := account(func(a *ringsim.Account) {
		d := a.Devices[0]
		d.ID, d.UserName = "802636634999", "12055550999"
		a.Devices = append(a.Devices, d)
	})
	sim := ringsim.Start(t, two)
	if code, _, _, errs := begun(t, sim); code != exitFailed || !strings.Contains(errs, "802636634999") || !strings.Contains(errs, "--device") {
		t.Errorf("of two: exit code %d: %s", code, errs)
	}
	code, out, errs := initialise(t, "--device=802636634999")
	b, err := os.ReadFile("earshot.yaml")
	if code != exitDone || err != nil || !strings.Contains(string(b), `device_id: "802636634999"`) ||
		!strings.Contains(errs, "warn  device: calls are sent to 802636634999, and the SIP account in the configuration is that of 802636634016") {
		t.Errorf("exit code %d: %s%s, %v:\n%s", code, out, errs, err, b)
	}
}

func TestInitAsksNothingWithoutATerminal(t *testing.T) {
	t.Chdir(t.TempDir())
	code, _, errs := initialise(t)
	if code != exitUsage || !strings.Contains(errs, "client_id is missing") || !strings.Contains(errs, "RINGCENTRAL_CLIENT_ID") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}

func TestPromptTakesOneLineAndRefusesNone(t *testing.T) {
	var out bytes.Buffer
	q := &prompt{in: bufio.NewReaderSize(strings.NewReader("  an answer \r\n\n"+strings.Repeat("x", 100)), 64), out: &out}
	if got, err := q.ask(t.Context(), "client id", false); err != nil || got != "an answer" || out.String() != "client id: " {
		t.Errorf("got %q, %v after %q", got, err, &out)
	}
	if _, err := q.ask(t.Context(), "JWT", true); err == nil {
		t.Error("an empty line: no error")
	}
	if _, err := q.ask(t.Context(), "JWT", true); err == nil || strings.Contains(err.Error(), "xxx") {
		t.Errorf("a line without end: got %v", err)
	}
}
