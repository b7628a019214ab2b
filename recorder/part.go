package recorder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"
)

// nextPart looks for earlier parts of the call, sealed or not, in the days around its start: a call that goes on after a
// restart began hours ago at most.
func (s *Store) nextPart(r *Recording, id string) error {
	clean := cleanID(id)
	for days := -1; days <= 1; days++ {
		day := dayDir(r.started.Add(time.Duration(days) * 24 * time.Hour))
		names, err := s.names(day)
		if err != nil {
			return fmt.Errorf("open recording: %w", err)
		}
		for _, name := range names {
			if !namesCall(name, clean) {
				continue
			}
			base := strings.TrimSuffix(name, partialSuffix)
			m, err := s.manifestOf(day, base)
			if err != nil || m.Call.ID != id || m.Part < r.part {
				continue
			}
			r.part, r.previous = m.Part+1, inDay(day, base)
			r.resume(m)
		}
	}
	return nil
}

// manifestOf reads a recording's manifest, whether it is sealed or about to be.
func (s *Store) manifestOf(day, base string) (*Manifest, error) {
	m, err := readManifest(s.root, inDay(day, base+partialSuffix, ManifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return readManifest(s.root, inDay(day, base, ManifestName))
	}
	return m, err
}

// names lists a folder without a look at what is in it; nothing if there is none.
func (s *Store) names(folder string) ([]string, error) { return dirNames(s.root, folder) }

func dirNames(root *os.Root, folder string) ([]string, error) {
	d, err := root.OpenFile(folder, os.O_RDONLY|syscall.O_NONBLOCK, 0) // see openFile
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	names, err := d.Readdirnames(-1)
	if errors.Is(err, syscall.ENOTDIR) { // somebody's file among our folders
		err = nil
	}
	return names, errors.Join(err, d.Close())
}

var errNoFile = errors.New("not a regular file")

// openFile opens a file for reading. A pipe with no one at its other end must not hold up who looks through a folder.
func openFile(root *os.Root, name string) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: errNoFile}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
