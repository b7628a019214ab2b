package stream_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/stream"
)

// record is what a call was told.
type record struct {
	mu     sync.Mutex
	events []call.Event
}

func (r *record) notify(e call.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// of gives the events of a type.
func (r *record) of(t call.Type) (out []call.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.Type == t {
			out = append(out, e)
		}
	}
	return out
}

// reasons gives the reasons of all stream_ended events.
func (r *record) reasons() string {
	var out []string
	for _, e := range r.of(call.EventStreamEnded) {
		out = append(out, fmt.Sprint(e.Facts["reason"]))
	}
	return strings.Join(out, " ")
}

// start runs a hub; stop ends it and waits.
func start(t *testing.T, c ...stream.Consumer) (h *stream.Hub, stop func()) {
	t.Helper()
	h, err := stream.New(stream.Config{Consumers: c})
	if err != nil {
		t.Fatal(err)
	}
	stream.Quicken(h)
	return h, runHub(t, h)
}

// runHub runs a hub; stop ends it and waits.
func runHub(t *testing.T, h *stream.Hub) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Run did not end within 10 s")
		}
	})
	t.Cleanup(stop)
	return stop
}

const (
	zero  = 5 * time.Second
	ptime = 160
)

func value(track media.TrackID, pos int64) int16 { return int16((pos*31+int64(track)*997)%9000) - 4000 }

func tracks() []media.TrackState {
	return []media.TrackState{
		{ID: 1, Leg: "leg-1", Placed: true, Offset: 0, Law: media.LawPCMU, Party: call.Party{ID: "p-1", Role: call.RoleAgent, Name: "Ann"}},
		{ID: 2, Leg: "leg-2", Placed: true, Offset: 0, Law: media.LawPCMA, Party: call.Party{ID: "p-2", Role: call.RoleCustomer}},
	}
}

// feed writes packets from..to of the first n tracks.
func feed(s media.Sink, n int, from, to int64) {
	all := tracks()[:n]
	for i := from; i < to; i++ {
		b := media.Batch{Zero: zero, Now: zero + time.Duration(i+1)*20*time.Millisecond, Tracks: all}
		for _, k := range all {
			f := media.Frame{Track: k.ID, Kind: media.KindReceived, Pos: i * ptime, Samples: ptime, Captured: b.Now, PCM: make([]int16, ptime)}
			for j := range f.PCM {
				f.PCM[j] = value(k.ID, f.Pos+int64(j))
			}
			b.Frames = append(b.Frames, f)
		}
		s.Write(&b)
	}
}

// wanted gives n samples of the tracks, interleaved, as s16le.
func wanted(samples int64, of ...media.TrackID) []byte {
	var out []byte
	for p := range samples {
		for _, k := range of {
			out = binary.LittleEndian.AppendUint16(out, uint16(value(k, p)))
		}
	}
	return out
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func sh(script string) []string { return []string{"sh", "-c", script} }

func info() call.Info {
	return call.Info{ID: "s-1\x00x", Sessions: []string{"s-1"}, Agent: "108", Mode: "party", Expected: []call.Party{{Role: call.RoleCustomer}, {Role: call.RoleAgent}}}
}

func TestProgramsGetEverySampleOfTheirTrack(t *testing.T) {
	dir := t.TempDir()
	env := map[string]string{"OUT": dir}
	h, stop := start(t,
		stream.Consumer{Command: sh(`cat > "$OUT/track-$CALL_TRACK.raw"`), Env: env, Buffer: time.Minute},
		stream.Consumer{Command: sh(`cat > "$OUT/call.raw"`), Per: stream.PerCall, Env: env, Buffer: time.Minute},
		stream.Consumer{Command: sh(`cat > "$OUT/$CALL_ROLE.ulaw"`), Format: "mulaw", Env: env, Buffer: time.Minute},
		stream.Consumer{Command: sh(`cat > "$OUT/wide.raw"`), Per: stream.PerCall, Rate: 16000, Env: env, Buffer: time.Minute},
	)
	stream.Patient(h) // ten seconds of audio come at once, and a busy machine takes its time with them
	var told record
	s := h.Open(info(), stream.Options{Notify: told.notify})
	const packets = 500
	feed(s, 2, 0, packets)
	s.End(call.Cause{Code: call.CodeHangup})
	waitFor(t, "6 ends", func() bool { return len(told.of(call.EventStreamEnded)) == 6 })
	stop()
	const n = packets * ptime
	for file, want := range map[string][]byte{
		"track-1.raw": wanted(n, 1), "track-2.raw": wanted(n, 2), "call.raw": wanted(n, 2, 1),
	} {
		if got := read(t, filepath.Join(dir, file)); !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, want other %d", file, len(got), len(want))
		}
	}
	if got := read(t, filepath.Join(dir, "customer.ulaw")); len(got) != n {
		t.Errorf("mulaw: %d bytes, want %d", len(got), n)
	}
	wide, want := read(t, filepath.Join(dir, "wide.raw")), wanted(n, 2, 1)
	if len(wide) != 2*len(want) {
		t.Fatalf("16000 Hz: %d bytes, want %d", len(wide), 2*len(want))
	}
	for i := 0; i < len(want); i += 4 {
		if !bytes.Equal(wide[2*i:2*i+4], want[i:i+4]) {
			t.Fatalf("16000 Hz: pair %d: got % x, want % x", i/4, wide[2*i:2*i+4], want[i:i+4])
		}
	}
	if got := told.reasons(); got != strings.TrimSpace(strings.Repeat("call_ended ", 6)) {
		t.Errorf("ends: %s", got)
	}
	if got := h.Totals(); got.Started != 6 || got.Running != 0 || got.DroppedSamples != 0 || got.LateSamples != 0 {
		t.Errorf("totals: %+v", got)
	}
}

