package recorder_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zaf/g711"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/recorder/evidence"
)

// checkLoss starts a store on what was left, and looks at every recording.
func checkLoss(t *testing.T, l loss) int {
	t.Helper()
	partials, _ := filepath.Glob(filepath.Join(l.dir, "2026/11/23/*.partial"))
	cfg := l.of.config(l.dir)
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
			if l.of.laws && len(b) >= 94 {
				promised[folder] = max(promised[folder], int64(binary.LittleEndian.Uint32(b[90:]))/2)
			} else if !l.of.laws && len(b) >= 80 {
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
		checkAfterLoss(t, dir, samples, l.of.laws)
		if l.of.laws {
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
