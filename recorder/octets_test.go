package recorder_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
)

var mulaw = recorder.Config{Format: recorder.FormatMulaw}

// every is a frame with each octet there is, from first on.
func every(k *talker, first byte) media.Frame {
	f := k.frame(media.KindReceived, 256)
	for i := range f.Octets {
		f.Octets[i] = first + byte(i)
	}
	return f
}

func octetsFrom(first byte) (out []byte) {
	for i := range 256 {
		out = append(out, first+byte(i))
	}
	return out
}

func TestEachOctetOfEitherLawIsStoredAsItCame(t *testing.T) {
	for _, c := range []struct {
		law     media.Law
		format  string
		tag     int
		silence byte
	}{{media.LawPCMU, "mulaw", 7, 0xFF}, {media.LawPCMA, "alaw", 6, 0xD5}} {
		s, _ := start(t, mulaw)
		r := open(t, s, monoInfo("each-"+c.format))
		k := newTalker(1, call.RoleMix, 3)
		k.Law, k.placeAt = c.law, 256
		r.Write(batch(0, []media.Frame{every(k, 0), k.frame(media.KindGap, 101), every(k, 7), k.frame(media.KindLost, 160), k.frame(media.KindReceived, 160)}, k))
		r.Write(batch(1, []media.Frame{k.behind(media.KindLate, 256+101+256, 80), k.behind(media.KindMasked, 10, 20)}, k))
		res, m := seal(t, r)
		w := readWave(t, res.Dir)
		quiet := func(n int) []byte { return bytes.Repeat([]byte{c.silence}, n) }
		var lateOnes, last []byte
		for i := range int64(80) {
			lateOnes = append(lateOnes, voice(1, 256+101+256+i))
		}
		for i := range int64(160) {
			last = append(last, voice(1, 256+101+256+160+i))
		}
		want := slices.Concat(quiet(3), octetsFrom(0), quiet(101), octetsFrom(7), lateOnes, quiet(80), last)
		copy(want[3+10:], quiet(20))
		if w.tag != c.tag || w.bits != 8 || !bytes.Equal(w.data, want) || w.fact != int64(len(want)) {
			t.Errorf("%s: got tag %d, %d octets, fact %d, want %d and %d, bit for bit", c.format, w.tag, len(w.data), w.fact, c.tag, len(want))
		}
		if m.Audio.Format != c.format || m.Tracks[0].OctetsFile != nil {
			t.Errorf("%s: manifest: audio %+v, octets %+v", c.format, m.Audio, m.Tracks[0].OctetsFile)
		}
		if w.size != w.riff+8 || w.size&1 == 1 {
			t.Errorf("%s: RIFF size: got %d of %d", c.format, w.riff, w.size)
		}
	}
}

func TestWherePartiesHaveDifferentLawsBothAreKept(t *testing.T) {
	s, _ := start(t, mulaw)
	r := open(t, s, stereoInfo("laws"))
	customer, agent := newTalker(1, call.RoleCustomer, 0), newTalker(2, call.RoleAgent, 40)
	agent.Law, customer.placeAt, agent.placeAt = media.LawPCMA, 256, 256
	r.Write(batch(0, []media.Frame{every(customer, 0), every(agent, 9), agent.frame(media.KindGap, 77), every(agent, 0), agent.frame(media.KindLost, 160)}, customer, agent))
	r.Write(batch(1, []media.Frame{agent.behind(media.KindLate, 256+77+256, 160), agent.behind(media.KindMasked, 100, 50)}, customer, agent))
	res, m := seal(t, r)
	w := readWave(t, res.Dir)
	if w.tag != 7 || w.channels != 2 {
		t.Fatalf("audio.wav: got tag %d, %d channels", w.tag, w.channels)
	}
	for i := range 256 {
		if w.data[2*i] != byte(i) {
			t.Fatalf("customer's octet %d in audio.wav: got %02x", i, w.data[2*i])
		}
	}
	own := readWaveFile(t, filepath.Join(res.Dir, "audio-2.wav"))
	var lateOnes []byte
	for i := range int64(160) {
		lateOnes = append(lateOnes, voice(2, 256+77+256+i))
	}
	want := slices.Concat(octetsFrom(9), bytes.Repeat([]byte{0xD5}, 77), octetsFrom(0), lateOnes)
	copy(want[100:], bytes.Repeat([]byte{0xD5}, 50))
	if own.tag != 6 || own.channels != 1 || own.fact != int64(len(want)) || !bytes.Equal(own.data, want) {
		t.Errorf("audio-2.wav: got tag %d, %d channels, %d octets, want 6, 1, %d, bit for bit", own.tag, own.channels, len(own.data), len(want))
	}
	o := m.Tracks[1].OctetsFile
	if m.Tracks[0].OctetsFile != nil || o == nil || o.File != "audio-2.wav" || o.Format != "alaw" || o.Samples != int64(len(want)) || o.Runs != nil {
		t.Errorf("manifest: got %+v", o)
	}
	if !slices.ContainsFunc(m.Files, func(f recorder.File) bool { return f.File == "audio-2.wav" && len(f.SHA256) == 64 }) {
		t.Errorf("files: got %+v", m.Files)
	}
	if m.State != recorder.StateRecorded {
		t.Errorf("state: got %s, %+v", m.State, m.Missing)
	}
}

