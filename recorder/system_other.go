//go:build !linux

package recorder

import (
	"errors"
	"fmt"
	"os"
)

// datasync makes a file durable.
func datasync(f *os.File) error { return f.Sync() }

// writeAt is os.File's.
func writeAt(f *os.File, b []byte, off int64) (int, error) { return f.WriteAt(b, off) }

// syncfs is Linux's.
func syncfs(*os.File) error { return errors.ErrUnsupported }

var errHeld = errors.New("held by another process")

// lockFile does nothing here: only Linux keeps two processes from one directory.
func lockFile(*os.File) error { return nil }

// shareFile does nothing here, for the same reason.
func shareFile(*os.File) error { return nil }

// diskRoom is not known here.
func diskRoom(dir string) (free, total int64, err error) {
	return 0, 0, fmt.Errorf("disk free: %s: %w", dir, errors.ErrUnsupported)
}
