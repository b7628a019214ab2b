package acceptance

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/oracle"
)

// startSim runs `earshot sim` and waits for what it prints.
func startSim(t *testing.T, args ...string) (p *process, fits string) {
	t.Helper()
	p = start(t, folder(t), append([]string{"sim", "--no-limits"}, args...)...)
	last := regexp.MustCompile(`(?m)^(  mode: .*|SIP_INFO_USERNAME=.*)\n`) // of the YAML, of the .env
	oracle.Eventually(t, 10*time.Second, "a configuration on standard output", func() bool { return last.MatchString(p.out.String()) })
	return p, p.out.String()
}

func TestTwoProcessesSimAndRun(t *testing.T) {
	t.Parallel()
	sim, yaml := startSim(t, "--every=1s", "--for=2s")
	home := folder(t)
	file := filepath.Join(home, "from-sim.yaml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	// Nothing but what sim printed, and where things go.
	d := daemon{home: home, dir: filepath.Join(home, "recordings"), config: file}.run(t, quick)
	wantSpeech(t, d, sim)
}

func TestAnEnvFileFromSimNeedsNoYAML(t *testing.T) {
	t.Parallel()
	sim, env := startSim(t, "--env", "--every=1s", "--for=2s")
	home := folder(t)
	file := filepath.Join(home, "softphone.env")
	if err := os.WriteFile(file, []byte(env), 0o600); err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(home, "ca.pem")
	d := daemon{home: home, dir: filepath.Join(home, "rec")}
	args := []string{"--env-file", file, "--set=record.dir=" + d.dir, "--set=supervise.agents=108,109,110", quick, "run"}
	if strings.Contains(env, "CA_FILE") {
		t.Logf("the .env names an authority; %s is not needed", ca)
	} else {
		args = append([]string{"--set=sip.tls.insecure_skip_verify=true"}, args...)
	}
	d.process = start(t, home, args...)
	wantSpeech(t, d, sim)
}

// wantSpeech waits for a recording of each form, and looks at what is in it.
func wantSpeech(t *testing.T, d daemon, sim *process) {
	t.Helper()
	var sealed []string
	oracle.Eventually(t, 20*time.Second, "three recordings sealed", func() bool {
		if !d.alive() || !sim.alive() {
			t.Fatalf("ended:\n%s\n%s", d.log.String(), sim.log.String())
		}
		sealed, _ = oracle.Folders(t, d.dir)
		return len(sealed) >= 3
	})
	d.terminate(t)
	sim.terminate(t)
	for _, f := range sealed {
		r := oracle.Read(t, f)
		if r.State != "recorded" || r.Samples < 8000 {
			t.Errorf("%s: %s, cause %s, %d samples, want a second of a recorded call", f, r.State, r.Cause, r.Samples)
			continue
		}
		loud := 0 // the agent may not have said anything yet
		for _, pcm := range r.PCM {
			for _, v := range pcm {
				if v > 500 || v < -500 {
					loud++
				}
			}
		}
		if loud < 400 {
			t.Errorf("%s: %d loud samples of %d, want speech", f, loud, r.Samples)
		}
	}
}

func TestDemoRecordsThreeCallsOfEachForm(t *testing.T) {
	t.Parallel()
	home := folder(t)
	begun := time.Now()
	code, out, errs := finish(t, home, 60*time.Second, "demo", "--for", "5s", "--out", "shown")
	took := time.Since(begun)
	if code != 0 || errs != "" {
		t.Fatalf("exit code %d, standard error %q", code, errs)
	}
	row := regexp.MustCompile(`(?m)^(customer \+ agent|agent \+ customer|mix) +(\d+\.\d) +0 +(\d) of (\d) +(\S+)$`)
	rows := row.FindAllStringSubmatch(out, -1)
	if len(rows) != 3 || !strings.Contains(out, "parties") || !strings.Contains(out, "customer left, agent right") {
		t.Fatalf("no table of three calls:\n%s", out)
	}
	two, srtp := 0, false
	for _, m := range rows {
		path := m[5]
		if !filepath.IsAbs(path) {
			path = filepath.Join(home, path)
		}
		r := oracle.Read(t, filepath.Dir(path))
		if len(r.Channels) == 2 {
			two++
			if r.Channels[0] != "customer" || r.Channels[1] != "agent" {
				t.Errorf("%s: channels %v, want the customer left", path, r.Channels)
			}
		}
		if r.State != "recorded" || r.Samples < 3*8000 || r.Samples > 6*8000 {
			t.Errorf("%s: %s, %d samples, want about 5 s recorded", path, r.State, r.Samples)
		}
		srtp = srtp || m[3] != "0"
	}
	if two != 2 || !srtp {
		t.Errorf("%d calls of two channels, SRTP %v: want 2 and some", two, srtp)
	}
	if !strings.Contains(out, "calls live") {
		t.Errorf("no progress shown:\n%s", out)
	}
	t.Logf("demo took %v", took.Round(time.Millisecond))
}