func TestALawThatChangesInMidCallKeepsBoth(t *testing.T) {
	s, _ := start(t, mulaw)
	r := open(t, s, monoInfo("change"))
	k := newTalker(1, call.RoleMix, 0)
	k.placeAt = 256
	a := every(k, 0)
	k.Law = media.LawPCMA
	b, hole, c := every(k, 0), k.frame(media.KindLost, 160), every(k, 1)
	k.Law = media.LawPCMU
	d := every(k, 2)
	k.Law = media.LawPCMA
	e := every(k, 3)
	r.Write(batch(0, []media.Frame{a, b, hole, c, d, e}, k))
	res, m := seal(t, r)
	w, own := readWave(t, res.Dir), readWaveFile(t, filepath.Join(res.Dir, "audio-1.wav"))
	if w.tag != 7 || !bytes.Equal(w.data[:256], octetsFrom(0)) || !bytes.Equal(w.data[928:928+256], octetsFrom(2)) {
		t.Errorf("audio.wav: tag %d, or octets of its law are not as they came", w.tag)
	}
	quiet := func(n int) []byte { return bytes.Repeat([]byte{0xD5}, n) }
	want := slices.Concat(quiet(256), octetsFrom(0), quiet(160), octetsFrom(1), quiet(256), octetsFrom(3))
	if own.tag != 6 || !bytes.Equal(own.data, want) {
		t.Errorf("audio-1.wav: got tag %d, %d octets, want 6, %d, bit for bit", own.tag, len(own.data), len(want))
	}
	if o := m.Tracks[0].OctetsFile; o == nil || !slices.Equal(o.Runs, []recorder.Run{{Pos: 256, Samples: 672}, {Pos: 1184, Samples: 256}}) {
		t.Errorf("manifest: got %+v", o)
	}
}

func TestAnOctetFileThatACrashLeftIsFinished(t *testing.T) {
	made := t.TempDir()
	s, stop := start(t, recorder.Config{Dir: made, Format: recorder.FormatMulaw})
	r := open(t, s, stereoInfo("left"))
	customer, agent := newTalker(1, call.RoleCustomer, 0), newTalker(2, call.RoleAgent, 0)
	agent.Law = media.LawPCMA
	r.Write(batch(0, append(customer.speaks(50), agent.speaks(50)...), customer, agent))
	eventually(t, "a sync with octets", func() bool {
		m, err := recorder.ReadManifest(r.Result().Dir)
		if err != nil || len(m.Tracks) != 2 || m.Tracks[1].OctetsFile == nil {
			return false
		}
		return readWaveFile(t, filepath.Join(r.Result().Dir, "audio-2.wav")).samples() == 8000
	})
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(made)); err != nil {
		t.Fatal(err)
	}
	r.End(hangup)
	stop()
	torn, _ := filepath.Glob(filepath.Join(dir, "2026/11/23/*.partial/audio-2.wav"))
	b, err := os.ReadFile(torn[0])
	must(t, err)
	clear(b[:94]) // no header, and an octet more than it named
	must(t, os.WriteFile(torn[0], append(b, 0x12), 0o600))
	res, m := repaired(t, dir)
	own := readWaveFile(t, filepath.Join(res.Dir, "audio-2.wav"))
	if own.tag != 6 || own.samples() != 8001 || own.size != own.riff+8 || m.Tracks[1].OctetsFile.Samples != 8001 {
		t.Fatalf("audio-2.wav: got %+v, %+v", own.samples(), m.Tracks[1].OctetsFile)
	}
	for i := range int64(8000) {
		if own.data[i] != voice(2, i) {
			t.Fatalf("octet %d is not what came", i)
		}
	}
}

// fullFile is a file on a disk that is full.
type fullFile struct{ recorder.BlockFile }

func (f fullFile) WriteAt(b []byte, at int64) (int, error) {
	if at >= 94 {
		return 0, syscall.ENOSPC
	}
	return f.BlockFile.WriteAt(b, at)
}

