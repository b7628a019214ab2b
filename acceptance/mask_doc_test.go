package acceptance

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/ringsim"
)

// variable is what differs from one run to the next.
var variable = regexp.MustCompile(`\d\d:\d\d:\d\d\.\d{3}|sample \d+`)

// TestTheExamplesOfTheMaskingPageAreTrue runs each command of the page, and wants the lines below it.
func TestTheExamplesOfTheMaskingPageAreTrue(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/masking.md")
	if err != nil {
		t.Fatal(err)
	}
	sim := ringCentral(t, 1)
	d := write(t, string(sim.YAML("tls"))).runReady(t, quick)
	c, err := sim.StartCall(ringsim.CallSpec{Agent: agent(0)})
	if err != nil {
		t.Fatal(err)
	}
	said(t, []*ringsim.Call{c}, 5*time.Second)
	same := func(s string) string {
		return variable.ReplaceAllString(strings.ReplaceAll(s, c.SessionID(), "CALL"), "#")
	}
	n := 0
	lines := strings.Split(string(page), "\n")
	for i, l := range lines {
		line, ok := strings.CutPrefix(strings.TrimSpace(l), "$ earshot ")
		if !ok {
			continue
		}
		n++
		indent := l[:strings.Index(l, "$")]
		var want strings.Builder
		for _, next := range lines[i+1:] {
			text, ok := strings.CutPrefix(next, indent)
			if !ok || text == "" || text[0] == '$' || text[0] == ' ' {
				break
			}
			want.WriteString(text + "\n")
		}
		code, out, errs := d.command(t, words(strings.ReplaceAll(line, "CALL", c.SessionID()))...)
		if code != 0 || same(out) != same(want.String()) {
			t.Errorf("earshot %s: exit code %d, %s\ngot:\n%swant:\n%s", line, code, errs, out, want.String())
		}
	}
	if n != 4 {
		t.Errorf("%d commands on the page, want 4", n)
	}
}

// words splits a command line; "..." is one word.
func words(line string) (out []string) {
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			out = append(out, part)
		} else {
			out = append(out, strings.Fields(part)...)
		}
	}
	return out
}
