package recorder

import (
	"errors"
	"os"
	"time"

	"github.com/earshot/earshot/internal/attr"
)

// Each Store shares the lock of the directory itself as long as it lives, with or without `.lock`: after a hand-over the older process still reads, for its consumers, what it
// recorded, and only it knows what. The kernel gives the share back however a process ends.

// presentWithin bounds the wait for one that has the directory's lock alone: a store has it for a moment, a stranger's program as long as it likes.
const presentWithin = time.Second

// enter takes our share. Without it the store works as ever, and another process may take it for gone.
func (s *Store) enter() {
	var err error
	if s.present, err = s.root.Open("."); err == nil {
		err = shareFile(s.present)
	}
	for end := time.Now().Add(presentWithin); errors.Is(err, errHeld) && time.Now().Before(end); err = shareFile(s.present) {
		time.Sleep(time.Millisecond)
	}
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		s.log.Warn("recordings: no other process knows that this one reads here", attr.Err(err))
	}
}

// leave gives it back; safe twice.
func (s *Store) leave() error {
	if s.present == nil {
		return nil
	}
	if err := s.present.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// alone tells whether no other store of the directory lives; where the file system locks no directories, it can't be known, and is taken to be so. Call it with `.lock` held
// only: two that ask at once would not see each other.
func (s *Store) alone() bool {
	if s.present == nil {
		return true
	}
	held := errors.Is(lockFile(s.present), errHeld)
	// The kernel gives up our share before it tries for all: it is taken again in either case.
	return !errors.Is(shareFile(s.present), errHeld) && !held
}
