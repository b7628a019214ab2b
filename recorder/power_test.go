package recorder_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zaf/g711"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/powercut"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/recorder/evidence"
)

// loseEvery is which frame of a talker's fifty is lost on its way.
const loseEvery = 50

// apart is how many samples the agent's track lies behind the customer's.
const apart = 400

// loss is a loss of power: what the disk holds after it, and what it must hold.
type loss struct {
	dir    string
	sure   map[string][]byte
	sealed map[string]recorder.Result // by call, those that were told to be sealed before
	laws   bool
	err    error
}

// config is of a store on what was left.
func (l loss) config(dir string) recorder.Config { return powerConfig(dir, l.laws) }

// powerConfig is of a store whose power is cut; laws: parties in two laws, of which each is kept bit for bit, and a vCon.
func powerConfig(dir string, laws bool) recorder.Config {
	cfg := recorder.Config{Dir: dir, Sign: true}
	if laws {
		cfg.Format, cfg.VCon = recorder.FormatMulaw, true
	}
	return cfg
}

// mains is a store at work on a disk that loses power each time that somebody asks for it.
type mains struct {
	t     *testing.T
	store *recorder.Store
	disk  atomic.Pointer[powercut.Disk]
	syncs atomic.Int64
	cutAt atomic.Int64
	// spread is over how many syncs a cut may fall.
	spread int64
	cuts   chan loss
	laws   bool // see powerConfig

	// Of talk: what its calls' ids begin with, and who is told of each that was sealed; nil: nobody.
	prefix string
	told   func(recorder.Result)

	mu     sync.Mutex
	r      *rand.Rand
	sealed map[string]recorder.Result
}

func newMains(t *testing.T, r *rand.Rand, spread int64, laws bool) *mains {
	m := &mains{t: t, spread: spread, cuts: make(chan loss, 1), r: r, sealed: map[string]recorder.Result{}, laws: laws}
	cfg := powerConfig(t.TempDir(), laws)
	cfg.Beneath(m.sync, nil)
	var stop func()
	m.store, stop = start(t, cfg)
	d, err := powercut.New(cfg.Dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); _ = d.Close() })
	m.disk.Store(d)
	return m
}

// sync makes a file durable, and cuts the power before if that is due.
func (m *mains) sync(f *os.File, _ func() error) error {
	d := m.disk.Load()
	if d == nil {
		return nil
	}
	if m.syncs.Add(1) == m.cutAt.Load() {
		m.cut(d)
	}
	if filepath.Base(f.Name()) == ".lock" { // of the whole file system
		return d.SyncAll()
	}
	return d.Sync(f)
}

func (m *mains) cut(d *powercut.Disk) {
	m.mu.Lock()
	l := loss{sealed: maps.Clone(m.sealed), dir: m.t.TempDir(), laws: m.laws}
	l.sure, l.err = d.Cut(l.dir, m.r)
	m.mu.Unlock()
	select {
	case m.cuts <- l:
	default: // one more than was asked for
	}
}

// next has the power cut at one of the next syncs.
func (m *mains) next() loss {
	m.mu.Lock()
	in := 1 + m.r.Int64N(m.spread)
	m.mu.Unlock()
	select {
	case <-m.cuts: // left from before
	default:
	}
	m.cutAt.Store(m.syncs.Load() + in)
	for {
		select {
		case l := <-m.cuts:
			return l
		case <-time.After(time.Second): // others were quicker to count
			m.cutAt.Store(m.syncs.Load() + 5)
		}
	}
}

