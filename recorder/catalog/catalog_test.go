package catalog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/recorder/catalog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var first = time.Date(2026, 1, 1, 8, 0, 0, 0, time.UTC)

// lay puts a sealed recording into a directory, as far as a catalog sees one.
func lay(t testing.TB, dir string, n int, rnd *rand.Rand) string {
	t.Helper()
	started := first.Add(time.Duration(rnd.IntN(200*24*60)) * time.Minute)
	id := fmt.Sprintf("s-%06d", n)
	ended := started.Add(time.Minute)
	until := ended.AddDate(0, 0, 1+rnd.IntN(300))
	m := recorder.Manifest{
		Version: 1, State: []recorder.State{recorder.StateRecorded, recorder.StatePartial, recorder.StateNoMedia}[rnd.IntN(3)], Cause: call.CodeHangup,
		Call: recorder.ManifestCall{ID: id, Sessions: []string{id, fmt.Sprint("t-", n%7)}, SIPCallIDs: []string{}, Agent: strconv.Itoa(100 + rnd.IntN(5)), Direction: call.Inbound},
		Part: 1, Started: started, Ended: &ended, Rate: 8000, Channels: []string{"customer", "agent"},
		Retention: &recorder.Kept{Class: []string{"default", "claims"}[rnd.IntN(2)], Until: &until},
		Tracks: []recorder.Track{{
			ID: 1, PartyID: "p-1", Role: call.RoleCustomer, Name: []string{"Anna Å_1", "Bob 100%", "Çelik"}[rnd.IntN(3)], Number: "+44 20 7183 " + strconv.Itoa(8750+rnd.IntN(9)),
			Epochs: []recorder.Epoch{}, Spans: []recorder.Span{},
		}},
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	folder := started.Format("2006/01/02/20060102T150405Z_") + id
	put(t, dir, folder, b)
	return folder
}

func put(t testing.TB, dir, folder string, manifest []byte) {
	t.Helper()
	name := filepath.Join(dir, filepath.FromSlash(folder))
	if err := os.MkdirAll(name, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(name, recorder.ManifestName), manifest, 0o600); err != nil {
		t.Fatal(err)
	}
}

// keep runs a catalog until stop.
func keep(t testing.TB, dir string) (db *catalog.DB, log *buffer, stop func()) {
	t.Helper()
	log = new(buffer)
	db, err := catalog.New(catalog.Config{Dir: dir, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- db.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Run: %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return db, log, stop
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// fromFile asks the catalog.
func fromFile(t testing.TB, dir string, q recorder.Query) ([]recorder.Listed, error) {
	t.Helper()
	r, err := catalog.Open(t.Context(), dir)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return r.Search(t.Context(), q)
}

func fromFolders(t testing.TB, dir string, q recorder.Query) []recorder.Listed {
	t.Helper()
	c, err := recorder.OpenCatalog(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	list, err := c.Search(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// same asks both, and compares.
func same(t testing.TB, dir string, q recorder.Query) int {
	t.Helper()
	got, err := fromFile(t, dir, q)
	if err != nil {
		t.Fatalf("%+v: %v", q, err)
	}
	want := fromFolders(t, dir, q)
	if len(got)+len(want) > 0 && !reflect.DeepEqual(asJSON(t, got), asJSON(t, want)) {
		t.Fatalf("%+v: the catalog gives %d, the folders %d:\n%s\n%s", q, len(got), len(want), asJSON(t, got), asJSON(t, want))
	}
	return len(got)
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// eventually waits until the catalog's file, by itself, has so many.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
		<-tick.C
	}
}

func ask(rnd *rand.Rand, folders []string) recorder.Query {
	q := recorder.Query{Most: 1 + rnd.IntN(50)}
	some := func(n int) bool { return rnd.IntN(n) == 0 }
	if some(3) {
		q.From = first.Add(time.Duration(rnd.IntN(200*24)) * time.Hour)
	}
	if some(3) {
		q.To = first.Add(time.Duration(200*24+rnd.IntN(24)) * time.Hour)
	}
	if some(4) {
		q.Agent = strconv.Itoa(100 + rnd.IntN(6))
	}
	if some(4) {
		q.Number = []string{"+44 20", "8750", "8751", "4420718387", "1"}[rnd.IntN(5)]
	}
	if some(4) {
		q.Party = []string{"anna", "å_", "%", "p-1", "P-1", "çel", "_"}[rnd.IntN(7)]
	}
	if some(6) {
		q.Call = []string{"t-3", "s-000007", "s-"}[rnd.IntN(3)]
	}
	if some(4) {
		q.State = recorder.StatePartial
	}
	if some(4) {
		q.Class = "claims"
	}
	if some(5) {
		q.Text = []string{"HANGUP", "t-5", "100%", "nobody", "inbound"}[rnd.IntN(5)]
	}
	if some(6) {
		q.Held = true
	}
	if some(3) && len(folders) > 0 {
		q.After = folders[rnd.IntN(len(folders))]
	}
	return q
}

func TestTheCatalogAnswersAsTheFoldersDo(t *testing.T) {
	dir, rnd := t.TempDir(), rand.New(rand.NewPCG(1, 2))
	var folders []string
	for n := range 300 {
		folders = append(folders, lay(t, dir, n, rnd))
	}
	for n := 0; n < 300; n += 9 {
		put(t, dir, "holds", nil)
		name := filepath.Join(dir, "holds", filepath.FromSlash(folders[n])+".json")
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	db, _, stop := keep(t, dir)
	eventually(t, "the catalog is there", func() bool { _, err := fromFile(t, dir, recorder.Query{}); return err == nil })
	found := 0
	for n := range 150 {
		found += same(t, dir, ask(rnd, folders))
		switch n % 15 { // they come and go while it is asked
		case 3:
			folder := lay(t, dir, 1000+n, rnd)
			folders = append(folders, folder)
			db.Changed(folder)
		case 7: // without earshot
			folders = append(folders, lay(t, dir, 1000+n, rnd))
		case 11:
			gone := rnd.IntN(len(folders))
			if err := os.RemoveAll(filepath.Join(dir, filepath.FromSlash(folders[gone]))); err != nil {
				t.Fatal(err)
			}
			db.Changed(folders[gone])
		}
	}
	if found < 200 {
		t.Errorf("%d recordings found in all: the questions ask for too little", found)
	}
	if n := same(t, dir, recorder.Query{Most: 1000}); n < 280 {
		t.Errorf("%d recordings, want nearly 300", n)
	}
	stop() // and after it has ended, also of what came since
	lay(t, dir, 5000, rnd)
	for _, l := range fromFolders(t, dir, recorder.Query{Most: 3}) { // and of what went
		succeed(t, os.RemoveAll(filepath.Join(dir, filepath.FromSlash(l.Folder))))
	}
	same(t, dir, recorder.Query{Most: 1000})
}

func TestPagesHoldEachRecordingOnce(t *testing.T) {
	dir, rnd := t.TempDir(), rand.New(rand.NewPCG(3, 4))
	for n := range 105 {
		lay(t, dir, n, rnd)
	}
	_, _, _ = keep(t, dir)
	eventually(t, "the catalog is there", func() bool { _, err := fromFile(t, dir, recorder.Query{}); return err == nil })
	seen, after := map[string]bool{}, ""
	for {
		page, err := fromFile(t, dir, recorder.Query{Most: 20, After: after})
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, l := range page {
			if seen[l.Folder] || after != "" && l.Folder >= after {
				t.Fatalf("%s after %s", l.Folder, after)
			}
			seen[l.Folder], after = true, l.Folder
		}
	}
	if len(seen) != 105 {
		t.Errorf("%d on all pages, want 105", len(seen))
	}
}

// rows counts what the file itself holds: a Reader would make up for what is missing.
func rows(t testing.TB, dir string) int {
	t.Helper()
	n, err := catalog.Rows(t.Context(), dir)
	if err != nil {
		return -1
	}
	return n
}

func TestADamagedCatalogIsMadeAnew(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, file string){
		"removed": func(t *testing.T, file string) { succeed(t, os.Remove(file)) },
		"empty":   func(t *testing.T, file string) { succeed(t, os.Truncate(file, 0)) },
		"cut":     func(t *testing.T, file string) { succeed(t, os.Truncate(file, 5000)) },
		"no database": func(t *testing.T, file string) {
			succeed(t, os.WriteFile(file, bytes.Repeat([]byte("no database "), 1000), 0o600))
		},
		"overwritten inside": func(t *testing.T, file string) {
			b, err := os.ReadFile(file)
			succeed(t, err)
			for i := 4096; i < len(b); i += 512 {
				copy(b[i:], "garbage, garbage, garbage")
			}
			succeed(t, os.WriteFile(file, b, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, rnd := t.TempDir(), rand.New(rand.NewPCG(5, 6))
			for n := range 40 {
				lay(t, dir, n, rnd)
			}
			_, _, stop := keep(t, dir)
			eventually(t, "40 rows", func() bool { return rows(t, dir) == 40 })
			stop()
			for _, suffix := range []string{"-wal", "-shm"} {
				_ = os.Remove(filepath.Join(dir, catalog.Name+suffix))
			}
			spoil(t, filepath.Join(dir, catalog.Name))
			// Who asks meanwhile is told to look at the folders, or gets the right answer.
			if got, err := fromFile(t, dir, recorder.Query{Most: 100}); err == nil && len(got) != 40 {
				t.Errorf("meanwhile: got %d, want 40 or an error", len(got))
			}
			_, log, _ := keep(t, dir)
			eventually(t, "40 rows again", func() bool { return rows(t, dir) == 40 })
			same(t, dir, recorder.Query{Most: 100})
			if said := strings.Contains(log.String(), "made anew"); said != (name != "removed" && name != "empty") {
				t.Errorf("said %v: %s", said, log)
			}
		})
	}
}

func TestACatalogThatIsTakenAwayIsMadeAnewWhileItIsKept(t *testing.T) {
	dir, rnd := t.TempDir(), rand.New(rand.NewPCG(5, 6))
	lay(t, dir, 1, rnd)
	db, log, _ := keep(t, dir)
	eventually(t, "a row", func() bool { return rows(t, dir) == 1 })
	succeed(t, os.Remove(filepath.Join(dir, catalog.Name)))
	db.Changed(lay(t, dir, 2, rnd))
	eventually(t, "two rows", func() bool { return rows(t, dir) == 2 })
	if !strings.Contains(log.String(), "made anew") {
		t.Errorf("not said: %s", log)
	}
}

func TestWithoutACatalogThereIsNone(t *testing.T) {
	if _, err := catalog.Open(t.Context(), t.TempDir()); !errors.Is(err, catalog.ErrNone) {
		t.Errorf("got %v, want ErrNone", err)
	}
	if names, _ := os.ReadDir(t.TempDir()); len(names) != 0 {
		t.Errorf("it made %v", names)
	}
}

func TestOnlyTheOwnerReadsTheCatalog(t *testing.T) {
	dir := t.TempDir()
	lay(t, dir, 1, rand.New(rand.NewPCG(1, 1)))
	_, _, _ = keep(t, dir)
	eventually(t, "a row", func() bool { return rows(t, dir) == 1 })
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if fi, err := os.Stat(filepath.Join(dir, catalog.Name+suffix)); err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v, want mode 600", catalog.Name+suffix, fi, err)
		}
	}
}

func TestChangesThatFindNoRoomAreFoundByTheNextLook(t *testing.T) {
	dir, rnd := t.TempDir(), rand.New(rand.NewPCG(1, 1))
	lay(t, dir, 1, rnd)
	db, err := catalog.New(catalog.Config{Dir: dir})
	succeed(t, err)
	for range 5000 { // nobody takes them yet, and nothing blocks
		db.Changed("2026/01/01/20260101T000000Z_none")
	}
	if db.Lost() == 0 {
		t.Error("no change was lost: the queue has no bound")
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- db.Run(ctx) }()
	eventually(t, "a row", func() bool { return rows(t, dir) == 1 })
	cancel()
	succeed(t, <-done)
}

func TestWhatIsDueComesInItsOrder(t *testing.T) {
	dir, rnd := t.TempDir(), rand.New(rand.NewPCG(8, 8))
	for n := range 60 {
		lay(t, dir, n, rnd)
	}
	_, _, _ = keep(t, dir)
	eventually(t, "60 rows", func() bool { return rows(t, dir) == 60 })
	now := first.AddDate(0, 8, 0)
	want := map[string]bool{}
	for _, l := range fromFolders(t, dir, recorder.Query{Most: 100}) {
		if !l.Until.After(now) {
			want[l.Folder] = true
		}
	}
	r, err := catalog.Open(t.Context(), dir)
	succeed(t, err)
	defer r.Close()
	for folder, err := range r.Due(t.Context(), now) {
		succeed(t, err)
		if !want[folder] {
			t.Errorf("%s is not due, or came twice", folder)
		}
		delete(want, folder)
	}
	if len(want) > 0 {
		t.Errorf("%d are due and did not come", len(want))
	}
}

// TestAHundredThousandAreListedAtOnce: EARSHOT_CATALOG=100000 makes it as many as that.
func TestAHundredThousandAreListedAtOnce(t *testing.T) {
	many, err := strconv.Atoi(os.Getenv("EARSHOT_CATALOG"))
	if err != nil {
		many = 2000
	}
	dir, rnd := t.TempDir(), rand.New(rand.NewPCG(1, 2))
	for n := range many {
		lay(t, dir, n, rnd)
	}
	begun := time.Now()
	_, _, _ = keep(t, dir)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for rows(t, dir) != many {
		<-tick.C
	}
	t.Logf("%d recordings: catalog made in %v", many, time.Since(begun))
	for name, q := range map[string]recorder.Query{
		"the newest": {}, "an agent's": {Agent: "103"}, "by number": {Number: "8750"}, "text that nothing has": {Text: "nobody"}, "all": {Most: many},
	} {
		begun = time.Now()
		list, err := fromFile(t, dir, q)
		t.Logf("%-22s %6d in %v", name, len(list), time.Since(begun))
		if err != nil || name == "all" && len(list) != many || name == "an agent's" && len(list) != 100 {
			t.Errorf("%s: %d, %v", name, len(list), err)
		}
	}
}

func succeed(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestWhatWasErasedIsInNoOctetOfTheCatalog: SQLite leaves what is deleted in pages that are free, and in its log.
func TestWhatWasErasedIsInNoOctetOfTheCatalog(t *testing.T) {
	dir, rnd := t.TempDir(), rand.New(rand.NewPCG(1, 2))
	var gone []string
	for n := range 40 {
		if folder := lay(t, dir, n, rnd); n%4 == 0 {
			gone = append(gone, folder)
		}
	}
	db, _, stop := keep(t, dir)
	eventually(t, "all are in it", func() bool { return rows(t, dir) == 40 })
	left := func() (found []string) {
		files, err := filepath.Glob(filepath.Join(dir, catalog.Name+"*"))
		succeed(t, err)
		for _, f := range files {
			b, err := os.ReadFile(f)
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			succeed(t, err)
			for _, folder := range gone {
				if _, id, _ := strings.Cut(filepath.Base(folder), "_"); bytes.Contains(b, []byte(id)) {
					found = append(found, filepath.Base(f)+": "+id)
				}
			}
		}
		return found
	}
	if len(left()) == 0 {
		t.Fatal("they can't be found in the files while they are there")
	}
	for _, folder := range gone {
		succeed(t, os.RemoveAll(filepath.Join(dir, filepath.FromSlash(folder))))
		db.Changed(folder)
	}
	eventually(t, "they are in no octet", func() bool { return rows(t, dir) == 30 && len(left()) == 0 }) // what goes from log to file is seen in neither
	stop()
	if found := left(); len(found) > 0 {
		t.Errorf("after the end: %v", found)
	}
}
