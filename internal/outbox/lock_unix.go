//go:build unix

package outbox

import (
	"os"
	"syscall"
)

// lockFile takes the lock, or fails at once. It ends with the file, so with the process.
func lockFile(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }
