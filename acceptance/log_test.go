package acceptance

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
)

// maxLines is what a call may cost at info.
const maxLines = 12

func TestACallCostsTwelveLogLinesAtMost(t *testing.T) {
	t.Parallel()
	n := 9
	sim := ringCentral(t, n)
	d := write(t, string(sim.YAML("tls"))).runReady(t, quick)
	quiet := len(d.log.lines())
	forms := []ringsim.Form{ringsim.FormTwoDialogs, ringsim.FormTwoLines, ringsim.FormMixed}
	calls := begin(t, sim, n, func(i int) ringsim.CallSpec {
		f := forms[i%len(forms)]
		return ringsim.CallSpec{Law: law(i), Form: f, ThirdParty: f == ringsim.FormMixed}
	})
	said(t, calls, 3*time.Second)
	hangUp(t, calls)
	d.sealed(t, n, 3*time.Second)
	oracle.Eventually(t, 5*time.Second, "no call in status", func() bool { return len(d.status(t).Calls) == 0 })
	log := d.log.lines()
	most := 0
	for _, c := range calls {
		names := []string{c.SessionID()}
		for _, dlg := range c.Dialogs() {
			names = append(names, dlg.CallID())
		}
		var of []string
		for _, line := range log {
			if slices.ContainsFunc(names, func(name string) bool { return strings.Contains(line, name) }) {
				of = append(of, line)
			}
		}
		most = max(most, len(of))
		if len(of) > maxLines {
			t.Errorf("%s call: %d lines, want %d at most:\n%s", c.Form(), len(of), maxLines, strings.Join(of, "\n"))
		}
	}
	if all := len(log) - quiet; all > n*maxLines {
		t.Errorf("%d lines for %d calls, want %d a call at most:\n%s", all, n, maxLines, strings.Join(log, "\n"))
	}
	for _, level := range []string{"WARN", "ERROR"} {
		if bad := d.log.lines("level=" + level); len(bad) > 0 {
			t.Errorf("nothing went wrong, and the log says:\n%s", strings.Join(bad, "\n"))
		}
	}
	d.terminate(t)
	t.Logf("%d calls: %d lines in all, %d for the most expensive", n, len(log)-quiet, most)
}

func TestARepeatedErrorIsOneLineAMinute(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, only string
		calls      int
		failures   int64
	}{
		{name: "all of RingCentral answers 500", failures: 3},
		{name: "supervise answers 500", only: "/supervise", calls: 6, failures: 36},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			sim := ringCentral(t, 6)
			proxy := newRESTProxy(t, sim.URL())
			proxy.only = c.only
			yaml := strings.ReplaceAll(string(sim.YAML("tls")), sim.URL(), proxy.server.URL)
			d := write(t, yaml).runReady(t, "--set=supervise.poll=100ms", "--set=supervise.feed=false")
			oracle.Eventually(t, 10*time.Second, "presence looked at", func() bool { return proxy.passed("/presence") > 2 })
			before := len(d.log.lines())
			proxy.fail.Store(http.StatusInternalServerError)
			calls := begin(t, sim, c.calls, func(int) ringsim.CallSpec { return ringsim.CallSpec{} })
			oracle.Eventually(t, 20*time.Second, "requests have failed", func() bool { return proxy.asked.Load() >= c.failures })
			wantQuiet(t, d, before, 2)
			proxy.fail.Store(0)
			oracle.Eventually(t, 30*time.Second, "ready again", func() bool {
				code, _ := d.get("/readyz")
				return code == http.StatusOK
			})
			hangUp(t, calls)
			d.terminate(t)
		})
	}
}

// wantQuiet wants few lines since the first before, and one warning at least.
func wantQuiet(t *testing.T, d daemon, before, most int) {
	t.Helper()
	loud := func(l string) bool { return strings.Contains(l, "level=WARN") || strings.Contains(l, "level=ERROR") }
	oracle.Eventually(t, 5*time.Second, "a warning", func() bool { return slices.ContainsFunc(d.log.lines()[before:], loud) })
	if lines := d.log.lines()[before:]; len(lines) > most {
		t.Errorf("%d lines, want %d at most:\n%s", len(lines), most, strings.Join(lines, "\n"))
	}
}

func TestNoSecretComesOut(t *testing.T) {
	for _, level := range []string{"info", "debug"} {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			noSecretComesOut(t, level)
		})
	}
}

