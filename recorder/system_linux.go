package recorder

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// datasync makes a file's data and length durable, but not its times: one journal entry less.
func datasync(f *os.File) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var serr error
	if err := c.Control(func(fd uintptr) {
		for {
			if serr = unix.Fdatasync(int(fd)); !errors.Is(serr, unix.EINTR) {
				return
			}
		}
	}); err != nil {
		return err
	}
	return serr
}

// writeAt is f.WriteAt, but that it gives how much was written before an error: os.File leaves out what the kernel took in the call before the one that failed. On a disk
// that is nearly full that is audio which is there, and would be named as lost.
func writeAt(f *os.File, b []byte, off int64) (n int, err error) {
	c, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	var werr error
	if err := c.Control(func(fd uintptr) {
		for n < len(b) && werr == nil {
			m, e := unix.Pwrite(int(fd), b[n:], off+int64(n))
			n += max(m, 0)
			switch {
			case e != nil && !errors.Is(e, unix.EINTR):
				werr = &os.PathError{Op: "write", Path: f.Name(), Err: e}
			case e == nil && m == 0:
				werr = &os.PathError{Op: "write", Path: f.Name(), Err: io.ErrShortWrite}
			}
		}
	}); err != nil {
		return n, err
	}
	return n, werr
}

// syncfs makes everything durable that was written to the file system of f.
func syncfs(f *os.File) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var serr error
	if err := c.Control(func(fd uintptr) { serr = unix.Syncfs(int(fd)) }); err != nil {
		return err
	}
	return serr
}

var errHeld = errors.New("held by another process")

// lockFile takes the file for this process; the kernel gives it back however the process ends.
func lockFile(f *os.File) error { return flock(f, unix.LOCK_EX) }

// shareFile takes the file together with others that share it; errHeld: somebody has it alone.
func shareFile(f *os.File) error { return flock(f, unix.LOCK_SH) }

func flock(f *os.File, how int) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var lerr error
	if err := c.Control(func(fd uintptr) { lerr = unix.Flock(int(fd), how|unix.LOCK_NB) }); err != nil {
		return err
	}
	if errors.Is(lerr, unix.EWOULDBLOCK) {
		return errHeld
	}
	return lerr
}

// diskRoom is what a process without privileges may still write, and the size of all, in bytes.
func diskRoom(dir string) (free, total int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, fmt.Errorf("disk free: %s: %w", dir, err)
	}
	return int64(st.Bavail) * int64(st.Bsize), int64(st.Blocks) * int64(st.Bsize), nil //nolint:unconvert // an int32 on some architectures
}
