package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/earshot/earshot/cmd/earshot/internal/config"
)

func TestConfigurationPageIsUpToDate(t *testing.T) {
	page, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	var table []string
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "|") {
			table = append(table, line)
		}
	}
	var want bytes.Buffer
	if err := config.Markdown(&want); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(table, ""); got != want.String() {
		t.Errorf("docs/configuration.md is stale: replace its table by the output of `earshot config --markdown`")
	}
}

func TestUsageErrorsEndWithCode2(t *testing.T) {
	for _, args := range [][]string{{}, {"frob"}, {"run", "-c", "no-such.yaml"}, {"run", "--set", "sip.domian=x"}, {"listen", "--track", "both"}, {"demo", "--for", "soon"}} {
		var out, errs bytes.Buffer
		code := run(t.Context(), process{args: args, out: &out, err: &errs})
		if code != exitUsage || out.Len() > 0 || !strings.HasPrefix(errs.String(), "earshot: ") {
			t.Errorf("%q: got code %d, stdout %q, stderr %q", args, code, &out, &errs)
		}
	}
}

func TestHelpEndsWithCode0(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run(t.Context(), process{args: []string{"--help"}, out: &out, err: &errs}); code != exitDone || !strings.Contains(out.String(), "demo") {
		t.Errorf("got code %d, stdout %q", code, &out)
	}
}
