package acceptance

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
)

func TestDrainEndsWithTheLastCallAndLosesNoSample(t *testing.T) {
	t.Parallel()
	sim := jealous(t, 3)
	d := write(t, string(sim.YAML("tls"))).runReady(t, quick)
	calls := begin(t, sim, 2, func(i int) ringsim.CallSpec { return ringsim.CallSpec{Law: law(i)} })
	said(t, calls, time.Second)

	wait := start(t, d.home, "-c", d.config, "drain", "--wait")
	oracle.Eventually(t, 10*time.Second, "drain has begun", func() bool { return strings.Contains(wait.out.String(), "2 to end") })
	if code, out, errs := d.command(t, "drain"); code != 0 || !strings.Contains(out, "2 to end") {
		t.Errorf("drain, again: exit code %d, %q, %q", code, out, errs)
	}
	if code, body := d.get("/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "FAIL draining") {
		t.Errorf("readyz: %d\n%s", code, body)
	}
	if _, out, _ := d.command(t, "status"); !strings.Contains(out, "draining") {
		t.Errorf("status says nothing of it:\n%s", out)
	}
	late, err := sim.StartCall(ringsim.CallSpec{Agent: agent(2)})
	if err != nil {
		t.Fatal(err)
	}
	// One that drops is joined again.
	before := calls[0].Streams()
	drop(t, before)
	heardAgain(t, calls[0], len(before))
	for _, s := range calls[0].Streams()[len(before):] {
		heard(t, s, time.Second)
	}
	hangUp(t, calls[:1])
	said(t, calls[1:], 2*time.Second)
	if !d.alive() || !wait.alive() {
		t.Error("ended before the last call")
	}
	hangUp(t, calls[1:])
	if code := d.wait(t, 15*time.Second); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if code := wait.wait(t, 10*time.Second); code != 0 || !strings.Contains(wait.out.String(), "ended, every recording is sealed") {
		t.Errorf("drain --wait: exit code %d, %q", code, wait.out.String())
	}
	if n := len(late.Streams()); n != 0 {
		t.Errorf("the call that came later has %d streams, want none", n)
	}
	hangUp(t, []*ringsim.Call{late})

	all := oracle.All(t, d.dir)
	for _, c := range calls[1:] {
		wholeCall(t, all, c)
	}
	if p := partsOf(all, calls[0]); len(p) != 1 || p[0].State != "partial" || len(p[0].Missing) != 2 || p[0].Missing[0].What != "gap" {
		t.Errorf("the call that dropped: got %d parts, want one, partial, with a gap for each party", len(p))
	} else {
		oracle.Compare(t, "the call that dropped", calls[0].Streams(), p[0], oracle.Limits{ApartSamples: apartSamples})
	}
	if p := partsOf(all, late); len(p) != 1 || p[0].State != "no_media" || p[0].Cause != "shutdown" {
		t.Errorf("the call that came later: %+v, want a record without audio", p)
	}
	noDouble(t, sim)
}
