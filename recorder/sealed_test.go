package recorder_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/recorder/evidence"
)

// startSealed runs a store that encrypts and signs.
func startSealed(t *testing.T, prepare ...func(*recorder.Store)) (s *recorder.Store, stop func(), dir string, id recorder.Identity) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "recordings")
	who := newIdentity(t)
	s, stop = start(t, recorder.Config{Dir: dir, Recipients: []string{who.Recipient().String()}, Sign: true}, prepare...)
	return s, stop, dir, who
}

// spoken writes seconds of speech and nothing else.
func spoken(r *recorder.Recording, from, seconds int, talkers ...*talker) {
	for i := range seconds {
		var frames []media.Frame
		for _, k := range talkers {
			frames = append(frames, k.speaks(50)...)
		}
		r.Write(batch(time.Duration(from+i+1)*time.Second, frames, talkers...))
		waitTaken(r)
	}
}

func TestOnlyWhatMayStillChangeIsInMemory(t *testing.T) {
	t.Parallel()
	s, _, _, _ := startSealed(t)
	r := open(t, s, stereoInfo("long"))
	spoken(r, 0, 100, pair()...)
	// 2 s may change, and the second that was written last; a track that is new may lie half a second before the file's end, the
	// right one lies 400 samples behind the left.
	up, held := r.EncryptedUpTo()
	if want := int64(100-2-1)*8000 - 4000; up < want || up > 98*8000 {
		t.Errorf("encrypted up to %d, want %d at least, and nothing of the last 2 s", up, want)
	}
	if held > 256<<10 {
		t.Errorf("memory holds %d octets of 100 s, want 256 KiB at most", held)
	}
	seal(t, r)
}

func TestWhatComesForAnEncryptedPlaceIsMarkedAndNotLaid(t *testing.T) {
	t.Parallel()
	s, _, dir, id := startSealed(t)
	r := open(t, s, monoInfo("late"))
	k := newTalker(1, call.RoleMix, 0)
	r.Write(batch(time.Second, []media.Frame{k.frame(media.KindReceived, 7840), k.frame(media.KindLost, 160)}, k))
	spoken(r, 1, 9, k)
	// Media never does this: Final was 8 s.
	f := k.at(media.KindLate, 7840, 160)
	mask := k.at(media.KindMasked, 8000, 320)
	r.Write(batch(10100*time.Millisecond, []media.Frame{f, mask}, k))
	spoken(r, 11, 1, k)
	res, m := seal(t, r)
	for i := 7840; i < 8000; i++ {
		k.kinds[i] = "disk"
	}
	out, err := joined(t, dir, res.Dir, id)
	if err != nil {
		t.Fatal(err)
	}
	sameSamples(t, "late", readWave(t, out).pcm(0), expect(88000, k))
	if m.State != recorder.StatePartial || m.Cause != call.CodeInternal || len(m.Missing) != 2 {
		t.Fatalf("got %s, %s, missing %+v, want partial for a mask that came too late, and for samples", m.State, m.Cause, m.Missing)
	}
	if x := m.Missing[0]; x.What != "mask" || x.Samples != 320 {
		t.Errorf("missing: got %+v, want a mask of 320 samples", x)
	}
	if x := m.Missing[1]; x.What != "samples" || x.Samples != 160 {
		t.Errorf("missing: got %+v, want 160 samples", x)
	}
}

func TestAMaskWithinTheWindowLeavesNothingToDecrypt(t *testing.T) {
	t.Parallel()
	s, _, dir, id := startSealed(t)
	r := open(t, s, monoInfo("mask"))
	k := newTalker(1, call.RoleMix, 0)
	spoken(r, 0, 10, k)
	r.Write(batch(10*time.Second+100*time.Millisecond, []media.Frame{k.behind(media.KindMasked, 8*8000+800, 1*8000)}, k))
	spoken(r, 11, 9, k)
	res, m := seal(t, r)
	if m.State != recorder.StateRecorded {
		t.Errorf("state: got %s (%s)", m.State, m.CauseText)
	}
	out, err := joined(t, dir, res.Dir, id)
	if err != nil {
		t.Fatal(err)
	}
	sameSamples(t, "masked", readWave(t, out).pcm(0), expect(19*8000, k))
}

// smallDisk is a disk with room for so many octets in all of a call's segments.
type smallDisk struct {
	recorder.BlockFile
	used, room *atomic.Int64
}

func (f smallDisk) WriteAt(b []byte, at int64) (int, error) {
	n := int64(len(b))
	if room := f.room.Load(); room >= 0 {
		n = max(0, min(n, room-f.used.Load()))
	}
	got, err := f.BlockFile.WriteAt(b[:n], at)
	f.used.Add(int64(got))
	if err == nil && got < len(b) {
		err = &fs.PathError{Op: "write", Path: "segment", Err: fs.ErrInvalid}
	}
	return got, err
}

