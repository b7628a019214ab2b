package recorder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// What of a recording is on disk when the power fails is decided here and by whoever calls: content first, then the name of it,
// then what promises it (a header's sizes, a manifest, a leaf of the log). Each step is durable before the next one begins.

// sync makes a file durable, as it is.
func (s *Store) sync(f *os.File) error { return s.cfg.through.Ask(f, f.Sync) }

// datasync makes a file's data and length durable.
func (s *Store) datasync(f *os.File) error {
	return s.cfg.through.Ask(f, func() error { return datasync(f) })
}

// syncDir makes the names in a folder durable.
func (s *Store) syncDir(name string) error {
	d, err := s.root.Open(name)
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	if err := errors.Join(s.sync(d), d.Close()); err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	return nil
}

// allow tells whether the disk takes a change; tests only say no.
func (s *Store) allow(op, name string) error {
	if s.cfg.fault == nil {
		return nil
	}
	if err := s.cfg.fault(op, name); err != nil {
		return &fs.PathError{Op: op, Path: name, Err: err}
	}
	return nil
}

// openWrite opens a file that is going to be written.
func (s *Store) openWrite(name string, flag int) (*os.File, error) {
	if err := s.allow("open", name); err != nil {
		return nil, err
	}
	return s.root.OpenFile(name, flag, fileMode)
}

func (s *Store) mkdir(name string) error {
	if err := s.allow("mkdir", name); err != nil {
		return err
	}
	return s.root.Mkdir(name, dirMode)
}

func (s *Store) rename(from, to string) error {
	if err := s.allow("rename", to); err != nil {
		return err
	}
	return s.root.Rename(from, to)
}
