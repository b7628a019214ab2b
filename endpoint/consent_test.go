package endpoint_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/endpoint"
	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
	"github.com/earshot/earshot/internal/who"
)

// asking is a configuration whose calls need consent.
func asking(until string) func(*endpoint.Config) {
	return func(c *endpoint.Config) {
		c.Consent = endpoint.ConsentConfig{Mode: endpoint.ConsentRequired, Basis: "announcement 7", Until: until}
	}
}

// consentIn is what a manifest says of consent, as JSON without blanks.
func consentIn(t *testing.T, dir string) (mode, state, basis, by string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "recording.json"))
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Consent struct{ Mode, State, Basis, By string }
	}
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	return m.Consent.Mode, m.Consent.State, m.Consent.Basis, m.Consent.By
}

// stateOf is a live call's consent.
func stateOf(ep *endpoint.Endpoint, id string) string {
	for _, c := range ep.Status().Calls {
		if c.ID == id {
			return c.Consent
		}
	}
	return "no call"
}

// allMasked wants a recording without a sample that was heard.
func allMasked(t *testing.T, r oracle.Recording) {
	t.Helper()
	for ch, pcm := range r.PCM {
		if i := slices.IndexFunc(pcm, func(v int16) bool { return v != 0 }); i >= 0 {
			t.Fatalf("%s: channel %d, sample %d is heard", r.Dir, ch, i)
		}
	}
	if r.Samples == 0 {
		t.Errorf("%s holds nothing at all", r.Dir)
	}
}

// What is said before consent is nowhere, what is said after it is there: what is loud was said before.
func TestWhatIsSaidBeforeConsentIsNowhere(t *testing.T) {
	dir := t.TempDir()
	sim := unlimited(t, nil)
	ep, stop := masking(t, dir, sim, asking(endpoint.UntilMask))
	c, k := cardCall(t, sim, "108")
	k.said.Store(true)
	id := c.SessionID()
	talks(t, ep, id, 2)
	if got := stateOf(ep, id); got != "waiting" {
		t.Errorf("status: got %q", got)
	}
	k.said.Store(false)
	goesOnFor(t, ep, id, 0.5)
	done, err := ep.Consent(who.With(t.Context(), "uid 7, pid 9"), "", "108", endpoint.ConsentRequest{Given: true, Evidence: "ivr/7.wav", By: "customer"})
	if err != nil || done.State != "given" || !done.Changed || done.NotDurable != "" || done.Call != id {
		t.Fatalf("got %+v, %v", done, err)
	}
	goesOnFor(t, ep, id, 1)
	c.Hangup()
	<-c.Done()
	stop()
	r := nothingLoud(t, dir)[0]
	if mode, state, basis, by := consentIn(t, r.Dir); mode != "required" || state != "given" || basis != "announcement 7" || by != "customer" {
		t.Errorf("manifest: %s, %s, %s, %s", mode, state, basis, by)
	}
	if masks := masksOf(t, r.Dir); len(masks) != 1 || masks[0].By != "consent" || masks[0].Pos != 0 || masks[0].To == nil {
		t.Errorf("masks: %+v", masks)
	}
	leaves, _ := os.ReadFile(filepath.Join(dir, "evidence", "log", "leaves.jsonl"))
	if want := `"call":"` + id + `","who":"uid 7, pid 9","act":"consent","why":"given by customer: announcement 7"`; strings.Count(string(leaves), want) != 1 {
		t.Errorf("want once %s in\n%s", want, leaves)
	}
}

// With memory nothing is lost: what waited is there, to the sample.
func TestWhatWaitsInMemoryIsThereAfterConsent(t *testing.T) {
	dir := t.TempDir()
	sim := unlimited(t, nil)
	ep, stop := listeningAs(t, sim, dir, asking(endpoint.UntilMemory))
	c := begin(t, sim, ringsim.CallSpec{Agent: "108"})
	id := c.SessionID()
	talks(t, ep, id, 2)
	goesOnFor(t, ep, id, 2)
	partial, err := filepath.Glob(filepath.Join(dir, "*", "*", "*", "*.partial", "audio.wav"))
	if err != nil || partial != nil {
		t.Errorf("audio is on the disk before consent: %v, %v", partial, err)
	}
	if _, err := ep.Consent(t.Context(), id, "", endpoint.ConsentRequest{Given: true}); err != nil {
		t.Fatal(err)
	}
	goesOnFor(t, ep, id, 1.5)
	c.Hangup()
	<-c.Done()
	stop()
	oracle.CompareCall(t, c, oracle.ByCall(t, dir)[id])
}