// talk has so many calls live at a time, each for some seconds, until stop is closed.
func (m *mains) talk(live int, stop <-chan struct{}) {
	type one struct {
		r    *recorder.Recording
		k    [2]*talker
		left int // frames
	}
	r := rand.New(rand.NewPCG(7, uint64(live))) //nolint:gosec // a test's
	var calls []*one
	var sealing sync.WaitGroup
	defer sealing.Wait()
	tick := time.NewTicker(childStep)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-stop:
			for _, c := range calls {
				c.r.End(hangup)
			}
			return
		case <-tick.C:
		}
		for len(calls) < live {
			info := stereoInfo(fmt.Sprintf("call%s-%06d-%02d", m.prefix, n, len(calls)))
			info.Started = morning.Add(time.Duration(n) * time.Second)
			rec, err := m.store.Open(info, anchor)
			if err != nil {
				m.t.Error(err)
				return
			}
			calls = append(calls, &one{rec, [2]*talker{newTalker(1, call.RoleCustomer, 0), newTalker(2, call.RoleAgent, apart)}, 30 + r.IntN(300)})
			if m.laws {
				calls[len(calls)-1].k[1].Law = media.LawPCMA
			}
		}
		for i := 0; i < len(calls); i++ {
			c := calls[i]
			var frames []media.Frame
			for _, k := range c.k {
				kind := media.KindReceived
				if len(k.kinds)/160%loseEvery == 7 {
					kind = media.KindLost
				}
				frames = append(frames, k.frame(kind, 160))
			}
			c.left--
			for _, k := range c.k {
				k.Ended = c.left == 0
			}
			b := batch(time.Minute+time.Duration(len(c.k[0].kinds))*time.Second/8000, frames, c.k[0], c.k[1])
			b.Events = []call.Event{{Time: morning, Type: call.EventDTMF, Track: 1, Facts: map[string]any{"digit": "5", "text": strings.Repeat("x", 300)}}}
			c.r.Write(b)
			if c.left > 0 {
				continue
			}
			c.r.End(hangup)
			sealing.Go(func() {
				<-c.r.Sealed()
				if res := c.r.Result(); res.Err == nil {
					m.mu.Lock()
					m.sealed[res.CallID] = res
					m.mu.Unlock()
					if m.told != nil {
						m.told(res)
					}
				}
			})
			calls = append(calls[:i], calls[i+1:]...)
			i--
		}
	}
}

// TestAPowerLossTakesNothingThatWasDurable cuts the power at random syncs of a store at work: with few calls, whose files are made
// durable one by one, and with so many that the file system is as a whole; of parties with two laws too. EARSHOT_CUTS says how often.
func TestAPowerLossTakesNothingThatWasDurable(t *testing.T) {
	n := 16
	if s := os.Getenv("EARSHOT_CUTS"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	for _, laws := range []bool{false, true} {
		for _, live := range []int{20, 40} {
			name := fmt.Sprint(live, " calls")
			if laws {
				name += " of two laws"
			}
			t.Run(name, func(t *testing.T) {
				for done := 0; done < n/4; done += sessionCuts {
					t.Run("", func(t *testing.T) { cutSession(t, live, min(sessionCuts, n/4-done), laws) })
				}
			})
		}
	}
}

// sessionCuts is how often the power of one store is cut: all that it made stays open.
const sessionCuts = 10

func cutSession(t *testing.T, live, cuts int, laws bool) {
	m := newMains(t, rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1)), int64(2400/live), laws) //nolint:gosec // a test's
	stop := make(chan struct{})
	var talking sync.WaitGroup
	talking.Go(func() { m.talk(live, stop) })
	t.Cleanup(func() { close(stop); talking.Wait() })
	repaired, sealed := 0, 0
	for i := range cuts {
		l := m.next()
		if l.err != nil {
			t.Fatal(l.err)
		}
		if i%3 == 2 {
			again := lossWhileFinishing(t, l, m.r)
			checkLoss(t, again)
			if err := os.RemoveAll(again.dir); err != nil {
				t.Fatal(err)
			}
		}
		repaired += checkLoss(t, l)
		sealed += len(l.sealed)
		if t.Failed() {
			t.Fatalf("cut %d: the folder is %s", i, keepDir(l.dir))
		}
		if err := os.RemoveAll(l.dir); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d cuts: %d recordings finished after a start, %d were sealed before", cuts, repaired, sealed)
}

// keepDir saves what a failed test is about, where EARSHOT_KEEP names a folder for it.
func keepDir(dir string) string {
	to := os.Getenv("EARSHOT_KEEP")
	if to == "" {
		return "gone; EARSHOT_KEEP=folder keeps it"
	}
	to = filepath.Join(to, filepath.Base(filepath.Dir(dir))+filepath.Base(dir))
	_ = os.CopyFS(to, os.DirFS(dir))
	return to
}

// lossWhileFinishing starts a store on what was left, and cuts the power again while it finishes that.
func lossWhileFinishing(t *testing.T, l loss, r *rand.Rand) loss {
	t.Helper()
	work := t.TempDir()
	if err := os.CopyFS(work, os.DirFS(l.dir)); err != nil {
		t.Fatal(err)
	}
	d, err := powercut.New(work)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close() //nolint:errcheck // files of a test
	again := loss{dir: t.TempDir(), sure: l.sure, sealed: l.sealed, laws: l.laws}
	at, syncs := 1+r.IntN(100), 0
	cfg := l.config(work)
	cut := make(chan struct{})
	cfg.Beneath(func(f *os.File, _ func() error) error { // one at a time: repair is
		if syncs++; syncs == at {
			_, again.err = d.Cut(again.dir, r)
			close(cut)
		}
		return d.Sync(f)
	}, nil)
	partials, _ := filepath.Glob(filepath.Join(work, "2026/11/23/*.partial"))
	s, stop := start(t, cfg)
	eventually(t, "all finished", func() bool { return len(s.Repaired()) == len(partials) })
	stop()
	select {
	case <-cut:
	default: // there was less to finish: the power stays on until it is done
		_, again.err = d.Cut(again.dir, r)
	}
	if again.err != nil {
		t.Fatal(again.err)
	}
	return again
}

