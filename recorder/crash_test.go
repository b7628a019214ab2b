package recorder_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
)

const (
	childEnv   = "EARSHOT_RECORDER_CHILD"   // the directory to record to
	recordEnv  = "EARSHOT_RECORDER_RECORD"  // nothing but to record
	releaseEnv = "EARSHOT_RECORDER_RELEASE" // not empty: the directory's lock is given up
	childCalls = 10
	// childStep is how much audio the child writes at a time: as in life, 20 ms each 20 ms.
	childStep = 20 * time.Millisecond
)

// child records calls in real time until somebody kills it, and says on stdout how much is on the disk.
func child() {
	s, ctx := childStore(recorder.Config{})
	begun := time.Now()
	at := recorder.Anchor{Wall: begun}
	type live struct {
		r *recorder.Recording
		k [2]*talker
	}
	var calls []live
	for i := range childCalls {
		r, err := s.Open(stereoInfo(fmt.Sprintf("call-%d", i)), at)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if os.Getenv(releaseEnv) != "" {
			if err := s.Release(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
		calls = append(calls, live{r, [2]*talker{newTalker(1, call.RoleCustomer, 0), newTalker(2, call.RoleAgent, 400)}})
	}
	var safe durable
	tick := time.NewTicker(childStep)
	for n := 0; ctx.Err() == nil; n++ {
		<-tick.C
		now := time.Since(begun)
		for _, c := range calls {
			var frames []media.Frame
			for _, k := range c.k {
				for int64(len(k.kinds)) < int64(now)*8000/int64(time.Second) {
					kind := media.KindReceived
					if n%50 == 7 {
						kind = media.KindLost
					}
					frames = append(frames, k.frame(kind, 160))
				}
			}
			b := batch(now, frames, c.k[0], c.k[1])
			if n%10 == 0 {
				b.Events = []call.Event{{Time: time.Now(), Type: call.EventDTMF, Call: "x", Track: 1, Facts: map[string]any{"digit": "5"}}}
			}
			c.r.Write(b)
		}
		fmt.Println(int64(safe.note(s, now)))
	}
	os.Exit(0)
}

func TestKilledRecordingsOpenAndMissNothingThatWasSynced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	safe := lastSaid(killedChild(t, dir, recordEnv+"=yes", onDisk(time.Second), 300*time.Millisecond))
	day := filepath.Join(dir, "2026", "11", "23")
	least := int64(safe) * 8000 / int64(time.Second)

	partials, _ := filepath.Glob(filepath.Join(day, "*.partial"))
	if len(partials) != childCalls {
		t.Fatalf("folders: got %v, want %d", partials, childCalls)
	}
	for _, p := range partials {
		if w := readWave(t, p); w.samples() < least {
			t.Errorf("%s: header says %d samples, want %d at least", p, w.samples(), least)
		}
	}

	// Somebody else's crash as well: a last line that was cut off.
	events := filepath.Join(partials[0], recorder.EventsName)
	whole, err := os.ReadFile(events)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(events, append(whole, `{"time":"2026-11-`...), 0o600); err != nil {
		t.Fatal(err)
	}

	s, _ := start(t, recorder.Config{Dir: dir})
	eventually(t, "all repaired", func() bool { return len(s.Repaired()) == childCalls })
	if c := s.Counters(); c.Repaired != childCalls || c.Partial != childCalls {
		t.Errorf("counters: got %d repaired, %d partial, want %d", c.Repaired, c.Partial, childCalls)
	}
	for _, res := range s.Repaired() {
		checkRepaired(t, res, least)
	}
	if got, _ := os.ReadFile(strings.Replace(events, ".partial", "", 1)); !bytes.Equal(got, whole) {
		t.Errorf("events: got %d octets, want %d", len(got), len(whole))
	}
	// A call that goes on after the restart is the next part.
	r := open(t, s, stereoInfo("call-3"))
	res, m := seal(t, r)
	if res.Part != 2 || m.Previous == nil || len(m.Previous.SHA256) != 64 {
		t.Errorf("after the restart: got part %d, previous %+v, want part 2 with a hash", res.Part, m.Previous)
	}
}

func checkRepaired(t *testing.T, res recorder.Result, least int64) {
	t.Helper()
	if res.Err != nil || res.State != recorder.StatePartial || res.Cause.Code != call.CodeCrash {
		t.Fatalf("result: got %+v, want partial for a crash", res)
	}
	if strings.HasSuffix(res.Dir, ".partial") || res.Samples < least {
		t.Errorf("result: got %s with %d samples, want %d at least", res.Dir, res.Samples, least)
	}
	m, err := recorder.ReadManifest(res.Dir)
	if err != nil {
		t.Fatal(err)
	}
	w := readWave(t, res.Dir)
	if w.samples() != m.Samples || m.Ended == nil || m.Audio == nil || len(m.Tracks) != 2 {
		t.Fatalf("manifest: got %d samples of %d, %d tracks", m.Samples, w.samples(), len(m.Tracks))
	}
	for i, tr := range m.Tracks {
		if tr.OffsetSamples != int64(400*i) || tr.Samples+tr.OffsetSamples != m.Samples || tr.Channel != i {
			t.Errorf("track %d: got %d samples at %d on channel %d", tr.ID, tr.Samples, tr.OffsetSamples, tr.Channel)
		}
		if last := tr.Spans[len(tr.Spans)-1]; last.Kind != "unknown" || last.Pos+last.Samples != tr.Samples {
			t.Errorf("track %d: last span: got %+v, want unknown up to %d", tr.ID, last, tr.Samples)
		}
		pcm := w.pcm(i)[tr.OffsetSamples:]
		k := newTalker(media.TrackID(tr.ID), call.RoleAgent, 0)
		heard := 0
		for pos, v := range pcm {
			switch want := k.linear(voice(k.ID, int64(pos))); v {
			case want:
				heard++
			case 0:
			default:
				t.Fatalf("track %d: sample %d: got %d, want %d or silence", tr.ID, pos, v, want)
			}
		}
		if heard < len(pcm)*8/10 {
			t.Errorf("track %d: %d of %d samples heard", tr.ID, heard, len(pcm))
		}
	}
	b, err := os.ReadFile(filepath.Join(res.Dir, recorder.EventsName))
	if err != nil || len(b) == 0 {
		t.Errorf("events: got %d octets, %v", len(b), err)
	}
	for line := range strings.Lines(string(b)) {
		if !json.Valid([]byte(line)) {
			t.Errorf("events: not JSON: %q", line)
		}
	}
}
