package vault_test

import (
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot/earshot/recorder/vault"
)

// TestALockThatTheServerDoesNotTellIsNoLock: nothing counts as vaulted whose lock is not known to hold.
func TestALockThatTheServerDoesNotTellIsNoLock(t *testing.T) {
	g := serve(t, true)
	dir := t.TempDir()
	folder := recording(t, dir, 1, 5000)
	var hide atomic.Bool
	hide.Store(true)
	c := config(dir, g.addr).Quick(20*time.Millisecond, 5*time.Second).Through(func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			if err == nil && hide.Load() {
				resp.Header.Del("X-Amz-Object-Lock-Mode")
			}
			return resp, err
		})
	})
	c.Lock, c.For = vault.LockCompliance, vault.Period{Years: 10}
	v := start(t, c)
	eventually(t, 30*time.Second, "it is not believed", func() bool { return v.Status().Failures[vault.CauseLock] > 1 })
	if len(v.told.folders()) != 0 {
		t.Fatal("vaulted, and nobody knows whether it is locked")
	}
	hide.Store(false)
	eventually(t, 30*time.Second, "it is in the vault", func() bool { return v.told.folders()[folder] == 1 })
	g.whole(t, dir, folder)
}

// TestWhatIsThereWithoutALockIsLocked, not brought again: a crash came before it was noted, and the lock was configured since.
func TestWhatIsThereWithoutALockIsLocked(t *testing.T) {
	g := serve(t, true)
	dir := t.TempDir()
	folder := recording(t, dir, 1, 5000)
	c := config(dir, g.addr).Quick(20*time.Millisecond, 5*time.Second)
	v := start(t, c)
	eventually(t, 30*time.Second, "it is in the vault", func() bool { return v.told.folders()[folder] == 1 })
	v.stop()
	if err := os.RemoveAll(filepath.Join(dir, "vault")); err != nil {
		t.Fatal(err)
	}
	c.Lock, c.For, c.LegalHold = vault.LockGovernance, vault.Period{Years: 10}, true
	v = start(t, c)
	eventually(t, 30*time.Second, "it is there, and locked", func() bool { return v.told.folders()[folder] == 1 })
	if n := v.Status().SentBytes; n != 0 {
		t.Errorf("%d octets sent again", n)
	}
	g.whole(t, dir, folder)
	err := v.Erase(t.Context(), folder)
	if l, ok := err.(*vault.LockedError); !ok || !l.Hold || l.Mode != vault.LockGovernance || l.Until.Year() != 2036 { //nolint:errorlint // it comes unwrapped
		t.Errorf("Erase: %v, want locked until 2036 and on hold", err)
	}
}