// checkLoss starts a store on what was left, and looks at every recording.
func checkLoss(t *testing.T, l loss) int {
	t.Helper()
	partials, _ := filepath.Glob(filepath.Join(l.dir, "2026/11/23/*.partial"))
	cfg := l.config(l.dir)
	cfg.Beneath(func(*os.File, func() error) error { return nil }, nil) // not what this is about
	s, stop := start(t, cfg)
	eventually(t, "all finished", func() bool { return len(s.Repaired()) == len(partials) })
	stop()
	for _, r := range s.Repaired() {
		if r.Err != nil {
			t.Errorf("not finished: %s: %v", r.Dir, r.Err)
		}
	}
	key, err := evidence.LoadPublic(filepath.Join(l.dir, evidence.DirName, evidence.PublicKeyName))
	if err != nil {
		t.Fatal(err)
	}
	if v, bad := verify(t, l.dir, key); bad != "" || v.Live != 0 {
		t.Errorf("verify: %d live\n%s", v.Live, bad)
	}
	if logs, _ := filepath.Glob(filepath.Join(l.dir, evidence.DirName, "log-*")); len(logs) > 0 {
		t.Errorf("logs were put aside: %v", logs)
	}
	for id, res := range l.sealed {
		m, err := recorder.ReadManifest(filepath.Join(l.dir, "2026/11/23", filepath.Base(res.Dir)))
		if err != nil || m.State != recorder.StateRecorded || m.Audio.SHA256 != res.SHA256 {
			t.Errorf("%s: was sealed, and is not as it was: %v", id, err)
		}
	}
	promised, octets := map[string]int64{}, map[string]int64{}
	for name, b := range l.sure {
		folder := strings.TrimSuffix(path.Base(path.Dir(name)), ".partial")
		switch path.Base(name) {
		case recorder.AudioName:
			if l.laws && len(b) >= 94 {
				promised[folder] = max(promised[folder], int64(binary.LittleEndian.Uint32(b[90:]))/2)
			} else if !l.laws && len(b) >= 80 {
				promised[folder] = max(promised[folder], int64(binary.LittleEndian.Uint32(b[76:]))/4)
			}
		case "audio-1.wav", "audio-2.wav":
			if len(b) >= 94 {
				octets[folder] = max(octets[folder], int64(binary.LittleEndian.Uint32(b[90:])))
			}
		case recorder.EventsName:
			promised[folder] = max(promised[folder], 0)
		}
	}
	for folder, samples := range promised {
		if all, _ := filepath.Glob(filepath.Join(l.dir, "2026/11/23", folder+"*")); len(all) != 1 {
			t.Errorf("%s: found %v, want it once", folder, all)
			continue
		}
		dir := filepath.Join(l.dir, "2026/11/23", folder)
		checkAfterLoss(t, dir, samples, l.laws)
		if l.laws {
			checkOctetsAfterLoss(t, dir, octets[folder])
		}
	}
	return len(partials)
}