func TestAFullDiskHoldsEncryptedAudioUpAndThenCostsWhatDidNotFit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		full  int // seconds of it
		state recorder.State
	}{{"8 s and the window wait in memory", 6, recorder.StateRecorded}, {"beyond is lost, and named", 30, recorder.StatePartial}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var used, room atomic.Int64
			room.Store(-1)
			s, _, dir, id := startSealed(t, func(s *recorder.Store) {
				s.Wrap(func(_ string, f recorder.BlockFile) recorder.BlockFile { return smallDisk{f, &used, &room} })
			})
			r := open(t, s, monoInfo("full"))
			k := newTalker(1, call.RoleMix, 0)
			spoken(r, 0, 50, k) // the next segment begins while the disk is full
			room.Store(used.Load() + 1000)
			spoken(r, 50, c.full, k)
			room.Store(-1)
			spoken(r, 50+c.full, 30, k)
			res, m := seal(t, r)
			if m.State != c.state {
				t.Fatalf("state: got %s (%s), want %s", m.State, m.CauseText, c.state)
			}
			for _, x := range m.Tracks[0].Spans {
				if x.Kind != "disk" {
					t.Errorf("span: got %+v", x)
				}
				for i := range x.Samples {
					k.kinds[x.Pos+i] = x.Kind
				}
			}
			if n := m.Tracks[0].Counts.DiskSamples; c.state == recorder.StatePartial && (n == 0 || n > int64(c.full)*8000) {
				t.Errorf("lost: %d samples of %d s", n, c.full)
			}
			out, err := joined(t, dir, res.Dir, id)
			if err != nil {
				t.Fatal(err)
			}
			sameSamples(t, "full", readWave(t, out).pcm(0), expect(int64(80+c.full)*8000, k))
		})
	}
}

func TestADiskThatIsFullAtTheEndIsTriedAgain(t *testing.T) {
	t.Parallel()
	var used, room atomic.Int64
	room.Store(-1)
	s, stop, dir, id := startSealed(t, func(s *recorder.Store) {
		s.Wrap(func(_ string, f recorder.BlockFile) recorder.BlockFile { return smallDisk{f, &used, &room} })
	})
	r := open(t, s, monoInfo("full"))
	k := newTalker(1, call.RoleMix, 0)
	spoken(r, 0, 10, k)
	room.Store(used.Load() + 1000)
	r.End(hangup)
	<-r.Sealed()
	if res := r.Result(); res.Err == nil || !strings.HasSuffix(res.Dir, ".partial") {
		t.Fatalf("on a full disk: got %+v, want an error", res)
	}
	room.Store(-1)
	stop() // tries once more
	res := r.Result()
	if res.Err != nil || res.State != recorder.StateRecorded {
		t.Fatalf("with room: got %+v, want it recorded", res)
	}
	out, err := joined(t, dir, res.Dir, id)
	if err != nil {
		t.Fatal(err)
	}
	sameSamples(t, "full", readWave(t, out).pcm(0), expect(10*8000, k))
}

func TestWithoutItsKeyNoCopyCanBeRead(t *testing.T) {
	t.Parallel()
	s, stop, dir, id := startSealed(t)
	var folders []string
	var manifests []*recorder.Manifest
	for _, name := range []string{"one", "other"} {
		r := open(t, s, monoInfo(name))
		spoken(r, 0, 3, newTalker(1, call.RoleMix, 0))
		res, m := seal(t, r)
		folders, manifests = append(folders, res.Dir), append(manifests, m)
	}
	elsewhere := filepath.Join(t.TempDir(), "store")
	if err := os.CopyFS(elsewhere, os.DirFS(dir)); err != nil { // a copy that nobody can delete, without the keys
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(elsewhere, "keys")); err != nil {
		t.Fatal(err)
	}
	rel, err := filepath.Rel(dir, folders[0])
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // a second time is no error
		if err := s.EraseKey(filepath.ToSlash(rel)); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	for _, where := range []string{folders[0], filepath.Join(elsewhere, rel)} {
		if _, err := recorder.OpenExport(where, recorder.ExportConfig{Identities: []recorder.Identity{id}}); err == nil || !strings.Contains(err.Error(), "the key "+manifests[0].Encryption.Key+" is not there") {
			t.Errorf("%s: got %v, want that the key is not there", where, err)
		}
		segments, _ := filepath.Glob(filepath.Join(where, "audio-*.age"))
		if len(segments) != 1 {
			t.Fatalf("%s: segments: got %v, want one", where, segments)
		}
		if _, err := decrypted(t, segments[0], id); err == nil {
			t.Errorf("%s: decrypted with the recipient's identity alone", segments[0])
		}
	}
	if found := grep(t, dir, [][]byte{[]byte("AGE-SECRET-KEY"), []byte(strings.ToLower("AGE-SECRET-KEY"))}); found != nil {
		t.Errorf("a private key lies in %v", found)
	}
	if e, err := recorder.OpenExport(folders[1], recorder.ExportConfig{Identities: []recorder.Identity{id}}); err != nil {
		t.Errorf("the other recording: %v", err)
	} else {
		e.Close() //nolint:errcheck // it was only read
	}
	v := verified(t, dir, id)
	if len(v.Findings) != 1 || v.Findings[0].Kind != evidence.Removed || v.Findings[0].What != manifests[0].Encryption.Key {
		t.Errorf("verify: got %v, want the key that is gone", v.Findings)
	}
}