func TestWithoutConsentNothingIsEverHeard(t *testing.T) {
	for _, until := range []string{endpoint.UntilMask, endpoint.UntilMemory} {
		for _, said := range []string{"waiting", "refused", "withdrawn"} {
			dir := t.TempDir()
			sim := unlimited(t, nil)
			ep, stop := listeningAs(t, sim, dir, asking(until))
			c, k := cardCall(t, sim, "108")
			id := c.SessionID()
			talks(t, ep, id, 2)
			if said == "withdrawn" {
				if _, err := ep.Consent(t.Context(), id, "", endpoint.ConsentRequest{Given: true}); err != nil {
					t.Fatal(err)
				}
				goesOnFor(t, ep, id, 1.5)
			}
			if said != "waiting" {
				if done, err := ep.Consent(t.Context(), id, "", endpoint.ConsentRequest{}); err != nil || done.State != "refused" {
					t.Fatalf("got %+v, %v", done, err)
				}
				k.said.Store(true)
				goesOnFor(t, ep, id, 1)
				if got := ep.Status().Calls[0]; got.Consent != "refused" || got.Masked != "consent" {
					t.Errorf("%s, %s: status %q, masked by %q", until, said, got.Consent, got.Masked)
				}
			}
			c.Hangup()
			<-c.Done()
			stop()
			r := oracle.ByCall(t, dir)[id]
			if said == "withdrawn" {
				nothingLoud(t, dir)
			} else {
				allMasked(t, r)
			}
			want := strings.Replace(said, "withdrawn", "refused", 1)
			if _, state, _, _ := consentIn(t, r.Dir); state != want {
				t.Errorf("%s, %s: manifest says %q", until, said, state)
			}
		}
	}
}

// What was said counts in the next process too, for a call that goes on.
func TestConsentIsKnownToTheNextProcess(t *testing.T) {
	for _, given := range []bool{true, false} {
		dir := t.TempDir()
		sim := unlimited(t, nil)
		ep, stop := listeningAs(t, sim, dir, asking(endpoint.UntilMask))
		c := begin(t, sim, ringsim.CallSpec{Agent: "108"})
		id := c.SessionID()
		talks(t, ep, id, 2)
		if _, err := ep.Consent(t.Context(), id, "", endpoint.ConsentRequest{Given: given}); err != nil {
			t.Fatal(err)
		}
		stop()
		ep, stop = listeningAs(t, sim, dir, asking(endpoint.UntilMask))
		talks(t, ep, id, 2)
		if got, want := stateOf(ep, id), map[bool]string{true: "given", false: "refused"}[given]; got != want {
			t.Errorf("in the next process: got %q, want %q", got, want)
		}
		c.Hangup()
		<-c.Done()
		stop()
		heard := 0
		for _, r := range oracle.All(t, dir) {
			for _, pcm := range r.PCM {
				for _, v := range pcm {
					if v != 0 {
						heard++
					}
				}
			}
		}
		if given != (heard > 8000) || !given && heard > 0 {
			t.Errorf("given %v: %d samples are heard", given, heard)
		}
	}
}

func TestThePolicysHookMayConsent(t *testing.T) {
	dir := t.TempDir()
	sim := unlimited(t, nil)
	ep, stop := listeningAs(t, sim, dir, func(c *endpoint.Config) {
		asking(endpoint.UntilMask)(c)
		c.Supervisors[0].RingCentral.Policy.Hook.Command = []string{"/bin/echo", `{"join":true,"consent":true,"basis":"queue announcement"}`}
	})
	c := begin(t, sim, ringsim.CallSpec{Agent: "108"})
	id := c.SessionID()
	talks(t, ep, id, 2)
	c.Hangup()
	<-c.Done()
	stop()
	r := oracle.ByCall(t, dir)[id]
	oracle.CompareCall(t, c, r)
	if _, state, basis, by := consentIn(t, r.Dir); state != "given" || basis != "queue announcement" || by != "policy hook" {
		t.Errorf("manifest: %s, %s, %s", state, basis, by)
	}
}

func TestWhatIsNotStatedIsSaid(t *testing.T) {
	dir := t.TempDir()
	sim := unlimited(t, nil)
	ep, stop := listeningAs(t, sim, dir, func(*endpoint.Config) {})
	c := begin(t, sim, ringsim.CallSpec{Agent: "108"})
	id := c.SessionID()
	talks(t, ep, id, 2)
	if _, err := ep.Consent(t.Context(), id, "", endpoint.ConsentRequest{Given: true}); !errors.Is(err, endpoint.ErrBadConsent) {
		t.Errorf("consent where none is required: got %v", err)
	}
	c.Hangup()
	<-c.Done()
	stop()
	if mode, state, _, _ := consentIn(t, oracle.ByCall(t, dir)[id].Dir); mode != "not stated" || state != "" {
		t.Errorf("manifest: %q, %q", mode, state)
	}
	cfg := against(t, sim, "udp", t.TempDir())
	cfg.Consent.Mode = endpoint.ConsentAssumed
	if _, err := endpoint.New(cfg); err == nil || !strings.Contains(err.Error(), "needs a basis") {
		t.Errorf("assumed without a basis: got %v", err)
	}
}

// During a take-over who asks reaches the new process, and the older one hears the call.
func TestConsentReachesTheOlderProcess(t *testing.T) {
	dir := t.TempDir()
	sim := world(t)
	first := workAs(t, sim, dir, false, asking(endpoint.UntilMask))
	c := ring(t, sim, "108", ringsim.FormTwoDialogs)
	id := c.SessionID()
	said(t, c)
	next := workAs(t, sim, dir, true, asking(endpoint.UntilMask))
	first.handOver(next, 1)
	for _, given := range []bool{true, false} {
		done, err := next.Consent(t.Context(), id, "", endpoint.ConsentRequest{Given: given, By: "customer"})
		want := map[bool]string{true: "given", false: "refused"}[given]
		if err != nil || done.State != want || !done.Changed || done.From.IsZero() {
			t.Fatalf("got %+v, %v", done, err)
		}
		if got := stateOf(first.Endpoint, id); got != want {
			t.Errorf("in the process that hears it: got %q, want %q", got, want)
		}
	}
	c.Hangup()
	<-c.Done()
	first.tell(next, "the older process has no call", func() bool { return len(first.Held()) == 0 })
	first.ends("its last call has ended")
	next.OlderGone()
	next.stop()
	if _, state, _, by := consentIn(t, oracle.ByCall(t, dir)[id].Dir); state != "refused" || by != "customer" {
		t.Errorf("manifest: %s by %s", state, by)
	}
}

// A call whose customer agreed goes on with somebody who did not.
func TestALaterRefusalInTheOtherSessionCounts(t *testing.T) {
	dir := t.TempDir()
	sim := unlimited(t, nil)
	ep, stop := listeningAs(t, sim, dir, asking(endpoint.UntilMask))
	c := begin(t, sim, ringsim.CallSpec{Agent: "108"})
	id := c.SessionID()
	talks(t, ep, id, 2)
	consult, err := c.Consult(ringsim.CallSpec{Peer: "109"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ep.Consent(t.Context(), id, "", endpoint.ConsentRequest{Given: true}); err != nil {
		t.Fatal(err)
	}
	other := consult.SessionID() // as if it had been heard, and refused
	page := fmt.Sprintf(`{"version":1,"id":%q,"consent":{"mode":"required","state":"refused","at":%q}}`, other, time.Now().UTC().Format(time.RFC3339Nano))
	sum := sha256.Sum256([]byte(other))
	if err := os.WriteFile(filepath.Join(dir, "state", "consent", hex.EncodeToString(sum[:16])+".json"), []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	oracle.Eventually(t, 10*time.Second, "the consultation between colleagues is excused", func() bool {
		return strings.HasPrefix(waiting(ep, consult.SessionID()), "excused")
	})
	if err := c.TransferAttended(consult); err != nil {
		t.Fatal(err)
	}
	oracle.Eventually(t, 20*time.Second, "masked", func() bool {
		calls := ep.Status().Calls
		return len(calls) == 1 && calls[0].Consent == "refused" && calls[0].Masked == "consent" && len(calls[0].Tracks) > 2
	})
	consult.Hangup()
	<-consult.Done()
	stop()
}
