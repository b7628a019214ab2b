package powercut

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// Disk knows of a directory what was made durable.
type Disk struct {
	// Set by New, then constant.
	dir string

	// mu guards the fields below.
	mu    sync.Mutex
	seq   int64
	files map[uint64]*content
	dirs  map[uint64]*folder
	// held keeps inodes from being given to other files.
	held map[uint64]*os.File
}

// content is what of a file is durable.
type content struct {
	seq int64
	b   []byte
}

// folder is what of a folder is durable.
type folder struct {
	seq   int64
	names map[string]entry
}

// entry is a name's.
type entry struct {
	inode uint64
	dir   bool
}

// New makes a Disk for a directory; what lies there now is durable.
func New(dir string) (*Disk, error) {
	d := &Disk{dir: dir, files: map[uint64]*content{}, dirs: map[uint64]*folder{}, held: map[uint64]*os.File{}}
	return d, d.SyncAll()
}

// Close lets go of the files.
func (d *Disk) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var errs []error
	for _, f := range d.held {
		errs = append(errs, f.Close())
	}
	clear(d.held)
	return errors.Join(errs...)
}

// Sync notes a file's or a folder's present state as durable. It does not ask the kernel to make it so.
func (d *Disk) Sync(f *os.File) error {
	seq := d.next()
	again, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err != nil {
		return fmt.Errorf("powercut: %w", err)
	}
	return d.note(again, seq)
}

// SyncAll notes the state of all that lies in the directory.
func (d *Disk) SyncAll() error {
	seq := d.next()
	return filepath.WalkDir(d.dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && (e.IsDir() || e.Type().IsRegular()) {
			var f *os.File
			if f, err = os.Open(path); err == nil {
				err = d.note(f, seq)
			}
		}
		if errors.Is(err, fs.ErrNotExist) { // it went while we looked
			return nil
		}
		return err
	})
}

func (d *Disk) next() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seq++
	return d.seq
}

// note takes f's state, and f.
func (d *Disk) note(f *os.File, seq int64) error {
	fi, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	inode := inodeOf(fi)
	var names map[string]entry
	var b []byte
	if fi.IsDir() {
		names, err = list(f.Name())
	} else {
		b, err = os.ReadFile(f.Name())
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if fi.IsDir() {
		if had := d.dirs[inode]; had == nil || had.seq < seq {
			d.dirs[inode] = &folder{seq, names}
		}
	} else if had := d.files[inode]; had == nil || had.seq < seq {
		d.files[inode] = &content{seq, b}
	}
	if d.held[inode] != nil {
		return f.Close()
	}
	d.held[inode] = f
	return nil
}

func inodeOf(fi fs.FileInfo) uint64 {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		panic("powercut: no inodes here")
	}
	return st.Ino
}

// list gives a folder's names as they are in one moment.
func list(path string) (map[string]entry, error) {
	before, err := listOnce(path)
	for range 100 {
		if err != nil {
			return nil, err
		}
		var now map[string]entry
		if now, err = listOnce(path); err == nil && maps.Equal(before, now) {
			return now, nil
		}
		before = now
	}
	return nil, errors.Join(errors.New("powercut: a folder that never rests"), err)
}

func listOnce(path string) (map[string]entry, error) {
	all, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	names := map[string]entry{}
	for _, e := range all {
		fi, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if fi.IsDir() || fi.Mode().IsRegular() {
			names[e.Name()] = entry{inodeOf(fi), fi.IsDir()}
		}
	}
	return names, nil
}
