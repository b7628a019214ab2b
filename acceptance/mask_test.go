package acceptance

import (
	"encoding/json"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
	"github.com/earshot/earshot/internal/ringsim/trunk"
)

// card is a Source that is as loud as G.711 gets while a card number is being said, and quiet else.
type card struct{ said atomic.Bool }

func (c *card) Octet(_ trunk.Law, _ int64) byte {
	if c.said.Load() {
		return 0x80
	}
	return 0xB8
}

// mask is what `earshot mask --json` and unmask say.
type mask struct {
	Call, By        string
	Masked, Changed bool
	From            time.Time
	CutShort        bool   `json:"cut_short"`
	NotDurable      string `json:"not_durable"`
}

// masks runs one of the two commands.
func (d daemon) masks(t *testing.T, args ...string) (m mask) {
	t.Helper()
	code, out, errs := d.command(t, append(args, "--json")...)
	if err := json.Unmarshal([]byte(out), &m); code != 0 || err != nil {
		t.Fatalf("%v: exit code %d, %q, %q", args, code, out, errs)
	}
	return m
}

// awaitMasked waits until status shows the call masked, or not.
func (d daemon) awaitMasked(t *testing.T, on bool) {
	t.Helper()
	oracle.Eventually(t, 20*time.Second, "masked in status", func() bool {
		_, out, _ := d.command(t, "status", "--json")
		var st struct{ Calls []struct{ Masked string } }
		return json.Unmarshal([]byte(out), &st) == nil && len(st.Calls) == 1 && (st.Calls[0].Masked == "pci") == on
	})
}

// more waits until the call's newest streams have sent so much more.
func more(t *testing.T, c *ringsim.Call, audio time.Duration) {
	t.Helper()
	newest := c.Streams()[len(c.Streams())-1]
	n := len(newest.Sent())
	oracle.Eventually(t, 20*time.Second, "more audio", func() bool { return len(newest.Sent()) > n+int(audio/(20*time.Millisecond)) })
}

// TestAMaskHoldsOverKillAndTakeover: a card number is being said from before the mask on. The process is killed at once after the answer; the next
// one hears the call masked, and hands it over; the third one is asked to end the mask, and to mask again, and the second one does it.
func TestAMaskHoldsOverKillAndTakeover(t *testing.T) {
	t.Parallel()
	sim := ringCentral(t, 1)
	k := &card{}
	first := write(t, string(sim.YAML("tls"))).runReady(t, quick)
	c, err := sim.StartCall(ringsim.CallSpec{Agent: agent(0), CustomerAudio: k, AgentAudio: k})
	if err != nil {
		t.Fatal(err)
	}
	id := c.SessionID()
	said(t, []*ringsim.Call{c}, 1500*time.Millisecond)
	k.said.Store(true)
	if m := first.masks(t, "mask", id, "--back=1s", "--why=card"); !m.Masked || m.Call != id || m.NotDurable != "" || m.CutShort {
		t.Errorf("mask: got %+v", m)
	}
	n := len(c.Streams())
	first.kill()

	second := first.runReady(t, quick, "--set=media.ports="+ports(t))
	heardAgain(t, c, n)
	second.awaitMasked(t, true)
	more(t, c, time.Second)

	third := second.takeOver(t)
	k.said.Store(false)
	more(t, c, 500*time.Millisecond)
	if m := third.masks(t, "unmask", id); !m.Changed || m.Masked {
		t.Errorf("unmask by the third process: got %+v", m)
	}
	more(t, c, time.Second)
	m := third.masks(t, "mask", "--agent", agent(0))
	if !m.Masked || !m.Changed || m.From.Before(time.Now().Add(-5*time.Second)) {
		t.Errorf("mask by the third process: got %+v", m)
	}
	k.said.Store(true)
	more(t, c, time.Second)
	hangUp(t, []*ringsim.Call{c})
	if code := second.wait(t, 15*time.Second); code != 0 {
		t.Errorf("the second process: exit code %d", code)
	}
	third.sealed(t, 2, 10*time.Second)
	third.terminate(t)

	quiet := 0
	for _, r := range oracle.All(t, first.dir) {
		for ch, pcm := range r.PCM {
			for i, v := range pcm {
				if v > 8500 || v < -8500 {
					t.Fatalf("%s: channel %d, sample %d of %d is %d: said under a mask", filepath.Base(r.Dir), ch, i, len(pcm), v)
				}
				if v != 0 {
					quiet++
				}
			}
		}
	}
	if quiet < 3*8000 {
		t.Errorf("%d samples of all else, want three seconds", quiet)
	}
}
