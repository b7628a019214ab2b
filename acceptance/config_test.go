package acceptance

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/ringsim"
)

func TestABadConfigurationIsOneLineAndOpensNothing(t *testing.T) {
	t.Parallel()
	sim := ringCentral(t, 1)
	secret := "hush-hush-hush"
	good := fmt.Sprintf("sip:\n  domain: sip.test\n  outbound_proxy: %q\n  transport: tcp\n  username: u\n  password: %s\n", sim.Proxy("tcp"), secret)
	for name, c := range map[string]struct {
		yaml string // after good, unless it begins with sip or ringcentral
		line int    // 0: any
		key  string
		want string // a part of the cure
	}{
		"unknown key":     {"media:\n  live_wiat: 60ms\n", 8, "media.live_wiat", `did you mean "live_wait"`},
		"unknown section": {"recrod:\n  dir: x\n", 7, "recrod", `did you mean "record"`},
		"bad value":       {"media:\n  live_wait: 60\n", 8, "media.live_wait", "60: want a duration such as 60ms"},
		"bad word":        {"supervise:\n  mode: conference\n", 8, "supervise.mode", "want party or session"},
		"bad ports":       {"media:\n  ports: 20000\n", 8, "media.ports", "20000-29999"},
		"bad console":     {"console:\n  listen: \"127.0.0.1:99999\"\n", 8, "console.listen", "want"},
		"no such program": {"stream:\n  - {type: exec, command: [no-such-program-here]}\n", 8, "stream[0].command", "no-such-program-here"},
		"not YAML":        {"media: [1\n", 0, "", "not YAML"},
		"missing secret":  {"sip:\n  domain: sip.test\n  username: u\n", 2, "sip.password", "SIP_INFO_PASSWORD"},
		"missing JWT":     {"ringcentral:\n  client_id: a\n  client_secret: " + secret + "\n", 2, "ringcentral.jwt", "RINGCENTRAL_JWT"},
		"unreadable secret": {"sip:\n  domain: sip.test\n  username: u\n  password_file: /nowhere/at/all\n", 4, "sip.password_file",
			"name a readable file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			yaml := c.yaml
			if !strings.HasPrefix(yaml, "sip:") && !strings.HasPrefix(yaml, "ringcentral:") {
				yaml = good + yaml
			}
			home := folder(t)
			file := filepath.Join(home, "earshot.yaml")
			if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
				t.Fatal(err)
			}
			code, out, errs := finish(t, home, 5*time.Second, "run", "-c", file)
			if code != 2 || out != "" {
				t.Errorf("exit code %d, standard output %q, want 2 and none", code, out)
			}
			line := `\d+`
			if c.line > 0 {
				line = fmt.Sprint(c.line)
			}
			want := regexp.MustCompile(`^earshot: \S*earshot\.yaml:` + line + ": " + regexp.QuoteMeta(c.key) + ".*" + regexp.QuoteMeta(c.want) + ".*\n$")
			if !want.MatchString(errs) {
				t.Errorf("got  %swant %s", errs, want)
			}
			// The cure of an unknown key refers to this list, so it is there.
			code, out, again := finish(t, home, 5*time.Second, "config", "-c", file)
			if code != 2 || again != errs || !strings.Contains(out, "\nsupervise.rejoin_timeout") || strings.Contains(out, secret) {
				t.Errorf("earshot config: exit code %d, standard error %q, want 2, the same, and all keys without a secret; got\n%s", code, again, out)
			}
			if strings.Contains(errs, secret) {
				t.Error("it shows the secret")
			}
			wantOnly(t, home, "earshot.yaml")
		})
	}
}

// wantOnly wants nothing in a folder but what is named.
func wantOnly(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(names, " ") {
		t.Errorf("files: got %v, want %v", got, names)
	}
}

func TestAllMistakesAreToldAtOnce(t *testing.T) {
	t.Parallel()
	home := folder(t)
	file := filepath.Join(home, "earshot.yaml")
	yaml := "sip: {domain: d, username: u, password: p}\nmedia:\n  live_wait: 60\n  live_weight: 1s\nrecord:\n  format: mp3\n"
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errs := finish(t, home, 5*time.Second, "-c", file, "run")
	if code != 2 || strings.Count(errs, "earshot: ") != 3 {
		t.Errorf("exit code %d, want 2 and three lines:\n%s", code, errs)
	}
}

func TestBadUsageIsExitCodeTwo(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"rnu"}, {"run", "--frobnicate"}, {"-c", "nowhere.yaml", "run"}, {"--set", "media.no=1", "run"}, {}} {
		code, out, errs := finish(t, folder(t), 5*time.Second, args...)
		if code != 2 || out != "" || !strings.HasPrefix(errs, "earshot: ") {
			t.Errorf("%v: exit code %d, standard output %q, standard error %q: want 2, none, and what to do", args, code, out, errs)
		}
	}
}

func TestAFolderThatCannotBeWrittenIsAClearError(t *testing.T) {
	t.Parallel()
	sim := ringCentral(t, 1)
	d := write(t, string(sim.YAML("tls")))
	if err := os.WriteFile(d.dir, []byte("a file where the folder should be"), 0o600); err != nil {
		t.Fatal(err)
	}
	dirs := []string{d.dir, filepath.Join(d.dir, "below"), "/proc/earshot"}
	if os.Getuid() != 0 {
		closed := folder(t)
		if err := os.Chmod(closed, 0o500); err != nil { //nolint:gosec // on purpose
			t.Fatal(err)
		}
		dirs = append(dirs, filepath.Join(closed, "rec"))
	}
	for _, dir := range dirs {
		code, _, errs := finish(t, d.home, 5*time.Second, "-c", d.config, "--set=record.dir="+dir, "run")
		if code != 1 || !strings.HasPrefix(errs, "earshot: ") || !strings.Contains(errs, dir) || !strings.Contains(errs, "record.dir") {
			t.Errorf("record.dir %s: exit code %d, want 1 and an error that names record.dir:\n%s", dir, code, errs)
		}
	}
	if n := sim.Requests(); len(n) > 0 {
		t.Errorf("RingCentral was asked before that: %v", n)
	}
}

func TestASecondRunOnTheSameFolderIsRefused(t *testing.T) {
	t.Parallel()
	sim := ringCentral(t, 1)
	d := write(t, string(sim.YAML("tls"))).runReady(t, quick)
	calls := begin(t, sim, 1, func(int) ringsim.CallSpec { return ringsim.CallSpec{} })
	supervised(t, calls)
	for _, flags := range [][]string{nil, {"--set=control.socket=" + filepath.Join(d.home, "other.sock")}} {
		code, _, errs := finish(t, d.home, 5*time.Second, append([]string{"-c", d.config, "run"}, flags...)...)
		if code != 1 || !strings.HasPrefix(errs, "earshot: ") || !strings.Contains(errs, "another earshot") || !strings.Contains(errs, "hint: ") {
			t.Errorf("%v: exit code %d, want 1, and a line that says what to do:\n%s", flags, code, errs)
		}
	}
	said(t, calls, time.Second)
	hangUp(t, calls)
	d.sealed(t, 1, 3*time.Second)
	if d.status(t).Ready != true {
		t.Error("the first one is not ready any more")
	}
	d.terminate(t)
	compareAll(t, d, calls)
}
