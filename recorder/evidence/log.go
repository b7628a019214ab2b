package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/mod/sumdb/tlog"
)

// Where things lie in a directory of recordings.
const (
	DirName        = "evidence"
	KeyName        = "key.pem"
	PublicKeyName  = "key.pub"
	LogName        = "log"
	leavesName     = "leaves.jsonl"
	hashesName     = "hashes"
	checkpointName = "checkpoint"
	nextName       = "checkpoint.next"
	fileMode       = 0o600
)

const (
	// MaxLeafOctets bounds a leaf.
	MaxLeafOctets = 16 << 10
	// maxPending bounds the leaves that wait for one sync.
	maxPending = 4096
)

var (
	// ErrDamaged is returned by OpenLog and Append where the log on disk is not what its checkpoint says.
	ErrDamaged = errors.New("evidence log damaged")
	// ErrBusy is returned by Append while more leaves wait than may.
	ErrBusy = errors.New("evidence log: too many leaves wait for the disk")
	errLeaf = fmt.Errorf("evidence log: want a leaf of 1 to %d octets without a line end", MaxLeafOctets)
)

// Log is an append-only log with a signed root.
type Log struct {
	// Set by OpenLog, then constant.
	dir     string
	key     *Key
	through Through

	queue sync.Mutex
	// queue guards the fields below.
	pending []*pending
	waiting int // leaves in pending

	work sync.Mutex // held by who appends, over system calls
	// work guards the fields below.
	leaves, hashes *os.File
	head           Checkpoint
	size           int64 // octets of leaves that head covers
}

// pending is one Append's leaves.
type pending struct {
	leaves [][]byte
	first  int64
	err    error
	done   chan struct{}
}

// OpenLog opens the log in dir, and makes it where there is none. What a crash left half done it finishes or takes back.
func OpenLog(dir string, key *Key) (*Log, error) { return openLogThrough(dir, key, nil) }

func openLogThrough(dir string, key *Key, through Through) (*Log, error) {
	err := os.MkdirAll(dir, dirMode)
	if err == nil {
		err = through.syncDir(filepath.Dir(dir)) // a leaf is as durable as the name of its log
	}
	if err != nil {
		return nil, fmt.Errorf("evidence log: %w", err)
	}
	l := &Log{dir: dir, key: key, through: through}
	if l.leaves, err = l.open(leavesName); err != nil {
		return nil, err
	}
	if l.hashes, err = l.open(hashesName); err != nil {
		return nil, errors.Join(err, l.leaves.Close())
	}
	if err := l.locked(func() error { return nil }); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (l *Log) open(name string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(l.dir, name), os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, fmt.Errorf("evidence log: %w", err)
	}
	return f, nil
}

// Close shuts the files. Nobody may append then.
func (l *Log) Close() error {
	l.work.Lock()
	defer l.work.Unlock()
	return errors.Join(l.leaves.Close(), l.hashes.Close())
}

// Checkpoint gives the newest one that this process has seen.
func (l *Log) Checkpoint() Checkpoint {
	l.work.Lock()
	defer l.work.Unlock()
	return l.head
}

// holds tells whether a checkpoint is one of this log's.
func (l *Log) holds(c Checkpoint) bool {
	l.work.Lock()
	defer l.work.Unlock()
	if c.Size == 0 {
		return true
	}
	if c.Size > l.head.Size {
		return false
	}
	root, err := tlog.TreeHash(c.Size, hashFile{l.hashes})
	return err == nil && root == c.Root
}

// Append adds leaves, one after the other, and returns the number of the first once they are durable and in a signed checkpoint. It waits for the disk.
func (l *Log) Append(leaves ...[]byte) (int64, error) {
	for _, leaf := range leaves {
		if len(leaf) == 0 || len(leaf) > MaxLeafOctets || bytes.IndexByte(leaf, '\n') >= 0 {
			return 0, errLeaf
		}
	}
	p := &pending{leaves: leaves, done: make(chan struct{})}
	l.queue.Lock()
	if l.waiting+len(leaves) > maxPending {
		l.queue.Unlock()
		return 0, ErrBusy
	}
	l.pending = append(l.pending, p)
	l.waiting += len(leaves)
	l.queue.Unlock()
	l.work.Lock()
	l.flush()
	l.work.Unlock()
	<-p.done // the one before us may have taken it along
	return p.first, p.err
}

// flush appends what waits.
func (l *Log) flush() {
	l.queue.Lock()
	group := l.pending
	l.pending, l.waiting = nil, 0
	l.queue.Unlock()
	if len(group) == 0 {
		return
	}
	var all [][]byte
	for _, p := range group {
		all = append(all, p.leaves...)
	}
	var first int64
	err := l.locked(func() error {
		first = l.head.Size
		return l.add(all)
	})
	for _, p := range group {
		p.first, p.err = first, err
		first += int64(len(p.leaves))
		close(p.done)
	}
}

// locked does something with the log to ourselves, on its newest state.
func (l *Log) locked(do func() error) error {
	if err := lock(l.leaves); err != nil {
		return fmt.Errorf("evidence log: %w", err)
	}
	err := l.still()
	if err == nil {
		err = l.catchUp()
	}
	if err == nil {
		if err = do(); err != nil {
			l.takeBack()
		}
	}
	return errors.Join(err, unlock(l.leaves))
}

// takeBack cuts off what an append wrote that failed: whoever verifies meanwhile would take it for somebody else's. As far as
// the disk lets us; the next append does it again.
func (l *Log) takeBack() {
	_ = errors.Join(l.leaves.Truncate(l.size), l.trim())
}

// still tells whether our files are those under the log's names: what is written to others nobody would find.
func (l *Log) still() error {
	for name, f := range map[string]*os.File{leavesName: l.leaves, hashesName: l.hashes} {
		ours, err := f.Stat()
		if err != nil {
			return fmt.Errorf("evidence log: %w", err)
		}
		there, err := os.Lstat(filepath.Join(l.dir, name))
		if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(ours, there) {
			return fmt.Errorf("%w: %s was taken away, or put in place of ours", ErrDamaged, name)
		}
		if err != nil {
			return fmt.Errorf("evidence log: %w", err)
		}
	}
	return nil
}

// add writes leaves: hashes first, then the checkpoint that will be, then the leaves, then the checkpoint under its name.
func (l *Log) add(leaves [][]byte) error {
	have := hashFile{l.hashes}
	more, err := grow(have, l.head.Size, leaves)
	if err != nil {
		return fmt.Errorf("evidence log: %w", err)
	}
	at := tlog.StoredHashCount(l.head.Size)
	size := l.head.Size + int64(len(leaves))
	root, err := tlog.TreeHash(size, ahead{have, at, more})
	if err != nil {
		return fmt.Errorf("evidence log: %w", err)
	}
	next, err := seal(l.key, size, root)
	if err != nil {
		return err
	}
	var raw []byte
	for _, h := range more {
		raw = append(raw, h[:]...)
	}
	var lines []byte
	for _, leaf := range leaves {
		lines = append(append(lines, leaf...), '\n')
	}
	if err := l.write(l.hashes, raw, at*tlog.HashSize); err != nil {
		return fmt.Errorf("evidence log: hashes: %w", err)
	}
	if err := l.writeNext(next); err != nil {
		return fmt.Errorf("evidence log: checkpoint: %w", err)
	}
	if err := l.write(l.leaves, lines, l.size); err != nil {
		return fmt.Errorf("evidence log: leaves: %w", err)
	}
	if err := l.adopt(next, l.size+int64(len(lines))); err != nil {
		return fmt.Errorf("evidence log: checkpoint: %w", err)
	}
	return nil
}

// write puts octets at a place, durably.
func (l *Log) write(f *os.File, b []byte, at int64) error {
	if _, err := f.WriteAt(b, at); err != nil {
		return err
	}
	return l.through.sync(f)
}

func (l *Log) writeNext(c *Checkpoint) error {
	f, err := os.OpenFile(filepath.Join(l.dir, nextName), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fileMode)
	if err != nil {
		return err
	}
	_, err = f.Write(c.text)
	if err == nil {
		err = l.through.sync(f)
	}
	return errors.Join(err, f.Close())
}

// adopt makes the next checkpoint the newest; it covers so many octets of leaves. It may be the newest also where an error comes back.
func (l *Log) adopt(c *Checkpoint, size int64) error {
	if err := os.Rename(filepath.Join(l.dir, nextName), filepath.Join(l.dir, checkpointName)); err != nil {
		return err
	}
	l.head, l.size = *c, size
	return l.through.syncDir(l.dir)
}

// catchUp brings our view to what is on disk: another process may have appended, or a crash cut somebody short.
func (l *Log) catchUp() error {
	head, err := l.readCheckpoint(checkpointName)
	if errors.Is(err, fs.ErrNotExist) {
		head, err = l.first()
	}
	if err != nil {
		return err
	}
	if head.Size < l.head.Size {
		return fmt.Errorf("%w: the checkpoint went back from %d leaves to %d", ErrDamaged, l.head.Size, head.Size)
	}
	if head.Size > l.head.Size {
		if l.size, err = l.skip(l.size, head.Size-l.head.Size); err != nil {
			return err
		}
	}
	l.head = *head
	if err := l.checkHead(); err != nil {
		return err
	}
	return l.finish()
}