func TestOctetsThatCouldNotBeKeptAreSaidToBeMissing(t *testing.T) {
	s, _ := start(t, mulaw, func(s *recorder.Store) {
		s.Wrap(func(name string, f recorder.BlockFile) recorder.BlockFile {
			if filepath.Base(name) == "audio-2.wav" {
				return fullFile{f}
			}
			return f
		})
	})
	r := open(t, s, stereoInfo("full"))
	customer, agent := newTalker(1, call.RoleCustomer, 0), newTalker(2, call.RoleAgent, 0)
	agent.Law = media.LawPCMA
	r.Write(batch(0, append(customer.speaks(50), agent.speaks(50)...), customer, agent))
	r.End(hangup)
	<-r.Sealed()
	res := r.Result()
	if res.Err != nil && !errors.Is(res.Err, syscall.ENOSPC) {
		t.Fatal(res.Err)
	}
	m, err := recorder.ReadManifest(res.Dir)
	must(t, err)
	if res.Err != nil || m.State != recorder.StatePartial || m.Cause != call.CodeDisk || len(m.Missing) != 1 || m.Missing[0].What != "octets" || m.Missing[0].Samples != 8000 {
		t.Errorf("got %v, state %s, cause %s, missing %+v", res.Err, m.State, m.Cause, m.Missing)
	}
}

// A sender that changes its law with each packet makes neither the manifest nor memory large.
func TestALawThatChangesWithEachPacketIsBounded(t *testing.T) {
	s, _ := start(t, mulaw)
	r := open(t, s, monoInfo("flutter"))
	k := newTalker(1, call.RoleMix, 0)
	for range 12 {
		var frames []media.Frame
		for i := range 200 {
			k.Law = []media.Law{media.LawPCMU, media.LawPCMA}[i%2]
			frames = append(frames, k.frame(media.KindReceived, 20))
		}
		r.Write(batch(0, frames, k))
	}
	res, m := seal(t, r)
	o := m.Tracks[0].OctetsFile
	if o == nil || len(o.Runs) != 1000 || o.RunsUntil == nil || *o.RunsUntil != 40_000 {
		t.Fatalf("got %d runs, until %v", len(o.Runs), o.RunsUntil)
	}
	own := readWaveFile(t, filepath.Join(res.Dir, o.File))
	for pos, want := 0, byte(0); pos < len(own.data); pos++ {
		if want = 0xD5; pos/20%2 == 1 {
			want = voice(1, int64(pos))
		}
		if own.data[pos] != want {
			t.Fatalf("octet %d: got %02x, want %02x", pos, own.data[pos], want)
		}
	}
}

// unwilling fails the first writes over what it holds: those of a mask.
type unwilling struct {
	recorder.BlockFile
	end   *int64
	fails *atomic.Int64
}

func (f unwilling) WriteAt(b []byte, at int64) (int, error) {
	if at >= 94 && at < *f.end && f.fails.Add(-1) >= 0 {
		return 0, syscall.EIO
	}
	*f.end = max(*f.end, at+int64(len(b)))
	return f.BlockFile.WriteAt(b, at)
}

func TestAMaskIsTriedAgainUntilItCoversTheOctetsToo(t *testing.T) {
	var fails atomic.Int64
	fails.Store(2)
	s, _ := start(t, mulaw, func(s *recorder.Store) {
		s.Wrap(func(name string, f recorder.BlockFile) recorder.BlockFile {
			if filepath.Base(name) == "audio-2.wav" {
				return unwilling{f, new(int64), &fails}
			}
			return f
		})
	})
	r := open(t, s, stereoInfo("mask"))
	customer, agent := newTalker(1, call.RoleCustomer, 0), newTalker(2, call.RoleAgent, 0)
	agent.Law = media.LawPCMA
	r.Write(batch(0, append(customer.speaks(50), agent.speaks(50)...), customer, agent))
	before := s.Counters().Syncs
	eventually(t, "a sync", func() bool { return s.Counters().Syncs > before })
	r.Write(batch(1, []media.Frame{agent.behind(media.KindMasked, 100, 1000)}, customer, agent))
	before = s.Counters().Syncs
	eventually(t, "syncs", func() bool { return s.Counters().Syncs > before+2 })
	res, m := seal(t, r)
	own := readWaveFile(t, filepath.Join(res.Dir, "audio-2.wav"))
	if !bytes.Equal(own.data[100:1100], bytes.Repeat([]byte{0xD5}, 1000)) || own.data[99] != voice(2, 99) || own.data[1100] != voice(2, 1100) {
		t.Error("what the mask covers is in audio-2.wav")
	}
	if fails.Load() >= 0 || m.State != recorder.StateRecorded {
		t.Errorf("the disk failed %d times too few, state %s, missing %+v", fails.Load()+1, m.State, m.Missing)
	}
}
