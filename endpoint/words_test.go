package endpoint_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/endpoint"
	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/who"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/stream"
)

// onlooker is told of calls.
type onlooker struct {
	mu     sync.Mutex
	events []call.Event
}

func (o *onlooker) told(e call.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events = append(o.events, e)
}

func (o *onlooker) of(t call.Type) (out []call.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range o.events {
		if e.Type == t {
			out = append(out, e)
		}
	}
	return out
}

// wordEngine is a program that hears a word in each 0.2 s of a party, and one more when the call is over.
const wordEngine = `n=0
while [ "$(head -c 3200 | wc -c)" -eq 3200 ]; do
  echo "{\"text\":\"heard $CALL_ROLE $n\",\"start\":$((n/10)).$((n%10)),\"end\":$(((n+2)/10)).$(((n+2)%10))}"
  n=$((n+2))
done
echo "{\"text\":\"heard $CALL_ROLE goodbye\"}"`

func answering(o *onlooker, log *syncLog) func(*endpoint.Config) {
	return func(c *endpoint.Config) {
		c.Stream.Consumers = []stream.Consumer{{Name: "asr", Command: []string{"/bin/sh", "-c", wordEngine}, Answers: "json"}}
		c.Told, c.Record.Sign = o.told, true
		c.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
}

// syncLog is a log that is looked at.
type syncLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *syncLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *syncLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// nowhere wants a text in no file but those that are named so.
func nowhere(t *testing.T, dir, text string, but ...string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		for _, b := range but {
			if d.Name() == b {
				return nil
			}
		}
		b, err := os.ReadFile(p)
		if bytes.Contains(b, []byte(text)) {
			t.Errorf("%s holds %q", p, text)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestWhatIsHeardIsToldLiveAndKept(t *testing.T) {
	dir, sim := t.TempDir(), unlimited(t, nil)
	var o onlooker
	var log syncLog
	ep, stop := masking(t, dir, sim, answering(&o, &log))
	c, _ := cardCall(t, sim, "108")
	id := c.SessionID()
	talks(t, ep, id, 2)
	oracle.Eventually(t, 30*time.Second, "words while the call goes on", func() bool { return len(o.of(call.EventTranscript)) > 4 })
	c.Hangup()
	<-c.Done()
	oracle.Eventually(t, 30*time.Second, "no call left", func() bool { return len(ep.Status().Calls) == 0 })
	stop()

	folder := oracle.Parts(t, dir, id)[0].Dir
	lines, err := recorder.ReadTranscript(folder, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := recorder.ReadManifest(folder)
	if err != nil {
		t.Fatal(err)
	}
	offset, party := map[uint32]int64{}, map[uint32]string{}
	for _, k := range m.Tracks {
		offset[k.ID], party[k.ID] = k.OffsetSamples, k.PartyID
	}
	seen := map[string]int{}
	for _, l := range lines {
		role, word := "", ""
		if _, err := fmt.Sscanf(l.Text, "heard %s %s", &role, &word); err != nil || role != l.Role || l.Party != party[l.Track] || l.Consumer != "asr" {
			t.Errorf("line %+v: want its own role, and party %s", l, party[l.Track])
		}
		seen[role]++
		if word == "goodbye" {
			continue
		}
		n := 0
		if _, err := fmt.Sscan(word, &n); err != nil || l.FromSamples != offset[l.Track]+int64(n)*800 || l.Samples != 1600 {
			t.Errorf("line %+v: want it at %d", l, offset[l.Track]+int64(n)*800)
		}
	}
	if seen["agent"] < 5 || seen["customer"] < 5 {
		t.Errorf("heard %v, want some of each", seen)
	}
	if got := len(o.of(call.EventTranscript)); got != len(lines) {
		t.Errorf("told of %d, kept %d", got, len(lines))
	}
	for _, want := range []call.Type{call.EventCallStarted, call.EventTrackOpened, call.EventCallEnded} {
		if len(o.of(want)) == 0 {
			t.Errorf("not told of %s", want)
		}
	}
	nowhere(t, dir, "goodbye", recorder.TranscriptName)
	if strings.Contains(log.String(), "goodbye") {
		t.Error("the log has words in it")
	}
}

// TestWordsOfARecordingThatBeganLateAreKept: the disk did not take it when the call, and its engines, began.
func TestWordsOfARecordingThatBeganLateAreKept(t *testing.T) {
	dir, sim := t.TempDir(), unlimited(t, nil)
	var o onlooker
	var log syncLog
	ep, stop := masking(t, dir, sim, answering(&o, &log))
	var inTheWay []string // of the day's folder, today's or tomorrow's
	for _, in := range []time.Duration{0, 24 * time.Hour} {
		if name := filepath.Join(dir, time.Now().UTC().Add(in).Format("2006")); len(inTheWay) == 0 || inTheWay[0] != name {
			inTheWay = append(inTheWay, name)
		}
	}
	for _, name := range inTheWay {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, _ := cardCall(t, sim, "108")
	id := c.SessionID()
	oracle.Eventually(t, 30*time.Second, "words while nothing is recorded", func() bool { return len(o.of(call.EventTranscript)) > 2 })
	for _, name := range inTheWay {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	oracle.Eventually(t, time.Minute, "a recording", func() bool {
		dirs, err := filepath.Glob(filepath.Join(dir, "2*", "*", "*", "*.partial"))
		return err == nil && len(dirs) > 0
	})
	before := len(o.of(call.EventTranscript))
	oracle.Eventually(t, 30*time.Second, "words while it is recorded", func() bool { return len(o.of(call.EventTranscript)) > before+2 })
	c.Hangup()
	<-c.Done()
	oracle.Eventually(t, 30*time.Second, "no call left", func() bool { return len(ep.Status().Calls) == 0 })
	stop()
	lines, err := recorder.ReadTranscript(oracle.Parts(t, dir, id)[0].Dir, nil)
	if err != nil || len(lines) == 0 {
		t.Errorf("kept: %d lines, %v", len(lines), err)
	}
}

func TestWordsOfWhatAMaskTakesBackAreTakenBack(t *testing.T) {
	dir, sim := t.TempDir(), unlimited(t, nil)
	var o onlooker
	var log syncLog
	ep, stop := masking(t, dir, sim, answering(&o, &log))
	c, _ := cardCall(t, sim, "108")
	id := c.SessionID()
	talks(t, ep, id, 2)
	oracle.Eventually(t, 30*time.Second, "words", func() bool { return len(o.of(call.EventTranscript)) > 4 })
	ctx := who.Because(who.With(t.Context(), "uid 7 (anna), pid 9"), "card number")
	if _, err := ep.Mask(ctx, "", "108", endpoint.MaskRequest{Back: 1500 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	oracle.Eventually(t, 30*time.Second, "that words are taken back is told", func() bool { return len(o.of(call.EventTranscriptRevoked)) > 0 })
	goesOnFor(t, ep, id, 0.5)
	c.Hangup()
	<-c.Done()
	oracle.Eventually(t, 30*time.Second, "no call left", func() bool { return len(ep.Status().Calls) == 0 })
	stop()
	part := oracle.Parts(t, dir, id)[0]
	lines, err := recorder.ReadTranscript(part.Dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range o.of(call.EventTranscriptRevoked) {
		from, samples := r.Facts["from_samples"].(int64), r.Facts["samples"].(int64)
		for _, l := range lines {
			if l.Track == r.Track && l.FromSamples < from+samples && l.FromSamples+l.Samples > from {
				t.Errorf("kept: %+v, though %d samples from %d on were taken back", l, samples, from)
			}
		}
	}
	wantEvent(t, part, `"type":"transcript_revoked"`)
}

func TestWithoutConsentNoWordIsToldOrKept(t *testing.T) {
	dir, sim := t.TempDir(), unlimited(t, nil)
	var o onlooker
	var log syncLog
	ep, stop := masking(t, dir, sim, func(c *endpoint.Config) {
		answering(&o, &log)(c)
		c.Consent = endpoint.ConsentConfig{Mode: endpoint.ConsentRequired, Basis: "asked"}
	})
	c, _ := cardCall(t, sim, "108")
	id := c.SessionID()
	goesOnFor(t, ep, id, 2)
	c.Hangup()
	<-c.Done()
	oracle.Eventually(t, 30*time.Second, "no call left", func() bool { return len(ep.Status().Calls) == 0 })
	stop()
	if n := len(o.of(call.EventTranscript)); n > 0 {
		t.Errorf("told of %d", n)
	}
	nowhere(t, dir, "heard ")
	if _, err := recorder.ReadTranscript(oracle.Parts(t, dir, id)[0].Dir, nil); err == nil {
		t.Error("there is a transcript")
	}
}
