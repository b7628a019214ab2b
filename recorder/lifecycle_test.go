package recorder_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
)

func TestACallWithoutMediaLeavesARecordWithItsCause(t *testing.T) {
	s, _ := start(t, recorder.Config{Software: "earshot test"})
	r := open(t, s, stereoInfo("s-quiet"))
	r.Write(&media.Batch{Now: time.Minute + 3*time.Second, Events: []call.Event{{Time: morning, Type: call.EventNoMedia, Call: "s-quiet"}}})
	res, m := seal(t, r)
	if res.State != recorder.StateNoMedia || m.State != recorder.StateNoMedia || m.Cause != call.CodeHangup || m.Samples != 0 || m.Audio != nil {
		t.Errorf("got %s, cause %q, %d samples, want no_media, hangup, 0", m.State, m.Cause, m.Samples)
	}
	if !m.Ended.Equal(morning.Add(3 * time.Second)) {
		t.Errorf("ended: got %v, want 3 s after %v", m.Ended, morning)
	}
	if _, err := os.Stat(filepath.Join(res.Dir, "audio.wav")); !os.IsNotExist(err) {
		t.Errorf("audio.wav: got %v, want none", err)
	}
	if b, _ := os.ReadFile(filepath.Join(res.Dir, "events.jsonl")); !bytes.Contains(b, []byte(`"no_media"`)) {
		t.Errorf("events: got %q", b)
	}
}

func TestFoldersAreNamedByTheContract(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "rec")
	s, _ := start(t, recorder.Config{Dir: dir})
	long := strings.Repeat("a", 48)
	for _, c := range []struct{ id, want string }{
		{"s-a0d7", "s-a0d7"},
		{"../../etc/passwd", "______etc_passwd_3754d6cb"},
		{"abc@10.0.0.1", "abc_10_0_0_1_"},
		{long, long},
		{long + "b", long + "_"},
		{"", "_e3b0c442"},
		{"Ü\x00\xff/", "_____"},
		{".", "__"},
		{"..", "___"},
	} {
		r := open(t, s, monoInfo(c.id))
		res, m := seal(t, r)
		rel, err := filepath.Rel(dir, res.Dir)
		if err != nil || filepath.Dir(rel) != "2026/11/23" {
			t.Errorf("%q: got %s, %v, want a folder of 2026/11/23", c.id, res.Dir, err)
		}
		name, ok := strings.CutPrefix(filepath.Base(rel), "20261123T101500Z_")
		if !ok || !strings.HasPrefix(name, c.want) {
			t.Errorf("%q: got %q, want %q", c.id, name, c.want)
		}
		if want := strings.ToValidUTF8(c.id, "\uFFFD"); m.Call.ID != want {
			t.Errorf("%q: manifest's id: got %q", c.id, m.Call.ID)
		}
	}
	if up, err := os.ReadDir(filepath.Dir(dir)); err != nil || len(up) != 1 {
		t.Errorf("beside the directory: got %v, %v, want nothing", up, err)
	}
}

