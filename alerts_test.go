package house_test

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/earshot/earshot/internal/needs"
)

var (
	alertName  = regexp.MustCompile(`(?m)^      - alert: (\w+)$`)
	alertExpr  = regexp.MustCompile(`(?m)^        expr: (.*)$`)
	metricName = regexp.MustCompile(`earshot_[a-z0-9_]+`)
	matcher    = regexp.MustCompile(`\w+=~?"([^"]+)"`)
)

// TestEachAlertStandsOnMetricsThatExist: an alert on a name that nobody counts never fires.
func TestEachAlertStandsOnMetricsThatExist(t *testing.T) {
	rules, err := os.ReadFile("deploy/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile("console/metrics.go")
	if err != nil {
		t.Fatal(err)
	}
	var words strings.Builder // where the values of labels stand
	for _, f := range house(t) {
		if !f.test && (f.dir() == "sip" || f.dir() == "media" || f.dir() == "call" || f.dir() == "supervise" || f.dir() == "endpoint") {
			src, err := os.ReadFile(f.path)
			if err != nil {
				t.Fatal(err)
			}
			words.Write(src)
		}
	}
	exprs := alertExpr.FindAllStringSubmatch(string(rules), -1)
	if n := len(alertName.FindAllString(string(rules), -1)); len(exprs) != n || n < 10 {
		t.Fatalf("%d alerts with %d expressions", n, len(exprs))
	}
	for _, e := range exprs {
		for _, name := range metricName.FindAllString(e[1], -1) {
			if !strings.Contains(string(table), `"`+name+`"`) {
				t.Errorf("%s: no such metric: %s", name, e[1])
			}
		}
		if strings.Contains(e[1], "up{") {
			continue
		}
		for _, m := range matcher.FindAllStringSubmatch(e[1], -1) {
			for v := range strings.SplitSeq(m[1], "|") {
				if !strings.Contains(words.String(), `"`+v+`"`) && !regexp.MustCompile(`\b`+v+`: +"`).MatchString(words.String()) {
					t.Errorf("%q: no label has that value: %s", v, e[1])
				}
			}
		}
		if strings.Count(e[1], "(") != strings.Count(e[1], ")") || strings.Count(e[1], "{") != strings.Count(e[1], "}") || strings.Count(e[1], `"`)%2 != 0 {
			t.Errorf("unbalanced: %s", e[1])
		}
	}
}

func TestEachAlertHasItsEntryInTheRunbook(t *testing.T) {
	rules, err := os.ReadFile("deploy/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("docs/runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	var alerts, entries []string
	for _, m := range alertName.FindAllStringSubmatch(string(rules), -1) {
		alerts = append(alerts, m[1])
	}
	for _, m := range regexp.MustCompile(`(?m)^## (\w+)\n\n(.*)`).FindAllStringSubmatch(string(page), -1) {
		entries = append(entries, m[1])
		if len(m[2]) < 40 {
			t.Errorf("docs/runbook.md: %s: says too little: %q", m[1], m[2])
		}
	}
	if !slices.Equal(alerts, entries) {
		t.Errorf("alerts %v\nentries of docs/runbook.md %v\nwant the same, in the same order", alerts, entries)
	}
}

// TestUnitIsOneThatSystemdTakes needs systemd-analyze, and fails without it in CI.
func TestUnitIsOneThatSystemdTakes(t *testing.T) {
	unit, err := os.ReadFile("deploy/earshot.service")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Type=notify\n", "WatchdogSec=", "NoNewPrivileges=yes\n", "ProtectSystem=strict\n", "RestartPreventExitStatus=2\n", "ExecStart=/usr/local/bin/earshot run "} {
		if !strings.Contains(string(unit), "\n"+want) {
			t.Errorf("deploy/earshot.service lacks %q", want)
		}
	}
	needs.Programs(t, "systemd-analyze")
	path := t.TempDir() + "/earshot.service"
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(unit), "/usr/local/bin/earshot", "/bin/true")), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"verify", path}, {"security", "--offline=true", "--no-pager", "--threshold=20", path}} {
		if out, err := exec.CommandContext(t.Context(), "systemd-analyze", args...).CombinedOutput(); err != nil || args[0] == "verify" && len(out) > 0 {
			t.Errorf("systemd-analyze %v: %v: %s", args, err, out)
		}
	}
}
