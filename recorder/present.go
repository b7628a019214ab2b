package recorder

import (
	"errors"
	"fmt"
	"os"
)

// Each Store shares the lock of the directory itself as long as it lives, with or without `.lock`: after a hand-over the older process still reads, for its consumers, what it
// recorded, and only it knows what. The kernel gives the share back however a process ends.

// enter takes our share.
func (s *Store) enter() error {
	f, err := s.root.Open(".")
	if err != nil {
		return fmt.Errorf("recorder: dir: %w", err)
	}
	if err := shareFile(f); err != nil {
		return errors.Join(fmt.Errorf("recorder: %s: share: %w", s.cfg.Dir, err), f.Close())
	}
	s.present = f
	return nil
}

// leave gives it back; safe twice.
func (s *Store) leave() error {
	if err := s.present.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("recorder: dir: %w", err)
	}
	return nil
}

// alone tells whether no other store of the directory lives. Call it with `.lock` held only: two that ask at once would not see each other.
func (s *Store) alone() (bool, error) {
	err := lockFile(s.present)
	alone := err == nil
	if errors.Is(err, errHeld) {
		err = nil
	}
	// The kernel gives up our share before it tries for all: it is taken again in either case.
	if err := errors.Join(err, shareFile(s.present)); err != nil {
		return false, fmt.Errorf("%s: whether another process reads here: %w", s.cfg.Dir, err)
	}
	return alone, nil
}
