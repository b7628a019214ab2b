package recorder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/powercut"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder/evidence"
)

// depot is a vault in memory.
type depot struct {
	dir   string
	files map[string][]byte // by key
	away  error
	asked int
	busy  func(folder string) error // while it is asked; nil: nothing
}

// take brings a recording there, as a vault does.
func (v *depot) take(t *testing.T, folder string) {
	t.Helper()
	list, err := os.ReadDir(filepath.Join(v.dir, filepath.FromSlash(folder)))
	succeed(t, err)
	for _, e := range list {
		b, err := os.ReadFile(filepath.Join(v.dir, filepath.FromSlash(folder), e.Name()))
		succeed(t, err)
		v.files[path.Join(folder, e.Name())] = b
	}
}

func (v *depot) Placed(_ context.Context, folder string) (*Place, error) {
	v.asked++
	if v.away != nil {
		return nil, v.away
	}
	if v.busy != nil {
		if err := v.busy(folder); err != nil {
			return nil, err
		}
	}
	p := &Place{Endpoint: "https://s3.test", Bucket: "calls", Prefix: folder}
	for _, key := range slices.Sorted(maps.Keys(v.files)) {
		if path.Dir(key) == folder {
			b := v.files[key]
			p.Objects = append(p.Objects, PlacedFile{File: path.Base(key), Key: key, SHA256: sumOf(b), Bytes: int64(len(b))})
		}
	}
	if len(p.Objects) == 0 {
		return nil, fs.ErrNotExist
	}
	return p, nil
}