func waitFor(t *testing.T, what string, cond func() bool) {
	t.Helper()
	waitWithin(t, 30*time.Second, what, cond)
}

func waitWithin(t *testing.T, limit time.Duration, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	end := time.NewTimer(limit)
	defer end.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-end.C:
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

func TestEnvironmentHoldsTheFactsAndNothingOfOurs(t *testing.T) {
	t.Setenv("RINGCENTRAL_JWT", "hunter2")
	t.Setenv("LANG", "C.UTF-8")
	file := filepath.Join(t.TempDir(), "env")
	h, stop := start(t, stream.Consumer{Command: []string{"sh", "-c", `env > "$1"`, "sh", file}, Env: map[string]string{"MODEL": "small"}})
	s := h.Open(info(), stream.Options{})
	feed(s, 1, 0, 1)
	s.End(call.Cause{})
	waitFor(t, "a start", func() bool { return h.Totals().Started == 1 })
	stop()
	got := map[string]string{}
	for _, line := range strings.Split(string(read(t, file)), "\n") {
		if k, v, ok := strings.Cut(line, "="); ok {
			got[k] = v
		}
	}
	var facts struct {
		Call struct {
			ID, Agent, Mode string
			Sessions        []string
		}
		Track struct {
			ID    int
			Codec string
			Party call.Party
		}
		Channels []string
	}
	if err := json.Unmarshal([]byte(got["CALL_FACTS"]), &facts); err != nil {
		t.Fatalf("CALL_FACTS: %v in %q", err, got["CALL_FACTS"])
	}
	if facts.Call.Agent != "108" || facts.Track.Party.Name != "Ann" || facts.Track.Codec != "PCMU" || facts.Channels[0] != "agent" {
		t.Errorf("CALL_FACTS: %s", got["CALL_FACTS"])
	}
	for k, want := range map[string]string{
		"CALL_ID": "s-1x", "CALL_TRACK": "1", "CALL_PARTY": "p-1", "CALL_ROLE": "agent", "CALL_RATE": "8000", "CALL_CHANNELS": "1", "CALL_PART": "1", "CALL_FROM_SAMPLES": "0",
		"MODEL": "small", "LANG": "C.UTF-8", "PATH": os.Getenv("PATH"), "HOME": os.Getenv("HOME"),
	} {
		if got[k] != want {
			t.Errorf("%s: got %q, want %q", k, got[k], want)
		}
		delete(got, k)
	}
	for _, own := range []string{"CALL_FACTS", "PWD", "OLDPWD", "SHLVL", "_"} { // the last four are the shell's
		delete(got, own)
	}
	if len(got) > 0 {
		t.Errorf("more than there should be: %v", got)
	}
}

func TestAProgramThatHangsLosesTheOldestAndIsTold(t *testing.T) {
	h, stop := start(t, stream.Consumer{Name: "stuck", Command: []string{"sleep", "1000"}, Buffer: time.Second})
	var told record
	s := h.Open(info(), stream.Options{Notify: told.notify})
	feed(s, 1, 0, 1)
	waitFor(t, "a start", func() bool { return h.Totals().Running == 1 })
	const packets = 3000 // a minute
	began := time.Now()
	feed(s, 1, 1, packets)
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("a minute of audio took %v: the media path waited", took)
	}
	s.End(call.Cause{})
	waitFor(t, "the end", func() bool { return told.reasons() == "killed" })
	stop()
	lost := int64(0)
	for i, e := range told.of(call.EventStreamDropped) {
		lost += e.Facts["samples"].(int64)
		if e.Track != 1 || e.Facts["consumer"] != "stuck" || (i == 0 && e.Pos != e.Facts["from_samples"]) {
			t.Errorf("event: %+v", e)
		}
	}
	if got := h.Totals().DroppedSamples; got != lost {
		t.Errorf("told of %d samples, counted %d", lost, got)
	}
	// What it didn't lose stands in the pipe (64 KiB) and in the hands of the writer.
	if kept := packets*ptime - lost; kept < 0 || kept > 32768+2048 {
		t.Errorf("%d samples neither lost nor in the pipe", kept)
	}
}

