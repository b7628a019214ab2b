package recorder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/recorder/evidence"
)

// shop is a store at work that can be ended and begun again, beside a model of what should be there.
type shop struct {
	t    *testing.T
	dir  string
	cfg  Config
	s    *Store
	stop func()
	n    int
	// The model: what became of each folder.
	there  map[string]bool
	erased map[string]bool
	taken  map[string]bool // by hand
	holds  map[string]map[string]bool
	short  map[string]bool // kept for a day
}

// shortFor keeps one agent's calls for a day, and others for longer.
var shortFor = Retention{Default: Period{Years: 1}, Classes: []Class{{Name: "short", Keep: Period{Days: 1}, Agents: []string{"1"}}}}

var errCrash = errors.New("kill -9")

func newShop(t *testing.T, cfg Config) *shop {
	k := &shop{
		t: t, dir: filepath.Join(t.TempDir(), "recordings"), cfg: cfg,
		there: map[string]bool{}, erased: map[string]bool{}, taken: map[string]bool{}, holds: map[string]map[string]bool{},
		short: map[string]bool{},
	}
	k.cfg.Dir, k.cfg.Sign, k.cfg.Sync = k.dir, true, 100*time.Millisecond
	k.begin()
	t.Cleanup(func() { k.stop() })
	return k
}

// begin starts a store; what a crash left is finished when it returns.
func (k *shop) begin() {
	k.t.Helper()
	s, err := New(k.cfg)
	succeed(k.t, err)
	succeed(k.t, s.FinishErasures(k.t.Context()))
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	k.s = s
	k.stop = func() {
		cancel()
		if err := <-ran; err != nil {
			k.t.Errorf("Run: %v", err)
		}
		k.stop = func() {}
	}
}

// record makes a sealed recording that ended so long ago.
func (k *shop) record(ago time.Duration, change ...func(*call.Info)) string {
	k.t.Helper()
	k.n++
	info := call.Info{ID: fmt.Sprint("s-", k.n), Sessions: []string{fmt.Sprint("s-", k.n)}, Started: time.Now().Add(-ago).UTC(), Agent: "108", Expected: []call.Party{{ID: "p", Role: call.RoleMix}}}
	for _, c := range change {
		c(&info)
	}
	r, err := k.s.Open(info, Anchor{Wall: info.Started})
	succeed(k.t, err)
	r.End(call.Cause{Code: call.CodeHangup})
	<-r.Sealed()
	res := r.Result()
	succeed(k.t, res.Err)
	folder, err := filepath.Rel(k.dir, res.Dir)
	succeed(k.t, err)
	folder = filepath.ToSlash(folder)
	k.there[folder] = true
	k.short[folder] = info.Agent == "1"
	return folder
}

// check holds disk and log against the model.
func (k *shop) check(when string) {
	k.t.Helper()
	cat, err := OpenCatalog(k.dir)
	succeed(k.t, err)
	defer cat.Close()
	list, err := cat.Search(k.t.Context(), Query{Most: 1 << 20})
	succeed(k.t, err)
	var got []string
	for _, l := range list {
		if l.Error != "" || l.Held != (len(k.holds[l.Folder]) > 0) {
			k.t.Fatalf("%s: %s: error %q, held %v, want held %v", when, l.Folder, l.Error, l.Held, k.holds[l.Folder])
		}
		got = append(got, l.Folder)
	}
	slices.Sort(got)
	if want := slices.Sorted(maps.Keys(k.there)); !slices.Equal(got, want) {
		k.t.Fatalf("%s: listed %v, want %v", when, got, want)
	}
	key, err := evidence.LoadPublic(filepath.Join(k.dir, evidence.DirName, evidence.PublicKeyName))
	succeed(k.t, err)
	v, err := cat.Verify(k.t.Context(), VerifyConfig{Key: key})
	succeed(k.t, err)
	var missing []string
	for _, f := range v.Findings {
		if f.Kind != evidence.Removed {
			k.t.Fatalf("%s: verify: %+v", when, f)
		}
		missing = append(missing, f.What)
	}
	slices.Sort(missing)
	if want := slices.Sorted(maps.Keys(k.taken)); !slices.Equal(missing, want) {
		k.t.Fatalf("%s: verify misses %v, want %v", when, missing, want)
	}
	var gone []string
	for _, e := range v.Erasures {
		if e.Who == "" || e.Why == "" || e.Time.IsZero() {
			k.t.Fatalf("%s: erasure %+v", when, e)
		}
		gone = append(gone, e.Folder)
	}
	if want := slices.Sorted(maps.Keys(k.erased)); v.Good != len(k.there) || !slices.Equal(gone, want) {
		k.t.Fatalf("%s: %d good and %v erased, want %d and %v", when, v.Good, gone, len(k.there), want)
	}
}

