package recorder

import (
	"errors"
	"os"
	"path/filepath"
)

// Free gives the bytes that dir's file system has left for us; of a folder that is not there yet, the one in which it
// will be made.
func Free(dir string) (int64, error) {
	free, _, err := Room(dir)
	return free, err
}

// Room is Free, and the size of the whole file system.
func Room(dir string) (free, total int64, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return 0, 0, err
	}
	for {
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) || filepath.Dir(dir) == dir {
			return diskRoom(dir)
		}
		dir = filepath.Dir(dir)
	}
}

// BytesPerSecond is what a recording of so many channels writes.
func BytesPerSecond(format string, channels int) int64 {
	const rate = 8000
	if format == FormatMulaw {
		return rate * int64(channels)
	}
	return 2 * rate * int64(channels)
}
