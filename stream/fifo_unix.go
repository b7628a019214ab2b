//go:build unix

package stream

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

func makeFIFO(name string) error { return syscall.Mkfifo(name, 0o600) }

// openFIFO opens a FIFO for writing, if somebody reads it.
func openFIFO(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ENXIO) {
		return nil, errNoReader
	}
	if err != nil {
		return nil, err
	}
	if fi, err := f.Stat(); err != nil || fi.Mode()&fs.ModeNamedPipe == 0 {
		return nil, errors.Join(errNoFIFO, err, f.Close())
	}
	return f, nil
}