// The steps of an erasure at which a crash may come, with the first one decided.
var erasureSteps = []string{"intent", "leaf", "away", "keys", "folder", "local", "elsewhere"}

// crash has the store fall dead after a step of the next erasure.
func (k *shop) crash(step string) {
	k.s.step = func(done string) error {
		if done == step {
			return errCrash
		}
		return nil
	}
}

// fallen starts anew after a crash. Before that verify finds nothing half.
func (k *shop) fallen(folder string) {
	k.t.Helper()
	k.stop()
	k.verifyQuiet(folder)
	k.begin()
	delete(k.there, folder)
	k.erased[folder] = true
}

// verifyQuiet sees that a recording in the middle of its erasure raises no alarm: it is whole, or erased.
func (k *shop) verifyQuiet(folder string) {
	k.t.Helper()
	cat, err := OpenCatalog(k.dir)
	succeed(k.t, err)
	defer cat.Close()
	key, err := evidence.LoadPublic(filepath.Join(k.dir, evidence.DirName, evidence.PublicKeyName))
	succeed(k.t, err)
	v, err := cat.Verify(k.t.Context(), VerifyConfig{Key: key})
	succeed(k.t, err)
	for _, f := range v.Findings {
		if !k.taken[f.What] {
			k.t.Fatalf("%s, in the middle of its erasure: verify: %+v", folder, f)
		}
	}
	if l, ok := cat.Look(folder); ok && l.Error != "" {
		k.t.Fatalf("%s, in the middle of its erasure, is half there: %+v", folder, l)
	}
}

func TestACrashAtAnyStepOfAnErasureLeavesItWholeOrDone(t *testing.T) {
	for _, step := range erasureSteps {
		t.Run(step, func(t *testing.T) {
			k := newShop(t, Config{})
			other, folder := k.record(time.Hour), k.record(time.Hour)
			key := filepath.Join(k.dir, "keys", filepath.FromSlash(folder)+".age")
			succeed(t, os.MkdirAll(filepath.Dir(key), 0o700))
			succeed(t, os.WriteFile(key, []byte("key"), 0o600))
			k.crash(step)
			if _, err := k.s.Erase(t.Context(), folder, "uid 7", "she asked"); !errors.Is(err, errCrash) {
				t.Fatalf("got %v, want the crash", err)
			}
			k.fallen(folder)
			k.check("after the start")
			for _, name := range []string{folder, folder + erasingSuffix, intentName(folder), "keys/" + folder + ".age"} {
				if _, err := os.Lstat(filepath.Join(k.dir, filepath.FromSlash(name))); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s is there still: %v", name, err)
				}
			}
			leaves := 0
			for _, l := range leavesOf(t, k.dir) {
				if l.Type == evidence.LeafErased && l.Folder == folder {
					leaves++
				}
			}
			if leaves != 1 || !k.there[other] {
				t.Errorf("%d leaves of the erasure, want 1", leaves)
			}
		})
	}
}

func TestLivesOfRecordingsAtRandom(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 7))
			k := newShop(t, Config{Retention: shortFor})
			for n := range 40 {
				k.act(rnd)
				if n%10 == 9 {
					k.check(fmt.Sprintf("seed %d, act %d", seed, n))
				}
			}
		})
	}
}

