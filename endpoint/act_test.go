package endpoint_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/endpoint"
	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
	"github.com/earshot/earshot/internal/who"
	"github.com/earshot/earshot/stream"
)

// What people and programs do with a call is in the evidence log, with who and why: who was given the audio above all.
func TestWhoHearsAndReleasesIsInTheEvidenceLog(t *testing.T) {
	dir := t.TempDir()
	sim := unlimited(t, nil)
	ep, stop := listeningAs(t, sim, dir, func(c *endpoint.Config) {
		c.Record.Sign = true
		c.Stream.Consumers = []stream.Consumer{{Name: "asr", Command: []string{"/bin/cat"}, Per: stream.PerCall}}
	})
	c := begin(t, sim, ringsim.CallSpec{Agent: "108"})
	if err := c.WaitSupervised(t.Context()); err != nil {
		t.Fatal(err)
	}
	id := c.SessionID()
	talks(t, ep, id, 2)
	heard := make(chan error, 1)
	ctx := who.Because(who.With(t.Context(), "uid 7 (anna), pid 9"), "coaching")
	go func() { heard <- ep.Listen(ctx, id, "", stream.ListenConfig{}, io.Discard) }()
	leaves := func() string {
		b, _ := os.ReadFile(filepath.Join(dir, "evidence", "log", "leaves.jsonl"))
		return string(b)
	}
	oracle.Eventually(t, 5*time.Second, "listener and stream in the log", func() bool {
		l := leaves()
		return strings.Contains(l, `"act":"listen"`) && strings.Contains(l, `"act":"stream"`)
	})
	if _, err := ep.Release(who.With(t.Context(), "uid 8, pid 10"), id, ""); err != nil {
		t.Fatal(err)
	}
	if err := <-heard; err != nil {
		t.Errorf("listen: %v", err)
	}
	stop()
	for _, want := range []string{
		`"call":"` + id + `","who":"uid 7 (anna), pid 9","act":"listen","why":"coaching"`,
		`"call":"` + id + `","who":"earshot","act":"stream","why":"consumer asr"`,
		`"call":"` + id + `","who":"uid 8, pid 10","act":"release"`,
	} {
		if l := leaves(); strings.Count(l, want) != 1 {
			t.Errorf("want once %s in\n%s", want, l)
		}
	}
}
