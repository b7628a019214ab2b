package powercut

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// sector is what a disk writes whole or not at all.
const sector = 512

// cutTries bounds how often Cut begins anew, because names moved while it looked.
const cutTries = 200

// cut is one loss of power.
type cut struct {
	d    *Disk
	r    *rand.Rand
	keep float64           // how much of what was not made durable is there nevertheless
	live map[uint64]string // where inodes are now
	sure map[string][]byte
}

// Cut lays into the folder to, which must be empty, what a loss of power now may leave, and gives what it must leave: the files
// that are durable, under names that are, with slashes.
func (d *Disk) Cut(to string, r *rand.Rand) (sure map[string][]byte, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for range cutTries {
		c := &cut{d: d, r: r, live: map[uint64]string{}, sure: map[string][]byte{}}
		switch r.IntN(4) {
		case 0: // nothing
		case 1:
			c.keep = 1
		default:
			c.keep = r.Float64()
		}
		if err = c.run(to); err == nil {
			return c.sure, nil
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errMoved) {
			break
		}
		left, e := filepath.Glob(filepath.Join(to, "*"))
		hidden, _ := filepath.Glob(filepath.Join(to, ".*")) // the pattern is a good one
		if e != nil {
			return nil, fmt.Errorf("powercut: %w", e)
		}
		for _, name := range append(left, hidden...) {
			if err := os.RemoveAll(name); err != nil {
				return nil, fmt.Errorf("powercut: %w", err)
			}
		}
	}
	return nil, fmt.Errorf("powercut: %w", err)
}

var errMoved = errors.New("a name moved while we looked")

func (c *cut) run(to string) error {
	root, err := os.Stat(c.d.dir)
	if err != nil {
		return err
	}
	err = filepath.WalkDir(c.d.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := e.Info()
		if err == nil {
			c.live[inodeOf(fi)] = path
		}
		return err
	})
	if err != nil {
		return err
	}
	c.durable(inodeOf(root), "")
	return c.folder(inodeOf(root), to)
}

// durable notes what must be found.
func (c *cut) durable(inode uint64, at string) {
	d := c.d.dirs[inode]
	if d == nil {
		return
	}
	for name, e := range d.names {
		path := at + name
		if e.dir {
			c.durable(e.inode, path+"/")
		} else if f := c.d.files[e.inode]; f != nil {
			c.sure[path] = f.b
		}
	}
}

// folder lays a folder's content.
func (c *cut) folder(inode uint64, to string) error {
	had := map[string]entry{}
	if d := c.d.dirs[inode]; d != nil {
		had = d.names
	}
	now := map[string]entry{}
	if path, ok := c.live[inode]; ok {
		var err error
		if now, err = list(path); err != nil {
			return err
		}
	}
	chosen := c.choose(had, now)
	for _, name := range slices.Sorted(maps.Keys(chosen)) {
		e, at := chosen[name], filepath.Join(to, name)
		if e.dir {
			if err := os.Mkdir(at, 0o700); err != nil {
				return err
			}
			if err := c.folder(e.inode, at); err != nil {
				return err
			}
			continue
		}
		if err := c.file(e.inode, at); err != nil {
			return err
		}
	}
	return nil
}

// choose gives each name its old state or its new one; names between which something moved, together.
func (c *cut) choose(had, now map[string]entry) map[string]entry {
	names := map[string]bool{}
	for n := range had {
		names[n] = true
	}
	for n := range now {
		names[n] = true
	}
	from := map[uint64]string{} // inodes that had a name
	for n, e := range had {
		from[e.inode] = n
	}
	group := map[string]string{} // of names that go together, each leads to another
	find := func(n string) string {
		for group[n] != "" {
			n = group[n]
		}
		return n
	}
	for n, e := range now {
		if old, ok := from[e.inode]; ok && find(old) != find(n) {
			group[find(old)] = find(n)
		}
	}
	out, fate := map[string]entry{}, map[string]bool{}
	for _, n := range slices.Sorted(maps.Keys(names)) {
		g := find(n)
		take, ok := fate[g]
		if !ok {
			take = c.r.Float64() < c.keep
			fate[g] = take
		}
		e, ok := had[n]
		if take {
			e, ok = now[n]
		}
		if ok {
			out[n] = e
		}
	}
	return out
}

// file lays a file: its durable octets, and of what was written since each sector or not.
func (c *cut) file(inode uint64, to string) error {
	var had []byte
	if f := c.d.files[inode]; f != nil {
		had = f.b
	}
	now := had
	if path, ok := c.live[inode]; ok {
		fi, err := os.Lstat(path)
		if err != nil {
			return err
		}
		if inodeOf(fi) != inode {
			return errMoved
		}
		if now, err = os.ReadFile(path); err != nil {
			return err
		}
	}
	return os.WriteFile(to, c.mix(had, now), 0o600)
}

func (c *cut) mix(had, now []byte) []byte {
	if bytes.Equal(had, now) {
		return had
	}
	size := len(had)
	if c.r.Float64() < c.keep {
		size = len(now)
		if grown := len(now) - len(had); grown > 0 && c.r.IntN(2) == 0 {
			size = len(had) + c.r.IntN(grown+1)
		}
	}
	out := make([]byte, size)
	copy(out, had)
	for at := 0; at < size; at += sector {
		if c.r.Float64() >= c.keep {
			continue
		}
		end := min(at+sector, size)
		clear(out[at:end])
		if at < len(now) {
			copy(out[at:end], now[at:])
		}
	}
	return out
}
