package recorder

import (
	"errors"
	"os"
	"testing"
	"time"
)

// TestNothingMovesWhileAnOlderProcessLives: the one that handed the directory over may still read any of it.
func TestNothingMovesWhileAnOlderProcessLives(t *testing.T) {
	k := newMover(t, Config{Format: FormatMulaw})
	folder := k.talk(72 * time.Hour)
	cfg := k.cfg
	cfg.Standby = true
	next, err := New(cfg)
	succeed(t, err)
	defer next.Close() //nolint:errcheck // the folder goes with it
	for range 2 {      // the look must not cost the older one its place
		if n, err := k.s.MoveOut(t.Context(), k.policy()); n != 0 || err != nil || len(k.audio(folder)) != 2 {
			t.Fatalf("%d moved beside another process, %v; left %v", n, err, k.audio(folder))
		}
	}
	succeed(t, k.s.Release())
	succeed(t, next.Claim())
	for range 2 {
		if n, err := next.MoveOut(t.Context(), k.policy()); n != 0 || err != nil || len(k.audio(folder)) != 2 {
			t.Fatalf("%d moved while the older process lives, %v; left %v", n, err, k.audio(folder))
		}
	}
	k.stop()
	if n, err := next.MoveOut(t.Context(), k.policy()); n != 1 || err != nil || len(k.audio(folder)) != 0 {
		t.Errorf("%d moved when it has ended, %v; left %v", n, err, k.audio(folder))
	}
}

// TestAMoveEndsWithTheHandOver: the vault may take its time for one recording, and the other process's streams read the next by then.
func TestAMoveEndsWithTheHandOver(t *testing.T) {
	k := newMover(t, Config{Format: FormatMulaw})
	folders := []string{k.talk(72 * time.Hour), k.talk(72 * time.Hour), k.talk(72 * time.Hour)}
	var next *Store
	k.v.busy = func(string) (err error) {
		if next != nil {
			return nil
		}
		cfg := k.cfg
		cfg.Standby = true
		next, err = New(cfg)
		succeed(t, err)
		succeed(t, k.s.Release())
		succeed(t, next.Claim())
		return nil
	}
	n, err := k.s.MoveOut(t.Context(), k.policy())
	if n != 0 || err != nil {
		t.Errorf("%d moved, %v, want none", n, err)
	}
	for _, folder := range folders {
		if len(k.audio(folder)) != 2 {
			t.Errorf("%s: left %v", folder, k.audio(folder))
		}
	}
	succeed(t, next.Close())
}

// TestAStrangersLockOfTheDirectoryCostsAMoveAndNoMore: a script that runs under flock(1) stops nobody from recording.
func TestAStrangersLockOfTheDirectoryCostsAMoveAndNoMore(t *testing.T) {
	k := newMover(t, Config{Format: FormatMulaw})
	folder := k.talk(72 * time.Hour)
	k.stop()
	script, err := os.Open(k.cfg.Dir)
	succeed(t, err)
	defer script.Close()
	succeed(t, lockFile(script))
	s, err := New(k.cfg)
	succeed(t, err)
	defer s.Close() //nolint:errcheck // the folder goes with it
	if n, err := s.MoveOut(t.Context(), k.policy()); n != 0 || err != nil || len(k.audio(folder)) != 2 {
		t.Errorf("%d moved, %v; left %v", n, err, k.audio(folder))
	}
	succeed(t, script.Close())
	if n, err := s.MoveOut(t.Context(), k.policy()); n != 1 || err != nil || len(k.audio(folder)) != 0 {
		t.Errorf("%d moved with the lock given back, %v; left %v", n, err, k.audio(folder))
	}
}

// TestAnErasureDuringAMoveIsNoFault, whether the vault finds the files gone, or the move comes after it, or once it is decided.
func TestAnErasureDuringAMoveIsNoFault(t *testing.T) {
	k := newMover(t, Config{Format: FormatMulaw})
	folders := []string{k.talk(72 * time.Hour), k.talk(72 * time.Hour), k.talk(72 * time.Hour)}
	crash := errors.New("not yet")
	answers := map[string]error{folders[0]: errors.New("recording.json: no such file")}
	k.v.busy = func(folder string) error {
		if folder == folders[2] {
			k.s.step = func(done string) error {
				if done == "intent" {
					return crash
				}
				return nil
			}
		}
		if _, err := k.s.Erase(t.Context(), folder, "uid 7", "she asked"); err != nil && !errors.Is(err, crash) {
			t.Error(err)
		}
		return answers[folder]
	}
	if n, err := k.s.MoveOut(t.Context(), k.policy()); n != 0 || err != nil {
		t.Errorf("%d moved, %v, want none and no error", n, err)
	}
	if k.v.asked != len(folders) {
		t.Errorf("the vault was asked %d times, want %d", k.v.asked, len(folders))
	}
}
