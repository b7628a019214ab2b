package endpoint_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/endpoint"
	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/supervise"
)

// spy is a sink that remembers what it got of every call.
type spy struct {
	mu     sync.Mutex
	heard  map[string]int64 // samples with audio, by call
	masked map[string]int64
}

func newSpy() *spy { return &spy{heard: map[string]int64{}, masked: map[string]int64{}} }

type spying struct {
	spy  *spy
	call string
}

func (s spying) Write(b *media.Batch) {
	s.spy.mu.Lock()
	defer s.spy.mu.Unlock()
	for _, f := range b.Frames {
		s.spy.heard[s.call] += int64(len(f.PCM) + len(f.Octets))
		if f.Kind == media.KindMasked {
			s.spy.masked[s.call] += f.Samples
		}
	}
}

func (spying) End(call.Cause) {}

func (s *spy) of(id string) (heard, masked int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heard[id], s.masked[id]
}

// listeningAs is listening over UDP, in party mode, with another configuration.
func listeningAs(t *testing.T, sim *ringsim.Sim, dir string, change func(*endpoint.Config)) (ep *endpoint.Endpoint, stop func()) {
	t.Helper()
	cfg := against(t, sim, "udp", dir)
	change(&cfg)
	ep, stop = started(t, cfg)
	oracle.Eventually(t, 10*time.Second, "registered and logged in", ep.Ready)
	return ep, stop
}

// hook is a configuration whose hook says a word, and whose sink is the spy.
func hook(word string, s *spy) func(*endpoint.Config) {
	return func(c *endpoint.Config) {
		c.Supervisors[0].RingCentral.Policy.Hook = supervise.Hook{Command: []string{"/bin/echo", word}}
		c.Sink = func(i call.Info) media.Sink { return spying{s, i.ID} }
	}
}

// wantSilence wants a recording in that state, that is masked from its first sample to its last, and says on whose word.
func wantSilence(t *testing.T, r oracle.Recording, state string) {
	t.Helper()
	if r.State != state || r.Samples == 0 || len(r.Tracks) == 0 {
		t.Errorf("%s: %s, cause %s, %d samples, %d tracks", r.Dir, r.State, r.Cause, r.Samples, len(r.Tracks))
	}
	for _, k := range r.Tracks {
		other := slices.ContainsFunc(k.Spans, func(s oracle.Span) bool { return s.Kind != "masked" })
		if other || len(k.Spans) != 1 || k.Spans[0].Pos != 0 {
			t.Errorf("%s: spans %+v, want all of it masked", k.Role, k.Spans)
		}
	}
	for ch, pcm := range r.PCM {
		if slices.ContainsFunc(pcm, func(v int16) bool { return v != 0 }) {
			t.Errorf("channel %d of %s is not silent", ch, r.Dir)
		}
	}
	manifest, err := os.ReadFile(filepath.Join(r.Dir, "recording.json"))
	if err != nil || !strings.Contains(string(manifest), `"masked": "hook"`) {
		t.Errorf("manifest of %s does not say on whose word it is masked (%v)", r.Dir, err)
	}
}

func TestMaskHoldsFromTheFirstSampleInEveryFormAndOverRejoins(t *testing.T) {
	dir, s := t.TempDir(), newSpy()
	sim := unlimited(t, nil)
	ep, stop := listeningAs(t, sim, dir, hook("masked", s))
	var calls []*ringsim.Call
	for i, form := range []ringsim.Form{ringsim.FormTwoDialogs, ringsim.FormTwoLines, ringsim.FormMixed} {
		calls = append(calls, begin(t, sim, ringsim.CallSpec{Agent: agents[i], Form: form, ThirdParty: form == ringsim.FormMixed}))
	}
	masked := func(least int64) {
		t.Helper()
		for _, c := range calls {
			oracle.Eventually(t, 20*time.Second, "masked audio", func() bool { _, n := s.of(c.SessionID()); return n >= least })
		}
	}
	masked(4000)
	if err := sim.Inject(ringsim.Fault{Kind: ringsim.FaultBye}); err != nil { // every dialog: the calls go on, and are joined again
		t.Fatal(err)
	}
	var before []int64
	for _, c := range calls {
		_, n := s.of(c.SessionID())
		before = append(before, n)
	}
	masked(slices.Max(before) + 12_000)
	for _, c := range ep.Status().Calls {
		if c.Masked != "hook" {
			t.Errorf("status of %s: masked is %q, want hook", c.ID, c.Masked)
		}
	}
	for _, c := range calls {
		c.Hangup()
		<-c.Done()
		if n, _ := s.of(c.SessionID()); n != 0 {
			t.Errorf("call %s (%s): a sink got %d samples or octets", c.SessionID(), c.Form(), n)
		}
	}
	stop()
	for _, r := range oracle.All(t, dir) {
		wantSilence(t, r, "partial") // between BYE and re-join there is nothing
	}
	if n := len(oracle.ByCall(t, dir)); n != len(calls) {
		t.Errorf("%d calls recorded, want %d", n, len(calls))
	}
}