func TestAProgramThatIgnoresSIGTERMIsKilledWithItsGroup(t *testing.T) {
	h, stop := start(t, stream.Consumer{Command: sh(`trap "" TERM; sleep 1000; sleep 1000`)})
	var told record
	s := h.Open(info(), stream.Options{Notify: told.notify})
	feed(s, 1, 0, 10)
	waitFor(t, "a start", func() bool { return h.Totals().Running == 1 })
	s.End(call.Cause{})
	waitFor(t, "the end", func() bool { return told.reasons() == "killed" })
	stop()
}

func TestTheEndOfTheProcessWaitsLessForAProgramThatIgnoresSIGTERM(t *testing.T) {
	h, stop := start(t, stream.Consumer{Command: sh(`trap "" TERM; sleep 1000; sleep 1000`)})
	stream.Patient(h)
	s := h.Open(info(), stream.Options{})
	feed(s, 1, 0, 10)
	waitFor(t, "a start", func() bool { return h.Totals().Running == 1 })
	s.End(call.Cause{})
	began := time.Now()
	stop() // an hour, did it wait as for a single call
	t.Logf("Run ended after %v", time.Since(began))
}

func TestAProgramThatTakesLongIsAskedToEnd(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	script := `trap 'echo asked > "$OUT"; exit 0' TERM; echo > "$OUT.up"; while :; do sleep 0.01; done`
	h, stop := start(t, stream.Consumer{Command: sh(script), Env: map[string]string{"OUT": out}})
	var told record
	s := h.Open(info(), stream.Options{Notify: told.notify})
	feed(s, 1, 0, 10)
	waitFor(t, "its trap", func() bool { _, err := os.Stat(out + ".up"); return err == nil })
	s.End(call.Cause{})
	waitFor(t, "the end", func() bool { return told.reasons() == "killed" })
	stop()
	if got := string(read(t, out)); got != "asked\n" {
		t.Errorf("got %q, want SIGTERM before SIGKILL", got)
	}
}

