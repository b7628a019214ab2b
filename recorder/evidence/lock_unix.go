//go:build unix

package evidence

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// lock waits until no other process appends. The kernel gives it back however the process ends.
func lock(f *os.File) error { return flock(f, unix.LOCK_EX) }

// lockShared waits for the same, but lets others read.
func lockShared(f *os.File) error { return flock(f, unix.LOCK_SH) }

func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
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
