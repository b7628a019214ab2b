package recorder_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/recorder/evidence"
)

// holey is a track of which every second run of 16 samples is lost.
type holey struct {
	media.TrackState
	frames []media.Frame
}

const run = 16

func newHoley() *holey {
	return &holey{TrackState: media.TrackState{
		ID: 1, Leg: "leg", Law: media.LawPCMU, Placed: true, OffsetMethod: media.OffsetArrival,
		Party: call.Party{ID: "p", Role: call.RoleMix},
	}}
}

// holes gives the next so many.
func (h *holey) holes(n int) *media.Batch {
	h.frames = h.frames[:0]
	for range n {
		octets := make([]byte, run)
		h.frames = append(h.frames,
			media.Frame{Track: 1, Kind: media.KindReceived, Law: h.Law, Pos: h.Length, Samples: run, Octets: octets},
			media.Frame{Track: 1, Kind: media.KindLost, Pos: h.Length + run, Samples: run})
		h.Length += 2 * run
	}
	return &media.Batch{Frames: h.frames, Tracks: []media.TrackState{h.TrackState}}
}

// spansOf is what a manifest and its file must say of the first samples.
func spansOf(samples int64) (all []recorder.Span) {
	for pos := int64(run); pos < samples; pos += 2 * run {
		all = append(all, recorder.Span{Kind: "lost", Pos: pos, Samples: min(run, samples-pos)})
	}
	return all
}

// inStore runs a test with a store, in simulated time.
func inStore(t *testing.T, cfg recorder.Config, do func(t *testing.T, s *recorder.Store)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, err := recorder.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- s.Run(ctx) }()
		do(t, s)
		stop()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
}

func allSpans(t *testing.T, dir string, k *recorder.Track, want []recorder.Span) {
	t.Helper()
	got, err := recorder.ReadSpans(dir, k)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("got %d spans, want %d", len(got), len(want))
	}
	if k.SpansFile == nil || k.SpansUntil != nil {
		t.Fatalf("got file %+v, until %v", k.SpansFile, k.SpansUntil)
	}
	b, err := os.ReadFile(filepath.Join(dir, k.SpansFile.File))
	sum := sha256.Sum256(b)
	if err != nil || int64(len(b)) != k.SpansFile.Bytes || hex.EncodeToString(sum[:]) != k.SpansFile.SHA256 {
		t.Errorf("%s: %d octets, %v, want %+v", k.SpansFile.File, len(b), err, k.SpansFile)
	}
	var samples int64
	for _, n := range k.SpanTotals {
		samples += n
	}
	if samples != k.Samples {
		t.Errorf("totals %v, want %d samples", k.SpanTotals, k.Samples)
	}
}