func (v *depot) Open(_ context.Context, _ Place, f PlacedFile) (io.ReadCloser, error) {
	b, ok := v.files[f.Key]
	if !ok {
		return nil, fmt.Errorf("%s: %w", f.Key, fs.ErrNotExist)
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

// mover is a shop with a vault.
type mover struct {
	*shop
	v *depot
}

func newMover(t *testing.T, cfg Config) *mover {
	k := newShop(t, cfg)
	return &mover{k, &depot{dir: k.dir, files: map[string][]byte{}}}
}

// talk makes a recording of two parties, whose laws differ, and brings it to the vault.
func (k *mover) talk(ago time.Duration) string {
	k.t.Helper()
	k.n++
	started := time.Now().Add(-ago).UTC()
	info := call.Info{ID: fmt.Sprint("s-", k.n), Started: started, Expected: []call.Party{{ID: "a", Role: call.RoleCustomer}, {ID: "b", Role: call.RoleAgent}}}
	r, err := k.s.Open(info, Anchor{Wall: started})
	succeed(k.t, err)
	b := &media.Batch{Now: time.Second}
	for i, law := range []media.Law{media.LawPCMU, media.LawPCMA} {
		id, octets := media.TrackID(i+1), bytes.Repeat([]byte{byte(0x40 + k.n), 0x20}, 4000)
		b.Frames = append(b.Frames, media.Frame{Track: id, Kind: media.KindReceived, Law: law, Samples: 8000, Octets: octets})
		b.Tracks = append(b.Tracks, media.TrackState{ID: id, Law: law, Placed: true, Ended: true, Length: 8000, OffsetMethod: media.OffsetArrival, Party: info.Expected[i]})
	}
	r.Write(b)
	r.End(call.Cause{Code: call.CodeHangup})
	<-r.Sealed()
	res := r.Result()
	succeed(k.t, res.Err)
	folder, err := filepath.Rel(k.dir, res.Dir)
	succeed(k.t, err)
	folder = filepath.ToSlash(folder)
	k.there[folder] = true
	k.v.take(k.t, folder)
	return folder
}

// policy lets audio go a day after its call.
func (k *mover) policy() MoveConfig {
	return MoveConfig{Vault: k.v, Leaves: func(ended time.Time) time.Time { return ended.AddDate(0, 0, 1) }}
}

// audio names the files of sound that a recording's folder has.
func (k *mover) audio(folder string) (names []string) {
	k.t.Helper()
	list, err := os.ReadDir(filepath.Join(k.dir, filepath.FromSlash(folder)))
	succeed(k.t, err)
	for _, e := range list {
		if strings.HasSuffix(e.Name(), ".wav") || strings.HasSuffix(e.Name(), ".age") {
			names = append(names, e.Name())
		}
	}
	return names
}

// verify looks at everything, and gives what it found.
func (k *mover) verify(from Fetcher) (*Verified, string) {
	k.t.Helper()
	cat, err := OpenCatalog(k.dir)
	succeed(k.t, err)
	defer cat.Close()
	key, err := evidence.LoadPublic(filepath.Join(k.dir, evidence.DirName, evidence.PublicKeyName))
	succeed(k.t, err)
	v, err := cat.Verify(k.t.Context(), VerifyConfig{Key: key, Vault: from})
	succeed(k.t, err)
	var bad []string
	for _, f := range v.Findings {
		bad = append(bad, f.Kind+" "+path.Base(f.What))
	}
	slices.Sort(bad)
	return v, strings.Join(bad, ", ")
}

func TestAudioGoesToTheVaultAndComesBack(t *testing.T) {
	k := newMover(t, Config{Format: FormatMulaw})
	old, young, held, waits := k.talk(72*time.Hour), k.talk(time.Hour), k.talk(72*time.Hour), k.talk(71*time.Hour)
	silent := k.record(72 * time.Hour)
	succeed(t, k.s.Hold(held, Hold{Who: "uid 7", Why: "a lawsuit"}))
	maps.DeleteFunc(k.v.files, func(key string, _ []byte) bool { return path.Dir(key) == waits })
	if got := k.audio(old); len(got) != 2 {
		t.Fatalf("%v, want the audio, and what came in another law", got)
	}
	n, err := k.s.MoveOut(t.Context(), k.policy())
	if err != nil || n != 1 || len(k.audio(old)) != 0 || len(k.audio(young)) != 2 || len(k.audio(held)) != 2 || len(k.audio(waits)) != 2 {
		t.Fatalf("%d moved, %v; left %v, %v, %v, %v", n, err, k.audio(old), k.audio(young), k.audio(held), k.audio(waits))
	}
	if v, bad := k.verify(k.v); bad != "" || v.Good != 5 || v.Moved != 1 || v.Read != 1 || v.Away[0].Folder != old || v.Away[0].Bucket != "calls" || v.Away[0].Files != 2 {
		t.Fatalf("verify: %+v, %s", v, bad)
	}
	cat := &Catalog{k.s.root, k.dir}
	if l, ok := cat.Look(old); !ok || !strings.Contains(l.Vault, "bucket calls at https://s3.test, "+old) {
		t.Errorf("listed: %+v", l)
	}
	if l, ok := cat.Look(young); !ok || l.Vault != "" {
		t.Errorf("listed: %+v", l)
	}
	_, err = OpenExport(filepath.Join(k.dir, filepath.FromSlash(old)), ExportConfig{})
	if !errors.Is(err, ErrMoved) || !strings.Contains(err.Error(), "bucket calls") {
		t.Errorf("export: %v, want ErrMoved, and where to", err)
	}
	if err := WriteVCon(io.Discard, filepath.Join(k.dir, filepath.FromSlash(old)), VConConfig{}); !errors.Is(err, ErrMoved) {
		t.Errorf("vcon: %v, want ErrMoved", err)
	}
	asked := k.v.asked
	if n, err := k.s.MoveOut(t.Context(), k.policy()); n != 0 || err != nil || k.v.asked != asked+1 { // for what waits
		t.Errorf("again: %d, %v, the vault was asked %d times", n, err, k.v.asked-asked)
	}
	for _, here := range []string{young, silent} {
		if _, err := k.s.Fetch(t.Context(), k.v, here, "uid 7", "a look"); !errors.Is(err, ErrHere) {
			t.Errorf("fetch %s: %v, want ErrHere", here, err)
		}
	}
	f, err := k.s.Fetch(t.Context(), k.v, old, "uid 7", "a look")
	if err != nil || f.Files != 2 || f.Bytes < 8000 {
		t.Fatalf("fetch: %+v, %v", f, err)
	}
	for _, name := range k.audio(old) {
		if b, err := os.ReadFile(filepath.Join(k.dir, filepath.FromSlash(old), name)); err != nil || !bytes.Equal(b, k.v.files[path.Join(old, name)]) {
			t.Errorf("%s: other octets than before, %v", name, err)
		}
	}
	if v, bad := k.verify(nil); bad != "" || v.Good != 5 || v.Moved != 0 {
		t.Errorf("verify: %+v, %s", v, bad)
	}
	if n, err := k.s.MoveOut(t.Context(), k.policy()); n != 0 || err != nil {
		t.Errorf("%d moved at once again, %v", n, err)
	}
	tomorrow := k.policy()
	tomorrow.Now = time.Now().Add(fetchedStays + time.Minute)
	if n, err := k.s.MoveOut(t.Context(), tomorrow); n != 2 || err != nil || len(k.audio(old))+len(k.audio(young)) != 0 {
		t.Errorf("%d moved a day later, %v", n, err)
	}
	said := map[string]int{}
	for _, l := range leavesOf(t, k.dir) {
		if l.Type == evidence.LeafMoved && (l.To.Bucket != "calls" || l.To.Files != 2 || l.Manifest == "" || l.To.SHA256 == "") {
			t.Errorf("leaf: %+v", l)
		}
		if l.Folder == old {
			said[l.Type+l.Act]++
		}
	}
	if said[evidence.LeafMoved] != 2 || said[evidence.LeafAct+actFetch] != 1 {
		t.Errorf("the log says %v", said)
	}
	if _, err := k.s.Erase(t.Context(), old, "uid 7", "she asked"); err != nil {
		t.Fatal(err)
	}
	delete(k.there, old)
	k.erased[old] = true
	if list := k.erasing(); len(list) != 1 || !strings.Contains(list[0].Pending[0], "bucket calls") {
		t.Errorf("erased without a vault that could be asked: %+v, want it pending", list)
	}
}

// TestAudioThatIsReadHereStays until nobody reads it, whatever its time.
func TestAudioThatIsReadHereStays(t *testing.T) {
	k := newMover(t, Config{Format: FormatMulaw})
	read, other := k.talk(72*time.Hour), k.talk(72*time.Hour)
	policy, wanted := k.policy(), map[string]bool{"s-1": true}
	policy.Wanted = func() map[string]bool { return wanted }
	if n, err := k.s.MoveOut(t.Context(), policy); n != 1 || err != nil || len(k.audio(read)) != 2 || len(k.audio(other)) != 0 {
		t.Fatalf("%d moved, %v; left %v of what is read, %v of the other", n, err, k.audio(read), k.audio(other))
	}
	wanted = nil
	if n, err := k.s.MoveOut(t.Context(), policy); n != 1 || err != nil || len(k.audio(read)) != 0 {
		t.Errorf("%d moved when nobody reads it, %v; left %v", n, err, k.audio(read))
	}
}

// TestTheAudioOfALaterCallOfADayGoesToo: that all of a day has gone says nothing of what is recorded in it later.
func TestTheAudioOfALaterCallOfADayGoesToo(t *testing.T) {
	k := newMover(t, Config{Format: FormatMulaw})
	now := time.Now().UTC()
	at := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, time.UTC) // both are of today, at any time of it
	policy := k.policy()
	policy.Leaves, policy.Now = func(ended time.Time) time.Time { return ended }, now.Add(time.Minute)
	first := k.talk(now.Sub(at.Add(time.Second)))
	for range 2 { // the second finds nothing left
		_, err := k.s.MoveOut(t.Context(), policy)
		succeed(t, err)
	}
	second := k.talk(now.Sub(at.Add(10 * time.Second)))
	if path.Dir(first) != path.Dir(second) {
		t.Fatalf("%s and %s are not of one day", first, second)
	}
	if n, err := k.s.MoveOut(t.Context(), policy); n != 1 || err != nil || len(k.audio(first))+len(k.audio(second)) != 0 {
		t.Errorf("%d moved, %v; left of the first %v, of the second %v", n, err, k.audio(first), k.audio(second))
	}
}

// moveSteps are those of a move and of a fetch at which a crash may come.
var moveSteps, fetchSteps = []string{"leaf", "moved.json", "removed"}, []string{"downloaded", "put back", "fetched"}

func TestACrashAtAnyStepOfAMoveOrFetchLosesNothing(t *testing.T) {
	for _, step := range append(slices.Clone(moveSteps), fetchSteps...) {
		t.Run(step, func(t *testing.T) {
			k := newMover(t, Config{Format: FormatMulaw})
			other, folder := k.talk(72*time.Hour), k.talk(72*time.Hour)
			if slices.Contains(fetchSteps, step) {
				if n, err := k.s.MoveOut(t.Context(), k.policy()); n != 2 || err != nil {
					t.Fatalf("%d moved, %v", n, err)
				}
				k.crash(step)
				if _, err := k.s.Fetch(t.Context(), k.v, folder, "uid 7", "a look"); !errors.Is(err, errCrash) {
					t.Fatalf("got %v, want the crash", err)
				}
			} else {
				k.crash(step)
				if _, err := k.s.MoveOut(t.Context(), k.policy()); !errors.Is(err, errCrash) {
					t.Fatalf("got %v, want the crash", err)
				}
			}
			k.stop()
			if v, bad := k.verify(k.v); bad != "" || v.Good != 2 || v.Read != v.Moved {
				t.Fatalf("after the crash: %+v, %s", v, bad)
			}
			k.begin()
			k.check("after the start")
			later := k.policy()
			later.Now = time.Now().Add(fetchedStays + time.Minute)
			_, err := k.s.MoveOut(t.Context(), later)
			succeed(t, err)
			if a, b := k.audio(folder), k.audio(other); len(a)+len(b) != 0 {
				t.Errorf("left: %v, %v", a, b)
			}
			if v, bad := k.verify(k.v); bad != "" || v.Good != 2 || v.Moved != 2 || v.Read != 2 {
				t.Errorf("moved: %+v, %s", v, bad)
			}
			for _, f := range []string{folder, other} {
				_, err := k.s.Fetch(t.Context(), k.v, f, "uid 7", "a look")
				succeed(t, err)
			}
			if v, bad := k.verify(nil); bad != "" || v.Good != 2 || v.Moved != 0 {
				t.Errorf("fetched: %+v, %s", v, bad)
			}
			if left, _ := filepath.Glob(filepath.Join(k.dir, "state/fetching/*")); len(left) != 0 {
				t.Errorf("left of what was fetched: %v", left)
			}
		})
	}
}

// TestAPowerLossInAMoveLeavesTheAudioOrWhereItIs cuts the power at each sync of a move, and of a fetch.
func TestAPowerLossInAMoveLeavesTheAudioOrWhereItIs(t *testing.T) {
	rnd := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 3))
	for _, fetch := range []bool{false, true} {
		for at, more := 1, true; more; at++ {
			var disk *powercut.Disk
			syncs, cut := 0, t.TempDir()
			cfg := Config{Format: FormatMulaw}
			cfg.Beneath(func(f *os.File, _ func() error) error {
				if disk == nil {
					return nil
				}
				if syncs++; syncs == at {
					_, err := disk.Cut(cut, rnd)
					succeed(t, err)
				}
				return disk.Sync(f)
			}, nil)
			k := newMover(t, cfg)
			folder := k.talk(72 * time.Hour)
			if fetch {
				_, err := k.s.MoveOut(t.Context(), k.policy())
				succeed(t, err)
			}
			k.stop()
			k.begin() // nothing else is at work
			d, err := powercut.New(k.dir)
			succeed(t, err)
			disk = d
			if fetch {
				_, err = k.s.Fetch(t.Context(), k.v, folder, "uid 7", "a look")
			} else {
				_, err = k.s.MoveOut(t.Context(), k.policy())
			}
			succeed(t, err)
			if more = syncs >= at; !more {
				_, err := disk.Cut(cut, rnd)
				succeed(t, err)
			}
			disk = nil
			k.stop()
			succeed(t, d.Close())
			k.dir, k.cfg.Dir, k.v.dir = cut, cut, cut
			k.begin()
			v, bad := k.verify(k.v)
			if bad != "" || v.Good != 1 || v.Moved == 0 && len(k.audio(folder)) != 2 || v.Moved != v.Read {
				t.Fatalf("cut at sync %d (fetch %v): %+v, %s, audio %v", at, fetch, v, bad, k.audio(folder))
			}
			if _, err := k.s.Fetch(t.Context(), k.v, folder, "uid 7", "a look"); err != nil && !errors.Is(err, ErrHere) {
				t.Fatalf("cut at sync %d (fetch %v): %v", at, fetch, err)
			}
			if v, bad := k.verify(nil); bad != "" || v.Good != 1 || v.Moved != 0 || len(k.audio(folder)) != 2 {
				t.Fatalf("cut at sync %d (fetch %v), fetched: %+v, %s", at, fetch, v, bad)
			}
			k.stop()
		}
	}
}