// first signs an empty log. So where leaves have no checkpoint it was taken away, and they are not to be taken for an append that was cut short.
func (l *Log) first() (*Checkpoint, error) {
	fi, err := l.leaves.Stat()
	if err != nil {
		return nil, fmt.Errorf("evidence log: %w", err)
	}
	if fi.Size() > 0 {
		return nil, fmt.Errorf("%w: there is no checkpoint", ErrDamaged)
	}
	c, err := seal(l.key, 0, (&roots{}).root())
	if err != nil {
		return nil, err
	}
	if err = l.writeNext(c); err == nil {
		err = os.Rename(filepath.Join(l.dir, nextName), filepath.Join(l.dir, checkpointName))
	}
	if err != nil {
		return nil, fmt.Errorf("evidence log: checkpoint: %w", err)
	}
	return c, l.through.syncDir(l.dir)
}

func (l *Log) readCheckpoint(name string) (*Checkpoint, error) {
	f, err := os.Open(filepath.Join(l.dir, name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxCheckpointOctets+1))
	if err != nil {
		return nil, err
	}
	c, err := OpenCheckpoint(b, &l.key.Public)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return c, nil
}

// skip gives the octet after n more lines from one on.
func (l *Log) skip(from, n int64) (int64, error) {
	buf := make([]byte, 64<<10)
	for n > 0 {
		k, err := l.leaves.ReadAt(buf, from)
		for i, c := range buf[:k] {
			if c != '\n' {
				continue
			}
			if n--; n == 0 {
				return from + int64(i) + 1, nil
			}
		}
		from += int64(k)
		if err != nil {
			if errors.Is(err, io.EOF) {
				return 0, fmt.Errorf("%w: %d leaves are missing at the end", ErrDamaged, n)
			}
			return 0, fmt.Errorf("evidence log: %w", err)
		}
	}
	return from, nil
}

// checkHead tells whether the hashes give the checkpoint's root.
func (l *Log) checkHead() error {
	root, err := tlog.TreeHash(l.head.Size, hashFile{l.hashes})
	if l.head.Size == 0 {
		root, err = (&roots{}).root(), nil
	}
	if err != nil || root != l.head.Root {
		return fmt.Errorf("%w: the hashes are not those of the checkpoint", ErrDamaged)
	}
	return nil
}

// finish ends what a crash cut short. Leaves behind the checkpoint are kept if the checkpoint that was to follow names them exactly; what nobody
// signed is cut off.
func (l *Log) finish() error {
	end, err := l.leaves.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("evidence log: %w", err)
	}
	if end < l.size {
		return fmt.Errorf("%w: leaves are cut short", ErrDamaged)
	}
	if end == l.size {
		return l.trim()
	}
	next, err := l.readCheckpoint(nextName)
	if err == nil && next.Size > l.head.Size {
		if done, err := l.complete(next, end); done || err != nil {
			return err
		}
	}
	if err := l.leaves.Truncate(l.size); err != nil {
		return fmt.Errorf("evidence log: %w", err)
	}
	return l.trim()
}

// trim takes away hashes of leaves that were never written.
func (l *Log) trim() error {
	want := tlog.StoredHashCount(l.head.Size) * tlog.HashSize
	if fi, err := l.hashes.Stat(); err != nil || fi.Size() == want {
		return err
	}
	if err := l.hashes.Truncate(want); err != nil {
		return fmt.Errorf("evidence log: %w", err)
	}
	return nil
}

// complete adopts the next checkpoint if the leaves that are there are those that it names.
func (l *Log) complete(next *Checkpoint, end int64) (bool, error) {
	if end-l.size > maxPending*(MaxLeafOctets+1) {
		return false, nil
	}
	b := make([]byte, end-l.size)
	if _, err := l.leaves.ReadAt(b, l.size); err != nil {
		return false, fmt.Errorf("evidence log: %w", err)
	}
	lines := bytes.SplitAfter(b, []byte("\n"))
	if int64(len(lines)-1) != next.Size-l.head.Size || len(lines[len(lines)-1]) != 0 {
		return false, nil
	}
	leaves := make([][]byte, len(lines)-1)
	for i := range leaves {
		leaves[i] = bytes.TrimSuffix(lines[i], []byte("\n"))
	}
	have, at := hashFile{l.hashes}, tlog.StoredHashCount(l.head.Size)
	more, err := grow(have, l.head.Size, leaves)
	if err != nil {
		return false, fmt.Errorf("evidence log: %w", err)
	}
	root, err := tlog.TreeHash(next.Size, ahead{have, at, more})
	if err != nil || root != next.Root {
		return false, nil
	}
	var raw []byte
	for _, h := range more {
		raw = append(raw, h[:]...)
	}
	if err := l.write(l.hashes, raw, at*tlog.HashSize); err != nil {
		return false, fmt.Errorf("evidence log: hashes: %w", err)
	}
	if err := l.through.sync(l.leaves); err != nil {
		return false, fmt.Errorf("evidence log: %w", err)
	}
	if err := l.adopt(next, end); err != nil {
		return false, fmt.Errorf("evidence log: %w", err)
	}
	return true, nil
}
