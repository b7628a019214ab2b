package endpoint_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/endpoint"
	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/media"
)

// TestAnAgentsTriggerMasksAndUnmasks; what of media's events is one, package media tests.
func TestAnAgentsTriggerMasksAndUnmasks(t *testing.T) {
	dir := t.TempDir()
	sim := unlimited(t, nil)
	ep, stop := masking(t, dir, sim, func(c *endpoint.Config) { c.Media.Triggers = media.Triggers{On: "*1", Off: "*2"} })
	c, _ := cardCall(t, sim, "108")
	id := c.SessionID()
	talks(t, ep, id, 2)
	ep.Dialled("another", true, 0)
	ep.Dialled(id, true, 1)
	oracle.Eventually(t, 5*time.Second, "masked, and known to a restart", func() bool {
		return ep.Status().Calls[0].Masked == "pci" && strings.Contains(maskState(t, dir), id)
	})
	ep.Dialled(id, false, 1)
	oracle.Eventually(t, 5*time.Second, "unmasked", func() bool { return ep.Status().Calls[0].Masked == "" })
	c.Hangup()
	<-c.Done()
	stop()
	leaves, _ := os.ReadFile(filepath.Join(dir, "evidence", "log", "leaves.jsonl"))
	if !strings.Contains(string(leaves), `"who":"agent 108 of the call","act":"mask","why":"dialled by the agent"`) {
		t.Errorf("evidence log:\n%s", leaves)
	}
}

func TestWhatIsSaidOnHoldIsMaskedWhereThatIsWanted(t *testing.T) {
	dir := t.TempDir()
	sim := unlimited(t, nil)
	ep, stop := masking(t, dir, sim, func(c *endpoint.Config) { c.MaskHolds = true })
	c, k := cardCall(t, sim, "108")
	id := c.SessionID()
	talks(t, ep, id, 2)
	c.Hold()
	oracle.Eventually(t, 5*time.Second, "masked", func() bool { return ep.Status().Calls[0].Masked == "hold" })
	k.said.Store(true)
	goesOnOrHolds(t, ep, id)
	k.said.Store(false)
	c.Resume()
	oracle.Eventually(t, 5*time.Second, "unmasked", func() bool { return ep.Status().Calls[0].Masked == "" })
	goesOnFor(t, ep, id, 1)
	c.Hangup()
	<-c.Done()
	stop()
	for _, r := range nothingLoud(t, dir) {
		if masks := masksOf(t, r.Dir); len(masks) != 1 || masks[0].By != "hold" || masks[0].To == nil {
			t.Errorf("masks: %+v", masks)
		}
	}
}

// goesOnOrHolds waits for a second of what a call on hold brings, if it brings anything.
func goesOnOrHolds(t *testing.T, ep *endpoint.Endpoint, id string) {
	t.Helper()
	begun := time.Now()
	oracle.Eventually(t, 5*time.Second, "a while on hold", func() bool { return ep.Status().Calls[0].ID == id && time.Since(begun) > time.Second })
}

func TestAMaskOfNoCallIsRefused(t *testing.T) {
	sim := unlimited(t, nil)
	ep, _ := masking(t, t.TempDir(), sim, nil)
	for _, id := range []string{"nobody", ""} {
		if _, err := ep.Mask(t.Context(), id, "", endpoint.MaskRequest{}); !errors.Is(err, endpoint.ErrNoCall) {
			t.Errorf("%q: got %v", id, err)
		}
	}
	if _, err := ep.Unmask(t.Context(), "", "999"); !errors.Is(err, endpoint.ErrNoCall) {
		t.Errorf("an agent without a call: got %v", err)
	}
}