func TestFoldersAndFilesAreForTheOwnerOnly(t *testing.T) {
	dir := t.TempDir()
	s, stop := start(t, recorder.Config{Dir: filepath.Join(dir, "new")})
	r := open(t, s, monoInfo("m"))
	k := newTalker(1, call.RoleMix, 0)
	r.Write(batch(0, k.speaks(30), k))
	seal(t, r)
	stop()
	err := filepath.WalkDir(filepath.Join(dir, "new"), func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		want := os.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if err == nil && fi.Mode().Perm() != want {
			t.Errorf("%s: got %v, want %v", path, fi.Mode().Perm(), want)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestASealedFolderIsNeverReopened(t *testing.T) {
	s, _ := start(t, recorder.Config{})
	k := newTalker(1, call.RoleMix, 0)
	r := open(t, s, monoInfo("again"))
	r.Write(batch(0, k.speaks(30), k))
	first, _ := seal(t, r)
	before, err := os.ReadFile(filepath.Join(first.Dir, "recording.json"))
	if err != nil {
		t.Fatal(err)
	}
	second, m := seal(t, open(t, s, monoInfo("again")))
	if second.Dir != first.Dir+"_2" || second.Part != 2 || m.Part != 2 {
		t.Errorf("second: got %s, part %d, want %s_2, part 2", second.Dir, second.Part, first.Dir)
	}
	if want := sha256Hex(before); m.Previous == nil || m.Previous.SHA256 != want || m.Previous.Folder != "2026/11/23/"+filepath.Base(first.Dir) {
		t.Errorf("previous: got %+v, want %s", m.Previous, want)
	}
	later := monoInfo("again")
	later.Started = morning.Add(20 * time.Hour)
	if res, _ := seal(t, open(t, s, later)); res.Part != 3 || !strings.Contains(res.Dir, "2026/11/24/20261124T061500Z_again") {
		t.Errorf("third: got %s, part %d", res.Dir, res.Part)
	}
	if res, _ := seal(t, open(t, s, monoInfo("again_2"))); res.Part != 1 {
		t.Errorf("another call: got part %d, want 1", res.Part)
	}
	if after, err := os.ReadFile(filepath.Join(first.Dir, "recording.json")); err != nil || !bytes.Equal(before, after) {
		t.Errorf("first part's manifest changed (%v)", err)
	}
}

func TestALiveRecordingIsRightAfterEachSync(t *testing.T) {
	s, _ := start(t, recorder.Config{})
	r := open(t, s, stereoInfo("live"))
	dir := r.Result().Dir
	if m, err := recorder.ReadManifest(dir); err != nil || m.State != recorder.StatePartial || m.Cause != "" || m.Ended != nil {
		t.Fatalf("at open: got %+v, %v, want partial without cause", m, err)
	}
	k := newTalker(1, call.RoleCustomer, 100)
	for range 3 {
		r.Write(batch(0, k.speaks(30), k))
		eventually(t, "header and audio", func() bool {
			if fi, err := os.Stat(filepath.Join(dir, "audio.wav")); err != nil || fi.Size() == 0 { // being made
				return false
			}
			return readWave(t, dir).samples() == k.end()
		})
		sameSamples(t, "left", readWave(t, dir).pcm(0), expect(k.end(), k))
	}
	eventually(t, "the track in the manifest", func() bool {
		m, err := recorder.ReadManifest(dir)
		return err == nil && len(m.Tracks) == 1 && m.Tracks[0].OffsetSamples == 100 && m.Tracks[0].Channel == 0
	})
	info := stereoInfo("live")
	info.Sessions = append(info.Sessions, "s-next")
	r.Update(info)
	eventually(t, "the second session", func() bool {
		m, err := recorder.ReadManifest(dir)
		return err == nil && slices.Equal(m.Call.Sessions, info.Sessions)
	})
	if _, m := seal(t, r); !slices.Equal(m.Call.Sessions, info.Sessions) || !slices.Equal(m.Channels, []string{"customer", "agent"}) {
		t.Errorf("sealed: got %v, %v", m.Call.Sessions, m.Channels)
	}
}

func TestAPromisedStreamThatNeverCameIsASilentChannelAndMarked(t *testing.T) {
	s, _ := start(t, recorder.Config{})
	r := open(t, s, stereoInfo("half"))
	k := newTalker(1, call.RoleAgent, 0)
	r.Write(batch(0, k.speaks(30), k))
	res, m := seal(t, r)
	if m.State != recorder.StatePartial || m.Cause != call.CodeNoInvite || len(m.Missing) != 1 || m.Missing[0].What != "stream" || *m.Missing[0].Channel != 0 {
		t.Errorf("got %s, %s, %+v, want partial for channel 0", m.State, m.Cause, m.Missing)
	}
	if m.EndCause == nil || *m.EndCause != hangup {
		t.Errorf("end_cause: got %v, want %v", m.EndCause, hangup)
	}
	w := readWave(t, res.Dir)
	sameSamples(t, "left", w.pcm(0), make([]int16, 4800))
	sameSamples(t, "right", w.pcm(1), expect(4800, k))
}

func TestATrackThatMediaNeverPlacedLiesWhereItArrived(t *testing.T) {
	s, _ := start(t, recorder.Config{})
	r := open(t, s, monoInfo("short"))
	k := newTalker(1, call.RoleMix, 800)
	k.placeAt = 1 << 40
	frames := k.speaks(10)
	for i := range frames {
		// 20 ms of audio are whole when they arrive.
		frames[i].Captured = anchor.Mono + 100*time.Millisecond + time.Duration(i+1)*20*time.Millisecond
	}
	r.Write(batch(0, frames, k))
	res, m := seal(t, r)
	if m.Tracks[0].OffsetSamples != 800 || m.Tracks[0].OffsetMethod != "first_packet" {
		t.Errorf("got offset %d by %s, want 800 by first_packet", m.Tracks[0].OffsetSamples, m.Tracks[0].OffsetMethod)
	}
	sameSamples(t, "mono", readWave(t, res.Dir).pcm(0), expect(k.end(), k))
}

func TestEventsStandInOrderOneALine(t *testing.T) {
	s, _ := start(t, recorder.Config{})
	r := open(t, s, monoInfo("ev"))
	var want []string
	for i := range 40 {
		e := call.Event{Time: morning.Add(time.Duration(i) * time.Second), Type: call.EventDTMF, Call: "ev", Leg: "l", Track: 1, Pos: int64(i), Facts: map[string]any{"digit": "#"}}
		if i == 20 {
			e.Facts = map[string]any{"bad": func() {}}
		}
		r.Write(&media.Batch{Events: []call.Event{e}})
		want = append(want, e.Time.Format(time.RFC3339Nano))
	}
	eventually(t, "the events on disk while the call lives", func() bool {
		b, err := os.ReadFile(filepath.Join(r.Result().Dir, "events.jsonl"))
		return err == nil && bytes.Count(b, []byte("\n")) == 40
	})
	res, _ := seal(t, r)
	b, err := os.ReadFile(filepath.Join(res.Dir, "events.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(b)) {
		var e struct{ Time, Type, Call, Leg string }
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Type != "dtmf" || e.Call != "ev" {
			t.Errorf("%q: %v", line, err)
		}
		got = append(got, e.Time)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestWhatComesAfterEndIsIgnored(t *testing.T) {
	s, _ := start(t, recorder.Config{})
	r := open(t, s, monoInfo("end"))
	k := newTalker(1, call.RoleMix, 0)
	r.Write(batch(0, k.speaks(30), k))
	res, _ := seal(t, r)
	r.Write(batch(0, k.speaks(30), k))
	r.End(call.Cause{Code: call.CodeInternal})
	if got := r.Result(); got != res {
		t.Errorf("result: got %+v, want %+v", got, res)
	}
}

func TestRunEndsOnlyWhenAllIsSealed(t *testing.T) {
	s, stop := start(t, recorder.Config{})
	k := newTalker(1, call.RoleMix, 0)
	r := open(t, s, monoInfo("bye"))
	r.Write(batch(0, k.speaks(30), k))
	done := make(chan struct{})
	go func() { stop(); close(done) }()
	eventually(t, "the store closing", func() bool {
		x, err := s.Open(monoInfo("no"), anchor)
		if err == nil {
			x.End(hangup)
		}
		return err != nil
	})
	select {
	case <-done:
		t.Fatal("Run ended with a recording open")
	default:
	}
	r.End(call.Cause{Code: call.CodeShutdown})
	<-done
	select {
	case <-r.Sealed():
	default:
		t.Error("not sealed when Run ended")
	}
	if res := r.Result(); res.State != recorder.StateRecorded || res.Samples != 4800 || res.Cause.Code != call.CodeShutdown {
		t.Errorf("got %+v", res)
	}
}

func TestACallCostsTwoLinesAtDebug(t *testing.T) {
	var b bytes.Buffer
	s, stop := start(t, recorder.Config{Log: slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	r := open(t, s, stereoInfo("s-log"))
	k := newTalker(1, call.RoleCustomer, 0)
	k.Party.Name, k.Party.Number = "Jane Doe", "+15550100"
	for range 20 {
		r.Write(batch(0, k.speaks(10), k))
	}
	seal(t, r)
	stop()
	if got := bytes.Count(b.Bytes(), []byte("\n")); got != 2 {
		t.Errorf("got %d lines, want 2:\n%s", got, b.String())
	}
	if strings.Contains(b.String(), "Jane") || strings.Contains(b.String(), "5550100") {
		t.Errorf("a person's data in the log:\n%s", b.String())
	}
}

func TestSettingsAreCheckedByNew(t *testing.T) {
	for _, c := range []struct {
		cfg  recorder.Config
		want string
	}{
		{recorder.Config{}, "recorder: dir: empty, want a directory"},
		{recorder.Config{Dir: "x", Format: "mp3"}, `recorder: format: got "mp3", want wav or mulaw`},
		{recorder.Config{Dir: "x", Fill: "noise"}, `recorder: fill: got "noise", want silence or conceal`},
		{recorder.Config{Dir: "x", Left: call.RoleAgent, Right: call.RoleAgent}, "recorder: channels: got agent left and agent right, want two different roles"},
		{recorder.Config{Dir: "x", Sync: time.Hour}, "recorder: sync: got 1h0m0s, want 100ms to 5s"},
		{recorder.Config{Dir: "x", Buffer: -1}, "recorder: buffer: got -1ns, want 1s to 1m0s"},
	} {
		s, err := recorder.New(c.cfg)
		if s != nil || err == nil || err.Error() != c.want {
			t.Errorf("%+v: got %v, want %s", c.cfg, err, c.want)
		}
	}
	if _, err := os.Stat("x"); err == nil {
		t.Error("a directory was made for wrong settings")
	}
	if s, err := recorder.New(recorder.Config{Dir: "/dev/null/x"}); err == nil || s != nil {
		t.Errorf("a directory that can't be: got %v", err)
	}
}

func TestAStoreRunsOnce(t *testing.T) {
	s, _ := start(t, recorder.Config{})
	seal(t, open(t, s, monoInfo("first"))) // it runs
	if err := s.Run(context.Background()); err == nil {
		t.Error("second Run: got nil, want an error")
	}
	if n, err := s.DiskFree(); err != nil || n <= 0 {
		t.Errorf("DiskFree: got %d, %v", n, err)
	}
}
