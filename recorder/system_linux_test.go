package recorder

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestWhatWasWrittenBeforeAnErrorIsCounted on a file that takes one page more, and no other: what a disk does that is full.
func TestWhatWasWrittenBeforeAnErrorIsCounted(t *testing.T) {
	page := os.Getpagesize()
	fd, err := unix.MemfdCreate("full", unix.MFD_ALLOW_SEALING)
	succeed(t, err)
	f := os.NewFile(uintptr(fd), "full")
	defer f.Close()
	succeed(t, f.Truncate(int64(2*page)))
	_, err = unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_GROW)
	succeed(t, err)
	b := bytes.Repeat([]byte{7}, 2*page)
	n, err := osFile{f, nil}.WriteAt(b, int64(page))
	if n != page || !errors.Is(err, unix.EPERM) {
		t.Errorf("got %d octets, %v, want the one page that there is, and EPERM", n, err)
	}
	got := make([]byte, page)
	if _, err := f.ReadAt(got, int64(page)); err != nil || !bytes.Equal(got, b[:page]) {
		t.Errorf("the page does not have them: %v", err)
	}
	if n, err := (osFile{f, nil}).WriteAt(b[:page], 0); n != page || err != nil {
		t.Errorf("got %d octets, %v, want all", n, err)
	}
}