func TestWhileTheVaultIsAwayOrDoubtfulNothingIsRemoved(t *testing.T) {
	k := newMover(t, Config{})
	first, second := k.talk(72*time.Hour), k.talk(71*time.Hour)
	k.v.away = fmt.Errorf("%w: no route to host", ErrAway)
	if n, err := k.s.MoveOut(t.Context(), k.policy()); n != 0 || !errors.Is(err, ErrAway) || k.v.asked != 1 {
		t.Errorf("away: %d moved, %v, asked %d times, want once", n, err, k.v.asked)
	}
	k.v.away = nil
	k.v.files[first+"/"+AudioName][100] ^= 1 // the vault has other octets
	for range 2 {
		if n, err := k.s.MoveOut(t.Context(), k.policy()); n > 1 || err == nil || !strings.Contains(err.Error(), first) {
			t.Errorf("other octets: %d moved, %v, want an error that names it", n, err)
		}
	}
	if len(k.audio(first)) != 1 || len(k.audio(second)) != 0 {
		t.Errorf("audio: %v, %v; want that of the first, and the other moved", k.audio(first), k.audio(second))
	}
	// Somebody changed the manifest: what it says of the audio is nobody's word.
	third := k.talk(70 * time.Hour)
	name := filepath.Join(k.dir, filepath.FromSlash(third), ManifestName)
	b, err := os.ReadFile(name)
	succeed(t, err)
	succeed(t, os.WriteFile(name, append(b, '\n'), 0o600))
	k.v.take(t, third)
	if _, err := k.s.MoveOut(t.Context(), k.policy()); !errors.Is(err, errChanged) || len(k.audio(third)) != 1 {
		t.Errorf("a changed manifest: %v, audio %v", err, k.audio(third))
	}
}

