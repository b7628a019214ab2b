//go:build unix

package evidence

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// lock waits until no other process appends. The kernel gives it back however the process ends.
func lock(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			return wrapLock(err)
		}
	}
}

func unlock(f *os.File) error { return wrapLock(unix.Flock(int(f.Fd()), unix.LOCK_UN)) }

func wrapLock(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("lock: %w", err)
}
