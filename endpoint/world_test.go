package endpoint_test

import (
	"context"
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
)

// How calls become known.
const (
	byAgents   = "agents"   // a filter for each agent
	byAccount  = "account"  // one filter for all: more than a hundred agents
	byPresence = "presence" // no feed
)

// apart is how far two parties may be apart, in samples: these tests are about parts, and the machine may be busy with many of
// them at once.
const apart = 160

// life is a RingCentral with an endpoint that listens to agents 108, 109 and 110; 111 is monitored by nobody.
type life struct {
	t   *testing.T
	dir string
	sim *ringsim.Sim
	ep  *endpoint.Endpoint
	end func()
}

type lifeSpec struct {
	known    string // one of by…; default byAgents
	mode     string // default party
	switches ringsim.Switches
	form     ringsim.Form
	rejoin   time.Duration // default 10 s
	change   func(*endpoint.Config)
}

func newLife(t *testing.T, s lifeSpec) *life {
	t.Helper()
	w := &life{t: t, dir: t.TempDir()}
	cfg := ringsim.Config{Agents: 4, Limits: ringsim.Limits{Off: true}, Switches: s.switches, Form: s.form}
	if cfg.Switches.InviteDelay == 0 {
		cfg.Switches.InviteDelay = 100 * time.Millisecond
	}
	listened := []string{"108", "109", "110"}
	if s.known == byAccount {
		cfg.Agents = 110
		for i := range 100 {
			listened = append(listened, fmt.Sprint(112+i))
		}
	}
	w.sim = ringsim.Start(t, cfg)
	ec := against(t, w.sim, "udp", w.dir)
	ec.RejoinTimeout = 10 * time.Second
	rc := &ec.Supervisors[0].RingCentral
	rc.Agents, rc.Mode, rc.Poll, rc.Check = listened, s.mode, 200*time.Millisecond, 5*time.Second
	rc.NoFeed, rc.InviteWithin = s.known == byPresence, 2*time.Second
	if s.rejoin != 0 {
		ec.RejoinTimeout = s.rejoin
	}
	if s.change != nil {
		s.change(&ec)
	}
	w.ep, w.end = started(t, ec)
	w.until("registered and logged in", w.ep.Ready)
	if s.known != byPresence {
		w.until("a feed", func() bool { return w.sim.Subscribers() == 1 })
	}
	return w
}

func (w *life) until(what string, cond func() bool) {
	w.t.Helper()
	oracle.Eventually(w.t, 20*time.Second, what, cond)
}

// start begins a call that is heard.
func (w *life) start(spec ringsim.CallSpec) *ringsim.Call {
	w.t.Helper()
	c, err := w.sim.StartCall(spec)
	if err != nil {
		w.t.Fatal(err)
	}
	w.heard(c)
	return c
}

// heard waits until a call is heard as its form promises.
func (w *life) heard(c *ringsim.Call) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	if err := c.WaitSupervised(ctx); err != nil {
		w.t.Fatal(err)
	}
}

// talk waits until each stream of a call that goes on has sent so much more.
func (w *life) talk(c *ringsim.Call, d time.Duration) {
	w.t.Helper()
	from := map[*ringsim.Stream]int{}
	streams := c.Streams()
	for i := range streams {
		from[&streams[i]] = len(streams[i].Sent())
	}
	w.until("some talk", func() bool {
		for i := range streams {
			s := &streams[i]
			select {
			case <-s.Dialog.Done():
				continue
			default:
			}
			if len(s.Sent()) < from[s]+int(d/(20*time.Millisecond)) {
				return false
			}
		}
		return true
	})
}

// must ends the test with an error.
func (w *life) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// hangUp ends calls and then the endpoint, once it has no call left.
func (w *life) hangUp(calls ...*ringsim.Call) {
	w.t.Helper()
	for _, c := range calls {
		c.Hangup()
		<-c.Done()
	}
	w.until("no call left", func() bool { return len(w.ep.Status().Calls) == 0 })
	w.end()
}

// tracks counts the tracks of live calls that have brought so much.
func (w *life) tracks(role string, seconds float64) (n int) {
	for _, c := range w.ep.Status().Calls {
		for _, k := range c.Tracks {
			if k.Role == role && k.Seconds >= seconds {
				n++
			}
		}
	}
	return n
}

// one wants all that was sent in some sessions in one call, whole, in so many parts, and no other recording.
func (w *life) one(parts int, calls ...*ringsim.Call) []oracle.Recording {
	w.t.Helper()
	id := calls[0].SessionID()
	got := oracle.Parts(w.t, w.dir, id)
	if all := oracle.All(w.t, w.dir); len(got) != parts || len(all) != parts {
		for _, r := range all {
			w.t.Logf("call %s part %d: %v, %s %s, sessions %v", r.Call.ID, r.Part, r.Channels, r.State, r.Cause, r.Call.Sessions)
		}
		w.t.Fatalf("got %d folders, %d of call %s; want %d", len(all), len(got), id, parts)
	}
	var streams []ringsim.Stream
	var sessions []string
	for _, c := range calls {
		streams = append(streams, c.Streams()...)
		sessions = append(sessions, c.SessionID())
	}
	oracle.CompareParts(w.t, "call "+id, streams, got, oracle.Limits{ApartSamples: apart})
	if last := got[len(got)-1]; !slices.Equal(last.Call.Sessions, sessions) {
		w.t.Errorf("sessions: got %v, want %v", last.Call.Sessions, sessions)
	}
	return got
}

// dialogs counts those that are up.
func (w *life) dialogs() (n int) {
	for _, d := range w.ep.Status().Devices {
		n += d.Dialogs
	}
	return n
}

// waits counts wanted calls that are not heard, by their state.
func (w *life) waits(state string) (n int) {
	for _, x := range w.ep.Status().Waiting {
		if x.State == state {
			n++
		}
	}
	return n
}

func wantState(t *testing.T, r oracle.Recording, state, cause string) {
	t.Helper()
	if r.State != state || r.Cause != cause {
		t.Errorf("part %d: got %s, %s (%s), want %s, %s; missing %+v", r.Part, r.State, r.Cause, r.CauseText, state, cause, r.Missing)
	}
}

// wantGaps wants stretches without anything to hear to have these causes, and a text each.
func wantGaps(t *testing.T, r oracle.Recording, causes ...string) {
	t.Helper()
	var got []string
	for _, g := range r.Gaps {
		got = append(got, g.Cause)
		if g.Text == "" || g.Samples <= 0 || g.Channel == nil {
			t.Errorf("part %d: gap %+v: want a place and a text", r.Part, g)
		}
	}
	if !slices.Equal(got, causes) {
		t.Errorf("part %d: gaps: got %v, want %v", r.Part, r.Gaps, causes)
	}
}

// wantEvent wants a line of events.jsonl to hold a text.
func wantEvent(t *testing.T, r oracle.Recording, text string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(r.Dir, "events.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), text) {
		t.Errorf("part %d: events.jsonl has no %s:\n%s", r.Part, text, b)
	}
}