func (k *shop) act(rnd *rand.Rand) {
	k.t.Helper()
	all := slices.Sorted(maps.Keys(k.there))
	if len(all) == 0 {
		k.record(time.Duration(rnd.IntN(48))*time.Hour, func(i *call.Info) { i.Agent = fmt.Sprint(rnd.IntN(3)) })
		return
	}
	folder := all[rnd.IntN(len(all))]
	held := len(k.holds[folder]) > 0
	matter := string(rune('a' + rnd.IntN(3)))
	switch rnd.IntN(9) {
	case 0, 1, 2:
		k.record(time.Duration(rnd.IntN(48))*time.Hour, func(i *call.Info) { i.Agent = fmt.Sprint(rnd.IntN(3)) })
	case 3:
		succeed(k.t, k.s.Hold(folder, Hold{Matter: matter, Who: "uid 7", Why: "a lawsuit"}))
		if k.holds[folder] == nil {
			k.holds[folder] = map[string]bool{}
		}
		k.holds[folder][matter] = true
	case 4:
		left, err := k.s.Unhold(folder, matter, "uid 7", "settled")
		if had := k.holds[folder][matter]; had != (err == nil) {
			k.t.Fatalf("unhold %s: %v, held %v", folder, err, k.holds[folder])
		}
		if delete(k.holds[folder], matter); err == nil && left != len(k.holds[folder]) {
			k.t.Fatalf("unhold %s: %d left, want %d", folder, left, len(k.holds[folder]))
		}
	case 5:
		_, err := k.s.Erase(k.t.Context(), folder, "uid 7", "she asked")
		if held != errors.Is(err, ErrOnHold) || !held && err != nil {
			k.t.Fatalf("erase %s: %v, held %v", folder, err, held)
		}
		if !held {
			delete(k.there, folder)
			k.erased[folder] = true
		}
	case 6:
		if held {
			return
		}
		k.crash(erasureSteps[rnd.IntN(len(erasureSteps))])
		if _, err := k.s.Erase(k.t.Context(), folder, "uid 7", "she asked"); !errors.Is(err, errCrash) {
			k.t.Fatalf("erase %s: %v, want the crash", folder, err)
		}
		k.fallen(folder)
	case 7:
		k.prune()
	case 8: // by hand
		if held {
			return
		}
		succeed(k.t, os.RemoveAll(filepath.Join(k.dir, filepath.FromSlash(folder))))
		delete(k.there, folder)
		k.taken[folder] = true
	}
}

func (k *shop) prune() {
	k.t.Helper()
	p, err := k.s.Prune(k.t.Context(), inTenDays)
	succeed(k.t, err)
	erased, held := 0, 0
	for folder := range maps.Clone(k.there) {
		switch {
		case !k.short[folder]:
		case len(k.holds[folder]) > 0:
			held++
		default:
			erased++
			delete(k.there, folder)
			k.erased[folder] = true
		}
	}
	if p.Erased != erased || p.Held != held || p.Failed != 0 || len(p.Pending) != 0 {
		k.t.Fatalf("prune: %s; want %d erased, %d held", p, erased, held)
	}
}

var inTenDays = PruneConfig{Who: "earshot", Now: time.Now().AddDate(0, 0, 10)}

// stubborn is who has copies elsewhere.
type stubborn struct {
	err   error
	asked []string
}

func (e *stubborn) Erase(_ context.Context, folder string) error {
	e.asked = append(e.asked, folder)
	return e.err
}

// locked is an object lock that stands for a while.
type locked struct{ until time.Time }

func (l locked) Error() string    { return "object lock until " + l.until.Format(time.DateOnly) }
func (l locked) Until() time.Time { return l.until }

