package endpoint_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
	"github.com/earshot/earshot/media"
)

// stopwatch notes when what happened to each session: requests by the simulator's log, joins by the endpoint's, samples
// by a sink that stands beside the recorder.
type stopwatch struct {
	mu    sync.Mutex
	notes map[string][]note // by session
	heard map[string]*hearing
}

// note is one line of a log.
type note struct {
	what string // message, or method of a request
	at   time.Time
}

// hearing is the first received sample of each track of one call.
type hearing struct {
	w      *stopwatch
	begun  time.Time // wall time of the timeline's sample 0
	tracks map[media.TrackID]time.Time
	handed time.Time // when the sink had both
	both   chan struct{}
}

func newStopwatch() *stopwatch {
	return &stopwatch{notes: map[string][]note{}, heard: map[string]*hearing{}}
}

// Enabled, Handle, WithAttrs and WithGroup make it a slog.Handler.
func (w *stopwatch) Enabled(context.Context, slog.Level) bool { return true }

func (w *stopwatch) Handle(_ context.Context, r slog.Record) error {
	what, session := r.Message, ""
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "call":
			session = a.Value.String()
		case "method":
			what = a.Value.String()
		case "path":
			if _, rest, ok := strings.Cut(a.Value.String(), "/telephony/sessions/"); ok {
				session, _, _ = strings.Cut(rest, "/")
			}
		}
		return true
	})
	if session != "" {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.notes[session] = append(w.notes[session], note{what, r.Time})
	}
	return nil
}

func (w *stopwatch) WithAttrs([]slog.Attr) slog.Handler { return w }
func (w *stopwatch) WithGroup(string) slog.Handler      { return w }

// of gives the times of what happened to a session, up to a moment.
func (w *stopwatch) of(session, what string, until time.Time) (at []time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range w.notes[session] {
		if n.what == what && !n.at.After(until) {
			at = append(at, n.at)
		}
	}
	return at
}

// hearing gives what is heard of a session, which may be nothing yet.
func (w *stopwatch) hearing(session string) *hearing {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := w.heard[session]
	if h == nil {
		h = &hearing{w: w, tracks: map[media.TrackID]time.Time{}, both: make(chan struct{})}
		w.heard[session] = h
	}
	return h
}

// sink is endpoint.Config.Sink.
func (w *stopwatch) sink(info call.Info) media.Sink {
	h := w.hearing(info.ID)
	w.mu.Lock()
	defer w.mu.Unlock()
	h.begun = info.Started
	return h
}

// Write notes the arrival of the packet with a track's first received sample: what was said before it is lost, however much
// later the sink gets it.
func (h *hearing) Write(b *media.Batch) {
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	for _, f := range b.Frames {
		if _, known := h.tracks[f.Track]; known || f.Kind != media.KindReceived {
			continue
		}
		h.tracks[f.Track] = h.begun.Add(f.Captured - b.Zero)
		if len(h.tracks) == 2 {
			h.handed = time.Now()
			close(h.both)
		}
	}
}

func (*hearing) End(call.Cause) {}

// first is when the later of the two tracks began.
func (h *hearing) first() time.Time {
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	var last time.Time
	for _, at := range h.tracks {
		if at.After(last) {
			last = at
		}
	}
	return last
}

// site is a RingCentral without delays and an endpoint that hears all of its agents, by events alone: it looks at
// presence once an hour.
type site struct {
	sim    *ringsim.Sim
	watch  *stopwatch
	agents []string
	dir    string
}

func startSite(t *testing.T, agents int) site {
	t.Helper()
	account, err := ringsim.Populate(ringsim.Population{Agents: agents})
	if err != nil {
		t.Fatal(err)
	}
	w := site{watch: newStopwatch(), dir: t.TempDir()}
	w.sim = ringsim.Start(t, ringsim.Config{
		Account: account, Limits: ringsim.Unlimited, Log: slog.New(w.watch),
		Switches: ringsim.Switches{InviteDelay: -1, Feed: ringsim.Feed{Delay: -1}},
	})
	for i := range agents {
		w.agents = append(w.agents, fmt.Sprint(ringsim.FirstAgentNumber+i))
	}
	cfg := against(t, w.sim, "tls", w.dir)
	cfg.Sink, cfg.Log = w.watch.sink, slog.New(w.watch)
	rc := &cfg.Supervisors[0].RingCentral
	rc.Agents, rc.Poll = slices.Clone(w.agents), time.Hour
	ep, _ := started(t, cfg)
	oracle.Eventually(t, 10*time.Second, "registered, logged in and subscribed", func() bool { return ep.Ready() && w.sim.Subscribers() == 1 })
	return w
}

// call starts a call of the i-th agent that rings.
func (w site) call(t *testing.T, i int) *ringsim.Call {
	t.Helper()
	c, err := w.sim.StartCall(ringsim.CallSpec{Agent: w.agents[i%len(w.agents)], Ringing: true})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// end hangs up and waits for the last BYE.
func end(t *testing.T, calls ...*ringsim.Call) {
	t.Helper()
	for _, c := range calls {
		c.Hangup()
	}
	for _, c := range calls {
		await(t, c.Done(), "the call's end")
	}
}

func await(t *testing.T, ch <-chan struct{}, what string) {
	t.Helper()
	timer := time.NewTimer(20 * time.Second)
	defer timer.Stop()
	select {
	case <-ch:
	case <-timer.C:
		t.Fatalf("not within 20 s: %s", what)
	}
}
