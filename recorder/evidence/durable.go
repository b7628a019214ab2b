package evidence

import (
	"errors"
	"os"
)

// Through is how a file or a folder is made durable: it calls ask, which has the kernel do so. Nil: ask alone. Tests put a disk
// there that fails, or loses power.
type Through func(f *os.File, ask func() error) error

// Ask makes f durable.
func (t Through) Ask(f *os.File, ask func() error) error {
	if t == nil {
		return ask()
	}
	return t(f, ask)
}

func (t Through) sync(f *os.File) error { return t.Ask(f, f.Sync) }

// syncDir makes a folder's names durable.
func (t Through) syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(t.sync(d), d.Close())
}
