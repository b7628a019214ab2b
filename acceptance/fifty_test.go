package acceptance

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
)

func TestFiftyCallsAtOnceHaveEverySample(t *testing.T) {
	n, length := 50, 30*time.Second
	if testing.Short() {
		n, length = 10, 5*time.Second
	}
	sim := ringCentral(t, n)
	d := write(t, string(sim.YAML("tls"))).runReady(t, quick)
	begun := time.Now()
	calls := begin(t, sim, n, func(i int) ringsim.CallSpec { return ringsim.CallSpec{Law: law(i)} })
	supervised(t, calls)
	joined := time.Since(begun)
	said(t, calls, length)
	hangUp(t, calls)
	last := time.Now()
	d.sealed(t, n, 3*time.Second)
	sealed := time.Since(last)
	took := d.terminate(t)

	compareAll(t, d, calls)
	samples := int64(0)
	for _, r := range oracle.All(t, d.dir) {
		if len(r.Tracks) != 2 || len(r.Channels) != 2 {
			t.Errorf("%s: %d tracks on %v, want two", r.Dir, len(r.Tracks), r.Channels)
		}
		for _, k := range r.Tracks {
			if !k.SRTP || len(k.Spans) > 0 {
				t.Errorf("%s: track %d: srtp %v, spans %+v, want SRTP and none", r.Dir, k.ID, k.SRTP, k.Spans)
			}
		}
		samples += r.Samples * int64(len(r.Channels))
	}
	t.Logf("%d calls, all joined in %v; %d samples right; sealed %v after the last BYE; SIGTERM took %v",
		n, joined.Round(time.Millisecond), samples, sealed.Round(time.Millisecond), took.Round(time.Millisecond))
}

func TestSigtermInTheMiddleOfCallsSealsThem(t *testing.T) {
	t.Parallel()
	sim := ringCentral(t, 6)
	d := write(t, string(sim.YAML("tls"))).runReady(t, quick)
	forms := []ringsim.Form{ringsim.FormTwoDialogs, ringsim.FormTwoLines, ringsim.FormMixed}
	calls := begin(t, sim, 6, func(i int) ringsim.CallSpec {
		f := forms[i%len(forms)]
		return ringsim.CallSpec{Law: law(i), Form: f, ThirdParty: f == ringsim.FormMixed}
	})
	said(t, calls, 2*time.Second)
	until := time.Now()
	took := d.terminate(t)
	sealed, open := oracle.Folders(t, d.dir)
	if len(sealed) != len(calls) || len(open) > 0 {
		t.Fatalf("%d sealed, %d not, want %d sealed", len(sealed), len(open), len(calls))
	}
	rec := oracle.ByCall(t, d.dir)
	for _, c := range calls {
		oracle.Compare(t, "call "+c.SessionID(), c.Streams(), rec[c.SessionID()], oracle.Limits{Until: until, ApartSamples: apartSamples})
		for _, dlg := range c.Dialogs() {
			if cause := dlg.Cause(); cause == "" {
				t.Errorf("call %s: dialog %s got no BYE", c.SessionID(), dlg.CallID())
			}
		}
	}
	if lines := d.log.lines("unregistered"); len(lines) != 1 {
		t.Errorf("un-registered: %q, want one line", lines)
	}
	for _, r := range sim.Requests() {
		if strings.Contains(r.Pattern, "unknown") || slices.Contains([]string{"DELETE", "PATCH"}, r.Method) {
			t.Errorf("forbidden request: %+v", r)
		}
	}
	t.Logf("SIGTERM with %d live calls took %v", len(calls), took.Round(time.Millisecond))
}