func TestCopiesElsewhereAreTriedAgainAndNamed(t *testing.T) {
	vault := &stubborn{err: errors.New("vault: no route to host")}
	k := newShop(t, Config{Erasers: []Eraser{vault}})
	folder := k.record(time.Hour)
	e, err := k.s.Erase(t.Context(), folder, "uid 7", "she asked")
	succeed(t, err)
	if len(e.Pending) != 1 || !e.Next.After(time.Now().Add(50*time.Minute)) || e.Next.After(time.Now().Add(2*time.Hour)) {
		t.Fatalf("got %+v, want one copy pending, for an hour", e)
	}
	delete(k.there, folder)
	k.erased[folder] = true
	k.check("pending")
	if o := k.s.Owed(); o.Erasures != 1 || !o.Oldest.Equal(e.Time) || !o.Next.Equal(e.Next) || !strings.Contains(o.Text, "no route") {
		t.Errorf("owed: %+v", o)
	}
	succeed(t, k.s.FinishErasures(t.Context()))
	if len(vault.asked) != 1 {
		t.Errorf("asked %d times within the hour, want once", len(vault.asked))
	}
	if _, err := k.s.Erase(t.Context(), folder, "uid 7", "again"); !errors.Is(err, ErrErasing) {
		t.Errorf("again: got %v, want ErrErasing", err)
	}
	p, err := k.s.Prune(t.Context(), PruneConfig{Who: "earshot"})
	if err != nil || len(p.Pending) != 1 || p.Pending[0].Folder != folder || !strings.Contains(p.Pending[0].Pending[0], "no route") {
		t.Errorf("prune: %+v, %v; want it named", p, err)
	}
	// The hour is over, and the vault says until when it keeps it.
	lock := locked{time.Now().AddDate(3, 0, 0).UTC()}
	vault.err = lock
	k.due(folder)
	succeed(t, k.s.FinishErasures(t.Context()))
	succeed(t, k.s.FinishErasures(t.Context()))
	if list := k.erasing(); len(list) != 1 || !list[0].Next.Equal(lock.until) || len(vault.asked) != 2 {
		t.Fatalf("got %+v after %d, want one try and then none before the lock ends", list, len(vault.asked))
	}
	k.stop()
	k.begin() // also after a restart
	if o := k.s.Owed(); o.Erasures != 1 || !o.Next.Equal(lock.until) {
		t.Errorf("owed after a restart: %+v", o)
	}
	vault.err = nil
	k.due(folder)
	k.stop()
	k.begin()
	if list := k.erasing(); len(list) != 0 || len(vault.asked) != 3 {
		t.Errorf("got %+v after %d, want it done", list, len(vault.asked))
	}
	if o := k.s.Owed(); o != (Owed{}) {
		t.Errorf("owed when it is done: %+v", o)
	}
	k.check("done")
}

// due has a pending erasure be tried at the next look.
func (k *shop) due(folder string) {
	k.t.Helper()
	i := new(intent)
	succeed(k.t, readState(k.s.root, intentName(folder), i))
	i.Next = time.Now().Add(-time.Second)
	succeed(k.t, k.s.putSmall(intentName(folder), i))
}

func (k *shop) erasing() []Erasure {
	k.t.Helper()
	cat, err := OpenCatalog(k.dir)
	succeed(k.t, err)
	defer cat.Close()
	list, err := cat.Erasing()
	succeed(k.t, err)
	return list
}

func TestADeadVaultDoesNotHoldUpAPrune(t *testing.T) {
	vault := &stubborn{err: errors.New("no route to host")}
	k := newShop(t, Config{Erasers: []Eraser{vault}, Retention: Retention{Default: Period{Days: 1}}})
	for range 8 {
		k.record(time.Hour)
	}
	p, err := k.s.Prune(t.Context(), inTenDays)
	if err != nil || p.Erased != 8 || len(p.Pending) != 8 || len(vault.asked) != awayAfter {
		t.Errorf("got %s, %v, asked %d times; want 8 erased, 8 pending, asked %d times", p, err, len(vault.asked), awayAfter)
	}
}

