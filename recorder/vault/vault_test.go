package vault_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/earshot/earshot/recorder"
)

func TestARecordingIsWholeInTheVault(t *testing.T) {
	g := serve(t, false)
	dir := t.TempDir()
	before := recording(t, dir, 1, 100_000) // sealed when there was no vault
	v := start(t, config(dir, g.addr))
	eventually(t, 20*time.Second, "the first is in the vault", func() bool { return v.told.folders()[before] == 1 })
	after := recording(t, dir, 2, 200_000)
	v.Sealed(recorder.Result{Dir: filepath.Join(dir, filepath.FromSlash(after))})
	eventually(t, 20*time.Second, "the second is in the vault", func() bool { return v.told.folders()[after] == 1 })
	g.whole(t, dir, before)
	g.whole(t, dir, after)
	eventually(t, 5*time.Second, "the queue is empty", func() bool { return v.Status().Queued == 0 })
	if s := v.Status(); s.Vaulted != 2 || s.Trouble != "" || s.SentBytes < 300_000 || s.ReadBytes != 0 {
		t.Errorf("status: %+v", s)
	}
	v.stop()
	// Another process finds all done.
	again := start(t, config(dir, g.addr))
	third := recording(t, dir, 3, 1000)
	again.Sealed(recorder.Result{Dir: filepath.Join(dir, filepath.FromSlash(third))})
	eventually(t, 20*time.Second, "the third is in the vault", func() bool { return again.told.folders()[third] == 1 })
	if n := again.Status().Vaulted; n != 1 {
		t.Errorf("%d vaulted by the second process, want 1", n)
	}
}