func TestAProgramThatDiesIsStartedAgainAndGivenUp(t *testing.T) {
	for name, c := range map[string]struct {
		script   string
		restart  string
		most     int
		starts   int64
		givenUp  int64
		reasons  string
		lastLine string
	}{
		"fails at once":   {"echo no model >&2; exit 3", "on-failure", 2, 3, 1, "failed failed given_up", "no model"},
		"never again":     {"exit 1", "never", 0, 1, 0, "failed", ""},
		"ends well":       {"exit 0", "on-failure", 0, 1, 0, "exited", ""},
		"ends well again": {"exit 0", "always", 1, 2, 1, "exited given_up", ""},
		"no restarts":     {"exit 1", "on-failure", -1, 1, 1, "given_up", ""},
		"killed":          {"kill -9 $$", "never", 0, 1, 0, "failed", ""},
	} {
		t.Run(name, func(t *testing.T) {
			h, stop := start(t, stream.Consumer{Command: sh(c.script), Restart: c.restart, MaxRestarts: c.most})
			var told record
			s := h.Open(info(), stream.Options{Notify: told.notify})
			feed(s, 1, 0, 10)
			waitFor(t, c.reasons, func() bool { return told.reasons() == c.reasons })
			feed(s, 1, 10, 1000)
			s.End(call.Cause{})
			stop()
			if got := h.Totals(); got.Started != c.starts || got.GivenUp != c.givenUp || got.Restarts != c.starts-1 || got.Running != 0 {
				t.Errorf("totals: %+v", got)
			}
			ends := told.of(call.EventStreamEnded)
			if got := ends[len(ends)-1].Facts["stderr"]; c.lastLine != "" && got != c.lastLine {
				t.Errorf("stderr: got %v, want %q", got, c.lastLine)
			}
		})
	}
}

func TestARestartedProgramGoesOnWithWhatTheRingHolds(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	// The first takes 100 samples and dies; the second takes all the rest.
	script := `if [ -e "$OUT" ]; then cat >> "$OUT"; else head -c 200 > "$OUT"; exit 1; fi`
	h, stop := start(t, stream.Consumer{Command: sh(script), Env: map[string]string{"OUT": out}})
	var told record
	s := h.Open(info(), stream.Options{Notify: told.notify})
	feed(s, 1, 0, 10)
	waitFor(t, "the second start", func() bool { return len(told.of(call.EventStreamStarted)) == 2 })
	feed(s, 1, 10, 60)
	s.End(call.Cause{})
	waitFor(t, "the end", func() bool { return told.reasons() == "failed call_ended" })
	stop()
	got, all := read(t, out), wanted(60*ptime, 1)
	if !bytes.HasPrefix(got, all[:200]) || !bytes.HasSuffix(got, all[10*ptime*2:]) {
		t.Errorf("%d bytes: want the first 100 samples, and all after the restart", len(got))
	}
}

func TestTheEndOfRunEndsThePrograms(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	h, stop := start(t, stream.Consumer{Command: sh(`cat > "$OUT"; echo done >> "$OUT"`), Env: map[string]string{"OUT": out}})
	s := h.Open(info(), stream.Options{})
	feed(s, 1, 0, 10)
	waitFor(t, "a start", func() bool { return h.Totals().Running == 1 })
	stop() // the call goes on
	if got := read(t, out); !bytes.Equal(got, append(wanted(10*ptime, 1), "done\n"...)) {
		t.Errorf("got %d bytes", len(got))
	}
	feed(s, 1, 10, 20)
	s.End(call.Cause{})
	after := h.Open(info(), stream.Options{})
	feed(after, 1, 0, 10)
	after.End(call.Cause{})
}

func TestATrackThatEndsEndsItsProgram(t *testing.T) {
	h, _ := start(t, stream.Consumer{Command: []string{"cat"}})
	var told record
	s := h.Open(info(), stream.Options{Notify: told.notify})
	feed(s, 2, 0, 10)
	all := tracks()
	all[0].Ended = true
	s.Write(&media.Batch{Zero: zero, Now: zero + time.Second, Tracks: all})
	waitFor(t, "one end", func() bool { return told.reasons() == "call_ended" })
	if e := told.of(call.EventStreamEnded)[0]; e.Track != 1 {
		t.Errorf("track %d ended, want 1", e.Track)
	}
	s.End(call.Cause{})
	waitFor(t, "the other", func() bool { return told.reasons() == "call_ended call_ended" })
}

func TestACallWithoutMediaStartsNothing(t *testing.T) {
	h, stop := start(t, stream.Consumer{Command: []string{"cat"}}, stream.Consumer{Command: []string{"cat"}, Per: stream.PerCall})
	s := h.Open(info(), stream.Options{})
	s.Write(&media.Batch{Zero: zero, Now: zero + time.Second, Tracks: tracks()})
	s.End(call.Cause{})
	stop()
	if got := h.Totals(); got != (stream.Totals{}) {
		t.Errorf("totals: %+v, want none", got)
	}
}