func TestMaskFollowsATransfer(t *testing.T) {
	for name, transfer := range map[string]func(t *testing.T, ep *endpoint.Endpoint, c *ringsim.Call) *ringsim.Call{
		"blind": func(t *testing.T, _ *endpoint.Endpoint, c *ringsim.Call) *ringsim.Call {
			if err := c.TransferBlind("109"); err != nil {
				t.Fatal(err)
			}
			c.Answer()
			return c
		},
		"attended": func(t *testing.T, ep *endpoint.Endpoint, c *ringsim.Call) *ringsim.Call {
			consult, err := c.Consult(ringsim.CallSpec{Peer: "109"})
			if err != nil {
				t.Fatal(err)
			}
			oracle.Eventually(t, 10*time.Second, "the consultation between colleagues is excused", func() bool {
				return strings.HasPrefix(waiting(ep, consult.SessionID()), "excused")
			})
			if err := c.TransferAttended(consult); err != nil {
				t.Fatal(err)
			}
			return consult
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, s := t.TempDir(), newSpy()
			sim := unlimited(t, nil)
			ep, stop := listeningAs(t, sim, dir, func(c *endpoint.Config) {
				hook("", s)(c)
				c.Supervisors[0].RingCentral.Policy.Hook.Command = []string{"/bin/sh", "-c", `case "$(cat)" in *'"agent":"108"'*) echo masked;; *) echo yes;; esac`}
			})
			c := begin(t, sim, ringsim.CallSpec{Agent: "108"})
			id := c.SessionID()
			oracle.Eventually(t, 10*time.Second, "masked audio", func() bool { _, n := s.of(id); return n > 8000 })
			last := transfer(t, ep, c)
			_, before := s.of(id)
			oracle.Eventually(t, 20*time.Second, "the other agent's audio, masked", func() bool { _, n := s.of(id); return n > before+16_000 })
			if len(ep.Status().Calls) != 1 {
				t.Errorf("calls: %+v, want the one", ep.Status().Calls)
			}
			last.Hangup()
			<-last.Done()
			stop()
			if n, _ := s.of(id); n != 0 {
				t.Errorf("a sink got %d samples or octets", n)
			}
			for _, r := range oracle.All(t, dir) {
				wantSilence(t, r, "recorded")
			}
		})
	}
}

// The spy of a plain yes hears every sample: a mask that does nothing would be seen.
func TestHooksYesOpensTheValve(t *testing.T) {
	dir, s := t.TempDir(), newSpy()
	sim := unlimited(t, nil)
	_, stop := listeningAs(t, sim, dir, hook("yes", s))
	c := begin(t, sim, ringsim.CallSpec{Agent: "108"})
	oracle.Eventually(t, 10*time.Second, "audio", func() bool { n, _ := s.of(c.SessionID()); return n > 16_000 })
	c.Hangup()
	<-c.Done()
	stop()
	if _, n := s.of(c.SessionID()); n != 0 {
		t.Errorf("%d samples masked, want none", n)
	}
	oracle.CompareCall(t, c, oracle.ByCall(t, dir)[c.SessionID()])
}
