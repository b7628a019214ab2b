package recorder

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/recorder/evidence"
)

// TestAChangedDateErasesNothing: who can write in the folder must not have earshot erase a recording, and name it in the log as past its time.
func TestAChangedDateErasesNothing(t *testing.T) {
	k := newShop(t, Config{Retention: Retention{Default: Period{Years: 5}}})
	folder, other := k.record(time.Hour), k.record(time.Hour)
	name := filepath.Join(k.dir, filepath.FromSlash(folder), ManifestName)
	b, err := os.ReadFile(name)
	succeed(t, err)
	year := []byte(time.Now().AddDate(5, 0, 0).UTC().Format(`"until": "2006-`))
	forged := bytes.Replace(b, year, []byte(`"until": "2001-`), 1)
	if bytes.Equal(forged, b) {
		forged = bytes.Replace(b, bytes.ReplaceAll(year, []byte(" "), nil), []byte(`"until":"2001-`), 1)
	}
	if bytes.Equal(forged, b) {
		t.Fatalf("no date in %s", b)
	}
	succeed(t, os.WriteFile(name, forged, 0o600))
	for _, dry := range []bool{true, false} {
		p, err := k.s.Prune(t.Context(), PruneConfig{Who: "uid 7", DryRun: dry})
		if err != nil || p.Erased != 0 || p.Failed != 1 || len(p.Items) != 1 || p.Items[0].State != "failed" || p.Items[0].Text == "" {
			t.Errorf("dry %v: got %+v, %v, want it named as failed", dry, p, err)
		}
	}
	if _, err := os.Stat(filepath.Dir(name)); err != nil {
		t.Errorf("the recording: %v", err)
	}
	for _, l := range leavesOf(t, k.dir) {
		if l.Type == evidence.LeafErased {
			t.Errorf("the log says that it was erased: %+v", l)
		}
	}
	// Put back, it is what was signed; and whoever is asked by hand may erase it as it is.
	succeed(t, os.WriteFile(name, b, 0o600))
	k.check("put back")
	succeed(t, os.WriteFile(name, forged, 0o600))
	if _, err := k.s.Erase(t.Context(), folder, "uid 7", "it was changed"); err != nil {
		t.Errorf("by hand: %v", err)
	}
	delete(k.there, folder)
	k.erased[folder] = true
	k.check("after an erasure by hand")
	if _, err := os.Stat(filepath.Join(k.dir, filepath.FromSlash(other))); err != nil {
		t.Errorf("the other one: %v", err)
	}
}

// TestAHoldTakenAwayByHandHolds: the log knows it, so removing its file frees nothing; hold and unhold by their commands do.
func TestAHoldTakenAwayByHandHolds(t *testing.T) {
	k := newShop(t, Config{Retention: shortFor})
	folder := k.record(time.Hour, func(i *call.Info) { i.Agent = "1" })
	hold := Hold{Matter: "Miller v. Smith", Who: "uid 7", Why: "letter"}
	succeed(t, k.s.Hold(folder, hold))
	succeed(t, os.Remove(filepath.Join(k.dir, filepath.FromSlash(holdName(folder)))))
	if _, err := k.s.Erase(t.Context(), folder, "uid 7", "she asked"); !errors.Is(err, ErrOnHold) {
		t.Errorf("erase: got %v, want ErrOnHold", err)
	}
	if p, err := k.s.Prune(t.Context(), inTenDays); err != nil || p.Erased != 0 || p.Held != 1 {
		t.Errorf("prune: got %+v, %v, want it held", p, err)
	}
	succeed(t, k.s.Hold(folder, hold))
	if _, err := k.s.Unhold(folder, hold.Matter, "uid 7", "settled"); err != nil {
		t.Fatal(err)
	}
	if p, err := k.s.Prune(t.Context(), inTenDays); err != nil || p.Erased != 1 {
		t.Errorf("prune after the end of the hold: got %+v, %v, want it erased", p, err)
	}
}