func noSecretComesOut(t *testing.T, level string) {
	sim := ringCentral(t, 2)
	rest, relay := newRESTProxy(t, sim.URL()), newSIPRelay(t, sim.Proxy("tcp"))
	yaml := strings.ReplaceAll(string(sim.YAML("tcp")), sim.URL(), rest.server.URL)
	yaml = strings.Replace(yaml, "sip:\n", fmt.Sprintf("sip:\n  outbound_proxy: %q\n", relay.addr()), 1)
	program := filepath.Join(folder(t), "env")
	yaml += fmt.Sprintf("stream:\n  - {type: exec, command: [sh, -c, 'env >>\"$0\"; cat >/dev/null', %q]}\nlog: {level: %s}\n", program, level)
	d := write(t, yaml).runReady(t, quick)
	secure := true
	calls := begin(t, sim, 2, func(i int) ringsim.CallSpec {
		return ringsim.CallSpec{SRTP: &secure, Form: []ringsim.Form{ringsim.FormTwoDialogs, ringsim.FormTwoLines}[i]}
	})
	said(t, calls, time.Second)

	shown := map[string]string{}
	for _, args := range [][]string{{"config"}, {"config", "--json"}, {"status"}, {"status", "--json"}} {
		code, out, errs := d.command(t, args...)
		if code != 0 {
			t.Errorf("%v: exit code %d: %s", args, code, errs)
		}
		shown[strings.Join(args, " ")] = out + errs
	}
	for _, path := range []string{"/metrics", "/readyz", "/livez"} {
		_, shown[path] = d.get(path)
	}
	hangUp(t, calls)
	d.sealed(t, 2, 5*time.Second)
	d.terminate(t)
	compareAll(t, d, calls)
	shown["standard error"], shown["standard output"] = d.log.String(), d.out.String()
	for _, r := range oracle.All(t, d.dir) {
		for _, f := range []string{"recording.json", "events.jsonl"} {
			shown[f] += readFile(t, filepath.Join(r.Dir, f))
		}
	}
	shown["environment of a program"] = readFile(t, program)

	for name, secret := range secretsOf(t, rest, relay) {
		for where, text := range shown {
			if strings.Contains(text, secret) {
				t.Errorf("%s is in %s", name, where)
			}
		}
	}
	for where, text := range shown {
		if text == "" && where != "standard output" {
			t.Errorf("%s is empty", where)
		}
	}
}

var (
	keyIn    = regexp.MustCompile(`inline:([A-Za-z0-9+/=]{40,})`)
	digestIn = regexp.MustCompile(`\bresponse="([0-9a-f]{32})"`)
)

// secretsOf names all that must not come out, as it went over the wires.
func secretsOf(t *testing.T, rest *restProxy, relay *sipRelay) map[string]string {
	t.Helper()
	account := ringsim.DefaultAccount(1)
	device, app := account.Devices[0], account.Apps[0]
	a1 := md5.Sum([]byte(device.ID + ":" + ringsim.Domain + ":" + device.Password))
	out := map[string]string{
		"the JWT": account.Extensions[0].JWT, "the client secret": app.ClientSecret, "the SIP password": device.Password,
		"the basic authorization": base64.StdEncoding.EncodeToString([]byte(app.ClientID + ":" + app.ClientSecret)),
		"the digest's HA1":        hex.EncodeToString(a1[:]),
	}
	rest.mu.Lock()
	for i, s := range rest.tokens {
		out[fmt.Sprintf("token %d", i)] = s
	}
	rest.mu.Unlock()
	wire := relay.seen.String()
	keys, digests := keyIn.FindAllStringSubmatch(wire, -1), digestIn.FindAllStringSubmatch(wire, -1)
	for i, m := range keys {
		out[fmt.Sprintf("SRTP key %d", i)] = m[1]
		out[fmt.Sprintf("SRTP key %d, in part", i)] = m[1][:20]
	}
	for i, m := range digests {
		out[fmt.Sprintf("digest response %d", i)] = m[1]
	}
	if len(rest.tokens) == 0 || len(keys) < 8 || len(digests) == 0 {
		t.Errorf("%d tokens, %d keys, %d digests seen on the wires: the test looks at nothing", len(rest.tokens), len(keys), len(digests))
	}
	return out
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}