func TestAKeyOfAnotherRecordingIsNamed(t *testing.T) {
	t.Parallel()
	s, stop, dir, id := startSealed(t)
	var keys []string
	for _, name := range []string{"one", "other"} {
		r := open(t, s, monoInfo(name))
		spoken(r, 0, 3, newTalker(1, call.RoleMix, 0))
		_, m := seal(t, r)
		keys = append(keys, filepath.Join(dir, m.Encryption.Key))
	}
	stop()
	b, err := os.ReadFile(keys[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keys[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	v := verified(t, dir, id)
	if len(v.Findings) != 1 || v.Findings[0].Kind != evidence.Unreadable || !strings.Contains(v.Findings[0].What, "_one/audio-000001") {
		t.Errorf("verify: got %v, want that the segment can't be decrypted", v.Findings)
	}
	if v := verified(t, dir, newIdentity(t)); len(v.Findings) != 2 {
		t.Errorf("verify with a stranger's identity: got %v, want both keys", v.Findings)
	}
}

func TestACallWithoutMediaHasNoKey(t *testing.T) {
	t.Parallel()
	s, _, dir, id := startSealed(t)
	res, m := seal(t, open(t, s, monoInfo("silent")))
	if m.State != recorder.StateNoMedia || m.Audio != nil {
		t.Errorf("got %s, %+v", m.State, m.Audio)
	}
	if _, err := os.Lstat(filepath.Join(dir, "keys")); err == nil {
		t.Error("there are keys")
	}
	if _, err := recorder.OpenExport(res.Dir, recorder.ExportConfig{Identities: []recorder.Identity{id}}); err != recorder.ErrNoAudio { //nolint:errorlint // it is given as it is
		t.Errorf("export: got %v, want that there is no audio", err)
	}
	if v := verified(t, dir, id); v.Good != 1 || len(v.Findings) != 0 {
		t.Errorf("verify: %d good, %v", v.Good, v.Findings)
	}
}

func TestAnEncryptedFolderWithoutAManifestIsFinished(t *testing.T) {
	t.Parallel()
	dir, id := filepath.Join(t.TempDir(), "recordings"), newIdentity(t)
	killedSealed(t, dir, id.Recipient(), sealedBound, 0)
	partials, _ := filepath.Glob(filepath.Join(dir, "2026", "11", "23", "*.partial"))
	if len(partials) != sealedCalls {
		t.Fatalf("folders: got %v, want %d", partials, sealedCalls)
	}
	if err := os.WriteFile(filepath.Join(partials[0], recorder.ManifestName), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, stop := start(t, recorder.Config{Dir: dir, Sign: true}) // encrypts no more: what is left is as it was
	eventually(t, "all repaired", func() bool { return len(s.Repaired()) == sealedCalls })
	stop()
	for _, res := range s.Repaired() {
		if res.Err != nil || res.State != recorder.StatePartial {
			t.Fatalf("got %+v, want partial", res)
		}
		var out bytes.Buffer
		e, err := recorder.OpenExport(res.Dir, recorder.ExportConfig{Identities: []recorder.Identity{id}})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Write(&out); err != nil {
			t.Error(err)
		}
		e.Close() //nolint:errcheck // it was only read
		if want := int(res.Samples)*4 + 44; out.Len() != want || e.Channels != 2 {
			t.Errorf("export: got %d octets of %d channels, want %d of 2", out.Len(), e.Channels, want)
		}
	}
	if v := verified(t, dir, id); v.Good != sealedCalls || len(v.Findings) != 0 {
		t.Errorf("verify: %d good, %v", v.Good, v.Findings)
	}
}

func TestABadRecipientIsNamed(t *testing.T) {
	t.Parallel()
	good := newIdentity(t)
	file := filepath.Join(t.TempDir(), "recipients")
	secret := good.String()
	for _, c := range []struct {
		list     []string
		file     string
		want     string
		mustHide string
	}{
		{list: []string{good.Recipient().String(), "age1nonsense"}, want: `recipients[1]: "age1nonsense" is no age recipient: want age1`},
		{list: []string{secret}, want: "recipients[0]: this is a private key", mustHide: secret[20:]},
		{file: "# theirs\n\n" + good.Recipient().String() + "\nssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI\n", want: file + ":4: "},
		{file: "# none\n", want: "no recipient in it"},
	} {
		cfg := recorder.Config{Dir: t.TempDir(), Recipients: c.list}
		if c.file != "" {
			cfg.RecipientsFile = file
			if err := os.WriteFile(file, []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := recorder.New(cfg)
		if err == nil || !strings.Contains(err.Error(), c.want) || c.mustHide != "" && strings.Contains(err.Error(), c.mustHide) {
			t.Errorf("%v: got %v, want %q", c.list, err, c.want)
		}
	}
}