// TestAHundredThousandHolesAreAllNamedInBoundedMemory: the newest in memory, the others in a file beside the recording.
func TestAHundredThousandHolesAreAllNamedInBoundedMemory(t *testing.T) {
	const holes = 100_000
	cfg := recorder.Config{Dir: filepath.Join(t.TempDir(), "recordings"), Sign: true}
	var dir string
	inStore(t, cfg, func(t *testing.T, s *recorder.Store) {
		rec, err := s.Open(monoInfo("holey"), recorder.Anchor{Wall: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		h, most := newHoley(), 0
		for range holes / 500 {
			rec.Write(h.holes(500))
			synctest.Wait()
			time.Sleep(50 * time.Millisecond)
			synctest.Wait()
			most = max(most, rec.SpansInMemory())
		}
		if most > 13_000 { // 8,000 of 32 s, and what waits to be many enough
			t.Errorf("%d spans in memory", most)
		}
		rec.End(hangup)
		<-rec.Sealed()
		dir = rec.Result().Dir
	})
	m, err := recorder.ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	k := &m.Tracks[0]
	if len(k.Spans) > 13_000 || k.Samples != holes*2*run {
		t.Errorf("got %d spans in the manifest, %d samples", len(k.Spans), k.Samples)
	}
	allSpans(t, dir, k, spansOf(k.Samples))
	good(t, cfg.Dir)
	appendTo(t, dir, "{}\n")
	if _, bad := verify(t, cfg.Dir, publicKey(t, cfg.Dir)); !strings.Contains(bad, "changed") || !strings.Contains(bad, "spans-1.jsonl") {
		t.Errorf("a line came to the spans: got %q", bad)
	}
}

// TestSpansAreWholeAfterAKill: whatever of file and manifest was the newer one when the process died, after the repair they say
// all that the manifest knew, and no more than that.
func TestSpansAreWholeAfterAKill(t *testing.T) {
	for name, harm := range map[string]func(t *testing.T, dir string){
		"as they were":                func(*testing.T, string) {},
		"a torn line behind":          func(t *testing.T, dir string) { appendTo(t, dir, `{"kind":"lost","po`) },
		"spans that no manifest knew": func(t *testing.T, dir string) { appendTo(t, dir, `{"kind":"lost","pos":99999990,"samples":1}`+"\n") },
		"half of the file": func(t *testing.T, dir string) {
			name := filepath.Join(dir, "spans-1.jsonl")
			st, err := os.Stat(name)
			if err == nil {
				err = os.Truncate(name, st.Size()/2)
			}
			if err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			first, second := filepath.Join(base, "first"), filepath.Join(base, "second")
			var known int64
			inStore(t, recorder.Config{Dir: first}, func(t *testing.T, s *recorder.Store) {
				rec, err := s.Open(monoInfo("holey"), recorder.Anchor{Wall: time.Now()})
				if err != nil {
					t.Fatal(err)
				}
				h := newHoley()
				for range 60 {
					rec.Write(h.holes(500))
					time.Sleep(time.Second)
					synctest.Wait()
				}
				for range 2 { // what no manifest says
					rec.Write(h.holes(500))
					rec.Write(&media.Batch{Events: []call.Event{{Type: call.EventHold}}, Tracks: []media.TrackState{h.TrackState}})
					synctest.Wait()
				}
				if err := os.CopyFS(second, os.DirFS(first)); err != nil {
					t.Fatal(err)
				}
				m, err := recorder.ReadManifest(rec.Result().Dir)
				if err != nil {
					t.Fatal(err)
				}
				known = m.Tracks[0].Samples
				rec.End(hangup)
				<-rec.Sealed()
			})
			left, err := filepath.Glob(filepath.Join(second, "*", "*", "*", "*.partial"))
			if err != nil || len(left) != 1 {
				t.Fatal(left, err)
			}
			harm(t, left[0])
			var res []recorder.Result
			inStore(t, recorder.Config{Dir: second, Sign: true}, func(t *testing.T, s *recorder.Store) {
				synctest.Wait()
				res = s.Repaired()
			})
			if len(res) != 1 || res[0].Err != nil {
				t.Fatalf("repaired: %+v", res)
			}
			m, err := recorder.ReadManifest(res[0].Dir)
			if err != nil {
				t.Fatal(err)
			}
			want := append(spansOf(known), recorder.Span{Kind: "unknown", Pos: known, Samples: m.Samples - known})
			if strings.HasPrefix(name, "half") {
				file := &m.Tracks[0]
				cut := slices.IndexFunc(want, func(x recorder.Span) bool { return x.Pos+x.Samples > file.SpansFile.Until })
				next := slices.IndexFunc(want, func(x recorder.Span) bool { return x.Pos >= file.Spans[0].Pos+file.Spans[0].Samples })
				if next-cut < 1000 {
					t.Fatalf("%d spans are missing", next-cut)
				}
				want = slices.Concat(want[:cut], file.Spans[:1], want[next:])
				if x := file.Spans[0]; x.Kind != "unknown" || x.Pos != file.SpansFile.Until {
					t.Errorf("got %+v for what the file lacks", x)
				}
			}
			if m.Samples <= known || known < 20_000 {
				t.Fatalf("the manifest knew %d samples of %d", known, m.Samples)
			}
			allSpans(t, res[0].Dir, &m.Tracks[0], want)
			good(t, second)
		})
	}
}

func publicKey(t *testing.T, dir string) *evidence.Public {
	t.Helper()
	key, err := evidence.LoadPublic(filepath.Join(dir, evidence.DirName, evidence.PublicKeyName))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// good checks that a folder's only recording is what was sealed and signed.
func good(t *testing.T, dir string) {
	t.Helper()
	if v, bad := verify(t, dir, publicKey(t, dir)); v.Good != 1 || bad != "" {
		t.Errorf("verify: got %+v\n%s", v, bad)
	}
}

func appendTo(t *testing.T, dir, text string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, "spans-1.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// TestAFileOfSpansThatCantBeWrittenCostsDetailOnly: a folder stands where the file should be. Memory stays bounded, the totals are
// right, the audio is whole.
func TestAFileOfSpansThatCantBeWrittenCostsDetailOnly(t *testing.T) {
	cfg := recorder.Config{Dir: filepath.Join(t.TempDir(), "recordings")}
	inStore(t, cfg, func(t *testing.T, s *recorder.Store) {
		rec, err := s.Open(monoInfo("holey"), recorder.Anchor{Wall: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		blocked := filepath.Join(rec.Result().Dir, "spans-1.jsonl")
		if err := os.Mkdir(blocked, 0o700); err != nil {
			t.Fatal(err)
		}
		h, most := newHoley(), 0
		for range 80 {
			rec.Write(h.holes(500))
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			most = max(most, rec.SpansInMemory())
		}
		rec.End(hangup)
		<-rec.Sealed()
		m, err := recorder.ReadManifest(rec.Result().Dir)
		if err != nil {
			t.Fatal(err)
		}
		k := m.Tracks[0]
		if k.SpansFile != nil || k.SpansUntil == nil || most > 32768 || k.SpanTotals["lost"] != 40000*run || k.SpanTotals["received"] != 40000*run {
			t.Errorf("got file %+v, until %v, %d spans at most, totals %v", k.SpansFile, k.SpansUntil, most, k.SpanTotals)
		}
		if s.Counters().Errors == 0 || m.State != recorder.StateRecorded {
			t.Errorf("errors %d, state %s %s", s.Counters().Errors, m.State, m.CauseText)
		}
	})
}

// FuzzReadSpans: whatever a file holds, what is read of it are spans in order.
func FuzzReadSpans(f *testing.F) {
	f.Add([]byte(`{"kind":"lost","pos":1,"samples":2}` + "\n" + `{"kind":"gap","pos":3,"samples":2}` + "\n{"))
	f.Add([]byte(`{"kind":"lost","pos":9223372036854775807,"samples":2}` + "\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		end, bytes := int64(0), int64(0)
		for _, x := range recorder.ParseSpans(b) {
			if x.Pos < end || x.Samples <= 0 {
				t.Fatalf("got %+v after %d", x, end)
			}
			end = x.Pos + x.Samples
			bytes++
		}
		if bytes > int64(len(b)) {
			t.Fatal("more spans than octets")
		}
	})
}