func TestVerifyTellsMovedFromRemoved(t *testing.T) {
	k := newMover(t, Config{})
	folder, here := k.talk(72*time.Hour), k.talk(time.Hour)
	if n, err := k.s.MoveOut(t.Context(), k.policy()); n != 1 || err != nil {
		t.Fatalf("%d moved, %v", n, err)
	}
	k.stop()
	moved, audio := filepath.Join(k.dir, filepath.FromSlash(folder), MovedName), filepath.Join(k.dir, filepath.FromSlash(here), AudioName)
	good, err := os.ReadFile(moved)
	succeed(t, err)
	sound, err := os.ReadFile(audio)
	succeed(t, err)
	inVault := bytes.Clone(k.v.files[folder+"/"+AudioName])
	forged := bytes.ReplaceAll(good, []byte(folder), []byte(here))
	for _, c := range []struct {
		name  string
		do    func()
		bad   string
		vault bool
	}{
		{"moved.json is gone", func() { succeed(t, os.Remove(moved)) }, "removed audio.wav", false},
		{"moved.json is changed", func() {
			succeed(t, os.WriteFile(moved, bytes.Replace(good, []byte("calls"), []byte("mine!"), 1), 0o600))
		}, "changed moved.json, removed audio.wav", false},
		{"moved.json is none", func() { succeed(t, os.WriteFile(moved, []byte("{}"), 0o600)) }, "changed moved.json, removed audio.wav", false},
		{"audio is removed", func() { succeed(t, os.Remove(audio)) }, "removed audio.wav", false},
		{"audio is removed, and a move made up", func() {
			succeed(t, os.Remove(audio))
			succeed(t, os.WriteFile(filepath.Join(filepath.Dir(audio), MovedName), forged, 0o600))
		}, "added moved.json, removed audio.wav", false},
		{"a move made up", func() { succeed(t, os.WriteFile(filepath.Join(filepath.Dir(audio), MovedName), forged, 0o600)) }, "added moved.json", false},
		{"other octets in the vault", func() { k.v.files[folder+"/"+AudioName][70] ^= 1 }, "changed audio.wav", true},
		{"gone from the vault", func() { delete(k.v.files, folder+"/"+AudioName) }, "removed audio.wav", true},
		{"put back by hand", func() { succeed(t, os.WriteFile(filepath.Join(filepath.Dir(moved), AudioName), inVault, 0o600)) }, "", true},
	} {
		c.do()
		var from Fetcher
		if c.vault {
			from = k.v
		}
		if _, bad := k.verify(from); bad != c.bad {
			t.Errorf("%s: found %q, want %q", c.name, bad, c.bad)
		}
		succeed(t, os.WriteFile(moved, good, 0o600))
		succeed(t, os.WriteFile(audio, sound, 0o600))
		_ = os.Remove(filepath.Join(filepath.Dir(audio), MovedName))
		_ = os.Remove(filepath.Join(filepath.Dir(moved), AudioName))
		k.v.files[folder+"/"+AudioName] = bytes.Clone(inVault)
		if v, bad := k.verify(k.v); bad != "" || v.Good != 2 || v.Read != 1 {
			t.Fatalf("%s, put back: %+v, %s", c.name, v, bad)
		}
	}
}

func FuzzParseMoved(f *testing.F) {
	f.Add([]byte(`{"version":1,"folder":"2026/11/23/20261123T101500Z_s-1","endpoint":"https://s3.test","bucket":"calls","prefix":"x","objects":[{"file":"audio.wav","key":"x/audio.wav","sha256":"` +
		strings.Repeat("ab", 32) + `","bytes":7}]}`))
	f.Add([]byte(`{"version":1,"folder":"../../etc","endpoint":"e","bucket":"b","prefix":"p","objects":[{"file":"../x","key":"k"}]}`))
	f.Add([]byte("[]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseMoved(b)
		if err != nil {
			return
		}
		if !isFolder(m.Folder) {
			t.Errorf("folder %q", m.Folder)
		}
		for _, o := range m.Objects {
			if strings.Contains(o.File, "/") || o.File == "" || strings.Trim(o.File, ".") == "" && len(o.File) < 3 || len(o.SHA256) != 64 || o.Bytes < 0 {
				t.Errorf("object %+v", o)
			}
		}
	})
}