// checkAfterLoss looks at each sample of a recording: what a header promised is there, and what no span names is right.
func checkAfterLoss(t *testing.T, dir string, promised int64, laws bool) {
	t.Helper()
	m, err := recorder.ReadManifest(dir)
	if err != nil {
		t.Errorf("%s: %v", dir, err)
		return
	}
	if m.Samples < promised {
		t.Errorf("%s: %d samples, %d were promised", dir, m.Samples, promised)
	}
	if m.Samples == 0 {
		return
	}
	events, err := os.ReadFile(filepath.Join(dir, recorder.EventsName))
	if err != nil {
		t.Error(err)
	}
	for line := range bytes.Lines(events) {
		if !json.Valid(line) {
			t.Errorf("%s: events: %q", dir, line)
			break
		}
	}
	w := readWave(t, dir)
	kinds := [2]map[int64]string{{}, {}}
	for i := range m.Tracks {
		tr := &m.Tracks[i]
		spans, err := recorder.ReadSpans(dir, tr)
		if err != nil {
			t.Errorf("%s: track %d: %v", dir, tr.ID, err)
			return
		}
		if tr.Channel < 0 { // the manifest is of before its place was known
			continue
		}
		for _, s := range spans {
			for pos := s.Pos; pos < s.Pos+s.Samples; pos++ {
				kinds[tr.Channel][pos+tr.OffsetSamples] = s.Kind
			}
		}
	}
	for ch := range w.channels {
		k := newTalker(media.TrackID(ch+1), call.RoleMix, int64(apart*ch))
		if laws && ch == 1 {
			k.Law = media.LawPCMA
		}
		silence := w.heard(media.LawPCMU, 0xFF)
		for at, v := range w.pcm(ch) {
			pos := int64(at) - k.Offset
			want := silence
			if pos >= 0 && pos/160%loseEvery != 7 {
				want = w.heard(k.Law, voice(k.ID, pos))
			}
			kind, named := kinds[ch][int64(at)]
			// At its end a track may be shorter than the file, and before it there is nothing.
			gone := int64(at) >= promised-apart+k.Offset && (v == silence || laws && w.leftOver(at*w.channels+ch)) && (kind == "unknown" || !known(m, ch, pos))
			if v != want && !gone {
				t.Errorf("%s: channel %d, sample %d of %d: got %d, want %d; %d were promised, it is named %q (%v)", dir, ch, at, m.Samples, v, want, promised, kind, named)
				return
			}
		}
	}
}

// heard is what an octet of a law comes to in this file.
func (w wave) heard(law media.Law, o byte) int16 {
	switch {
	case w.tag == 1 && law == media.LawPCMA || w.tag == 6 && law == media.LawPCMA:
		return g711.DecodeAlawFrame(o)
	case w.tag == 6 && o == 0xFF:
		return g711.DecodeAlawFrame(0xD5)
	case w.tag == 6:
		return g711.DecodeAlawFrame(g711.Ulaw2AlawFrame(o))
	case w.tag == 7 && law == media.LawPCMA:
		return g711.DecodeUlawFrame(g711.Alaw2UlawFrame(o))
	}
	return g711.DecodeUlawFrame(o)
}

// leftOver tells whether an octet of a law may be one of the few zeros at a sector's end, or the file's, that are too few to be told from a voice.
func (w wave) leftOver(i int) bool {
	return w.data[i] == 0 && ((94+i)%512 > 512-8 || i > len(w.data)-8)
}

// checkOctetsAfterLoss looks at each octet that was kept beside audio.wav in the law that it came in.
func checkOctetsAfterLoss(t *testing.T, dir string, promised int64) {
	t.Helper()
	m, err := recorder.ReadManifest(dir)
	if err != nil {
		t.Errorf("%s: %v", dir, err)
		return
	}
	found := int64(0)
	for i := range m.Tracks {
		tr := &m.Tracks[i]
		o := tr.OctetsFile
		if o == nil {
			continue
		}
		w := readWaveFile(t, filepath.Join(dir, o.File))
		if found = w.samples(); found != o.Samples || w.channels != 1 {
			t.Errorf("%s: %s: %d samples, the manifest says %d", dir, o.File, found, o.Samples)
		}
		spans, err := recorder.ReadSpans(dir, tr)
		if err != nil {
			t.Errorf("%s: track %d: %v", dir, tr.ID, err)
			return
		}
		kinds := map[int64]string{}
		for _, s := range spans {
			for pos := s.Pos; pos < s.Pos+s.Samples; pos++ {
				kinds[pos] = s.Kind
			}
		}
		silence := byte(0xD5)
		if w.tag == 7 {
			silence = 0xFF
		}
		for pos, got := range w.data {
			want := voice(media.TrackID(tr.ID), int64(pos))
			if pos/160%loseEvery == 7 {
				want = silence
			}
			gone := int64(pos) >= promised && (got == silence || w.leftOver(pos)) && (kinds[int64(pos)] == "unknown" || int64(pos) >= tr.Samples)
			if got != want && !gone {
				t.Errorf("%s: %s: octet %d of %d: got %02x, want %02x; %d were promised, it is named %q", dir, o.File, pos, len(w.data), got, want, promised, kinds[int64(pos)])
				return
			}
		}
	}
	if found < promised {
		t.Errorf("%s: %d octets are kept, %d were promised", dir, found, promised)
	}
}

// known tells whether a track of the manifest says anything of a sample.
func known(m *recorder.Manifest, ch int, pos int64) bool {
	for _, t := range m.Tracks {
		if t.Channel == ch && pos >= 0 && pos < t.Samples {
			return true
		}
	}
	return false
}