func TestWhatIsBeingRecordedIsNotErased(t *testing.T) {
	k := newShop(t, Config{})
	r, err := k.s.Open(call.Info{ID: "live", Started: time.Now()}, Anchor{Wall: time.Now()})
	succeed(t, err)
	folder := inDay(r.day, r.base)
	if _, err := k.s.Erase(t.Context(), folder, "uid 7", "she asked"); !errors.Is(err, ErrLive) {
		t.Errorf("live: got %v, want ErrLive", err)
	}
	for name, why := range map[string]string{"../elsewhere": "x", "2026/11/23": "x", "2026/11/23/../../x": "x", folder + partialSuffix: "x", folder: ""} {
		if _, err := k.s.Erase(t.Context(), name, "uid 7", why); err == nil || errors.Is(err, ErrLive) {
			t.Errorf("%s, why %q: got %v, want that it is refused", name, why, err)
		}
	}
	succeed(t, k.s.Hold(folder, Hold{Who: "uid 7", Why: "a lawsuit"})) // a call that goes on may be held
	r.End(call.Cause{Code: call.CodeHangup})
	<-r.Sealed()
	if _, err := k.s.Erase(t.Context(), folder, "uid 7", "she asked"); !errors.Is(err, ErrOnHold) || !strings.Contains(err.Error(), "a lawsuit") {
		t.Errorf("held: got %v, want ErrOnHold, and why", err)
	}
	if _, err := k.s.Erase(t.Context(), "2026/11/23/20261123T101500Z_none", "uid 7", "she asked"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none: got %v", err)
	}
}

func TestAHoldThatIsTakenAwayByHandIsFound(t *testing.T) {
	k := newShop(t, Config{})
	folder := k.record(time.Hour)
	succeed(t, k.s.Hold(folder, Hold{Matter: "case 7", Who: "uid 7", Why: "a lawsuit"}))
	k.holds[folder] = map[string]bool{"case 7": true}
	k.check("held")
	succeed(t, os.Remove(filepath.Join(k.dir, filepath.FromSlash(holdName(folder)))))
	delete(k.holds, folder)
	k.taken[holdName(folder)] = true
	k.check("taken away")
}

func TestAHoldThatCantBeReadHolds(t *testing.T) {
	k := newShop(t, Config{Retention: Retention{Default: Period{Days: 1}}})
	folder := k.record(48 * time.Hour)
	succeed(t, k.s.Hold(folder, Hold{Who: "uid 7", Why: "a lawsuit"}))
	succeed(t, os.WriteFile(filepath.Join(k.dir, filepath.FromSlash(holdName(folder))), []byte("{"), 0o600))
	if _, err := k.s.Erase(t.Context(), folder, "uid 7", "she asked"); !errors.Is(err, ErrOnHold) {
		t.Errorf("erase: got %v, want ErrOnHold", err)
	}
	if p, err := k.s.Prune(t.Context(), inTenDays); err != nil || p.Held != 1 || p.Erased != 0 {
		t.Errorf("prune: got %s, %v, want it held", p, err)
	}
}

func TestExportsOfAnErasedRecordingAreErasedOrNamed(t *testing.T) {
	k := newShop(t, Config{})
	folder := k.record(time.Hour)
	out := t.TempDir()
	put := func(name, text string) string {
		file := filepath.Join(out, name)
		succeed(t, os.WriteFile(file, []byte(text), 0o600))
		return file
	}
	note := func(act, why string) {
		succeed(t, <-k.s.Act(evidence.Leaf{Act: act, Folder: folder, Who: "uid 9", Why: why}))
	}
	const sum = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" // of hello
	still, changed := put("still.wav", "hello"), put("changed.wav", "hello, edited")
	note(ActExport, "complaint; to "+still)
	note(ActExported, sum+"  "+still)
	note(ActExport, "to "+changed)
	note(ActExported, sum+"  "+changed)
	note(ActExported, sum+"  "+filepath.Join(out, "moved.wav"))
	note(ActExport, "why not; track agent to standard output")
	e, err := k.s.Erase(t.Context(), folder, "uid 7", "she asked")
	succeed(t, err)
	var got []string
	for _, x := range e.Exports {
		got = append(got, filepath.Base(x.To)+" "+x.State)
	}
	if want := []string{"still.wav erased", "changed.wav changed", "moved.wav gone", "standard output unknown"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := os.Lstat(still); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is there still", still)
	}
	if _, err := os.Lstat(changed); err != nil {
		t.Errorf("what was changed is not ours to remove: %v", err)
	}
}
