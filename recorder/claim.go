package recorder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/earshot/earshot/internal/attr"
)

// Who owns what: the directory's lock belongs to the process that records what comes; it may change hands while both live.
// Each open recording has its folder's lock besides, so that one process never finishes what another still writes.

const (
	// leftoversEvery is how often folders are looked at again that another process holds: it may be killed.
	leftoversEvery = 30 * time.Second
	// After Recover they are looked at a few times more: a process that is being killed gives its files back one by one.
	soonEvery = 500 * time.Millisecond
	soonTimes = 10
)

// Claim takes the directory's lock, of which Standby or Release left us without, and has what nobody writes any more
// finished. ErrInUse: another process has it.
func (s *Store) Claim() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lock != nil {
		return nil
	}
	f, err := s.takeLock()
	if err == nil {
		s.lock = f
		s.Recover()
	}
	return err
}

func (s *Store) takeLock() (*os.File, error) {
	f, err := s.root.OpenFile(lockName, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, fmt.Errorf("recorder: lock: %w", err)
	}
	if err := lockFile(f); err != nil {
		err = errors.Join(err, f.Close())
		if errors.Is(err, errHeld) {
			return nil, fmt.Errorf("recorder: %s: %w", s.cfg.Dir, ErrInUse)
		}
		return nil, fmt.Errorf("recorder: %s: lock: %w", s.cfg.Dir, err)
	}
	return f, nil
}

// Release leaves the directory's lock to another process. Recordings go on, and are sealed when they end.
func (s *Store) Release() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lock == nil {
		return nil
	}
	f := s.lock
	s.lock = nil
	if err := f.Close(); err != nil {
		return fmt.Errorf("recorder: lock: %w", err)
	}
	return nil
}

// Recover has the directory searched for what other processes left unfinished, as at the start: one has ended.
func (s *Store) Recover() {
	select {
	case s.looks <- struct{}{}:
	default:
	}
}

// finishLeftovers finishes what other processes left, each time there may be something, until ctx ends.
func (s *Store) finishLeftovers(ctx context.Context) {
	left := s.repairAll(ctx, s.unfinished)
	words := s.claimed() && s.finishTranscripts(ctx) // some are left
	again := time.NewTimer(s.leftovers)
	defer again.Stop()
	for soon := 0; ; {
		wait := s.leftovers
		if soon > 0 {
			wait = min(wait, soonEvery)
		}
		again.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-s.looks:
			found, err := s.findUnfinished()
			if err != nil {
				s.log.Error("recordings not searched", attr.Err(err))
				s.count.errors.Add(1)
			}
			left, soon, words = s.foreign(found), soonTimes, true
		case <-again.C:
			soon = max(0, soon-1)
		}
		if !s.claimed() {
			left, words = nil, false // who has the lock finishes it
		}
		if words && len(left) == 0 {
			words = s.finishTranscripts(ctx)
		}
		if len(left) == 0 {
			continue
		}
		if left = s.repairAll(ctx, left); len(left) > 0 {
			s.log.Debug("recordings are another process's", slog.Int("recordings", len(left)))
		}
	}
}

// foreign leaves out our own.
func (s *Store) foreign(found []leftover) []leftover {
	own := map[leftover]bool{}
	for _, r := range s.list() {
		own[leftover{r.day, r.base + partialSuffix}] = true
	}
	return slices.DeleteFunc(found, func(l leftover) bool { return own[l] })
}

func (s *Store) claimed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lock != nil
}

// newFolder makes a folder and takes it.
func (s *Store) newFolder(name string) (*os.File, error) {
	s.folders.Lock()
	defer s.folders.Unlock()
	if err := s.mkdir(name); err != nil {
		return nil, err
	}
	return s.lockFolder(name)
}

// takeFolder takes a recording's folder for this process; the kernel gives it back however the process ends. errHeld:
// another process has it, or we. fs.ErrNotExist: it is gone, under this name.
func (s *Store) takeFolder(name string) (*os.File, error) {
	s.folders.Lock()
	defer s.folders.Unlock()
	return s.lockFolder(name)
}

func (s *Store) lockFolder(name string) (*os.File, error) {
	f, err := s.root.Open(name)
	if err != nil {
		return nil, err
	}
	err = lockFile(f)
	if err == nil {
		err = s.still(f, name)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// still tells whether the name is that of the open folder: it was sealed, maybe, before we had it.
func (s *Store) still(f *os.File, name string) error {
	at, err := s.root.Lstat(name)
	if err != nil {
		return err
	}
	if fi, err := f.Stat(); err != nil || !os.SameFile(fi, at) {
		return errors.Join(fs.ErrNotExist, err)
	}
	return nil
}

// discard removes the folder of a recording that could not be begun.
func (r *Recording) discard() error {
	return errors.Join(r.s.root.RemoveAll(r.folder()), r.lock.Close())
}
