package vault_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/recorder/vault"
)

// disk is a store of the recordings that a vault has; stopped by the test's end.
func disk(t *testing.T, dir string, v *vault.Vault) *recorder.Store {
	t.Helper()
	s, err := recorder.New(recorder.Config{Dir: dir, Erasers: []recorder.Eraser{v}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// atOnce lets all audio go that the vault has.
func atOnce(v *vault.Vault) recorder.MoveConfig {
	return recorder.MoveConfig{Vault: v, Leaves: vault.Period{}.After}
}

// left names the files of a folder.
func left(t *testing.T, dir, folder string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(filepath.Join(dir, filepath.FromSlash(folder)))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// TestAudioLeavesTheDiskOnlyForAVaultThatHasIt: in one piece and in parts, and comes back as it was.
func TestAudioLeavesTheDiskOnlyForAVaultThatHasIt(t *testing.T) {
	g := serve(t, true)
	p := newProxy(t, g.addr)
	dir := t.TempDir()
	small, large := recording(t, dir, 1, 50_000), recording(t, dir, 2, 6<<20)
	gone, spoiled, later := recording(t, dir, 3, 5000), recording(t, dir, 4, 5000), recording(t, dir, 5, 5000)
	audio := map[string][]byte{}
	for _, f := range []string{small, large, gone, spoiled, later} {
		b, err := os.ReadFile(filepath.Join(dir, f, recorder.AudioName))
		if err != nil {
			t.Fatal(err)
		}
		audio[f] = b
	}
	c := config(dir, p.addr).Quick(50*time.Millisecond, 5*time.Second)
	c.PartBytes, c.Lock, c.For = 5<<20, vault.LockGovernance, vault.Period{Years: 1}
	v := start(t, c)
	eventually(t, 60*time.Second, "all are in the vault", func() bool { return len(v.told.folders()) == 5 && v.Status().Queued == 0 })
	s := disk(t, dir, v.Vault)

	p.set(true, nil)
	p.cut() // nobody answers
	if n, err := s.MoveOut(t.Context(), atOnce(v.Vault)); n != 0 || !errors.Is(err, recorder.ErrAway) {
		t.Errorf("away: %d moved, %v, want ErrAway", n, err)
	}
	p.set(false, nil)
	// Somebody with the right to removes one from the vault, and the disk spoils another.
	key := gone + "/" + recorder.AudioName
	version := g.versions(t, key)[key][0].VersionID
	if err := g.client.RemoveObject(t.Context(), bucket, key, minio.RemoveObjectOptions{VersionID: version, GovernanceBypass: true}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, spoiled, recorder.AudioName), make([]byte, 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Hold(later, recorder.Hold{Who: "uid 7", Why: "a lawsuit"}); err != nil {
		t.Fatal(err)
	}
	n, err := s.MoveOut(t.Context(), atOnce(v.Vault))
	if n != 2 || err == nil || errors.Is(err, recorder.ErrAway) {
		t.Errorf("%d moved, %v, want two, and what keeps the others", n, err)
	}
	for _, f := range []string{small, large} {
		if names := left(t, dir, f); slices.Contains(names, recorder.AudioName) || !slices.Contains(names, recorder.MovedName) || len(names) != 4 {
			t.Errorf("%s: %v", f, names)
		}
	}
	for _, f := range []string{gone, spoiled, later} {
		if names := left(t, dir, f); !slices.Contains(names, recorder.AudioName) || len(names) != 4 {
			t.Errorf("%s: %v, want all of it", f, names)
		}
	}
	for _, f := range []string{small, large} {
		if _, err := s.Fetch(t.Context(), v, f, "uid 7", "a look"); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, f, recorder.AudioName))
		if err != nil || string(b) != string(audio[f]) || len(left(t, dir, f)) != 4 {
			t.Errorf("%s: came back with other octets, or beside others: %v, %v", f, err, left(t, dir, f))
		}
	}
}

// TestAMovedRecordingIsErasedAndNotBroughtAgain: its audio is not here, which is no failure of an upload, and its erasure reaches the vault.
func TestAMovedRecordingIsErasedAndNotBroughtAgain(t *testing.T) {
	g := serve(t, false)
	dir := t.TempDir()
	folder, other := recording(t, dir, 1, 5000), recording(t, dir, 2, 5000)
	c := config(dir, g.addr).Quick(50*time.Millisecond, 5*time.Second)
	v := start(t, c)
	eventually(t, 30*time.Second, "both are in the vault", func() bool { return len(v.told.folders()) == 2 && v.Status().Queued == 0 })
	s := disk(t, dir, v.Vault)
	if n, err := s.MoveOut(t.Context(), atOnce(v.Vault)); n != 2 || err != nil {
		t.Fatalf("%d moved, %v", n, err)
	}
	v.stop()
	if err := os.RemoveAll(filepath.Join(dir, "vault")); err != nil { // what says that they are there
		t.Fatal(err)
	}
	v = start(t, c)
	third := recording(t, dir, 3, 100)
	v.Sealed(recorder.Result{Dir: filepath.Join(dir, third)})
	eventually(t, 30*time.Second, "the third is in the vault", func() bool { return v.told.folders()[third] == 1 })
	if f := v.told.failures(); len(f) != 0 || v.Status().Queued != 0 {
		t.Errorf("told as failures: %+v", f)
	}
	if _, err := v.Placed(t.Context(), other); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("placed: %v, want that nothing is known of it", err)
	}
	if err := v.Erase(t.Context(), folder); err != nil {
		t.Fatal(err)
	}
	if n := g.versions(t, folder+"/"); len(n) != 0 {
		t.Errorf("left in the vault: %v", n)
	}
	// What moved.json says is enough to get the other back, for a reader too.
	r, err := vault.OpenReader(c)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() //nolint:errcheck // connections of a test
	if _, err := s.Fetch(t.Context(), r, other, "uid 7", "a look"); err != nil {
		t.Error(err)
	}
	c.Bucket = "another"
	wrong, err := vault.OpenReader(c)
	if err != nil {
		t.Fatal(err)
	}
	defer wrong.Close() //nolint:errcheck // connections of a test
	if _, err := s.Fetch(t.Context(), wrong, folder, "uid 7", "a look"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("from another bucket: %v, want an error that names both", err)
	}
}
