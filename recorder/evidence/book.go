package evidence

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// recentOctets is how far back Ensure looks for a leaf: some ten thousand of them. What a crash cut short is among the last.
const recentOctets = 4 << 20

// maxLogs bounds how often a directory's log may have been begun anew.
const maxLogs = 1000

// Book is a directory's key and log, as those who record use them. Its methods are safe for concurrent use, and wait for the disk.
type Book struct {
	// Set by Open, then constant.
	dir  string      // of the evidence
	home os.FileInfo // the directory that it lies in
	key  *Key
	say  *slog.Logger
	// through is how the log is made durable.
	through Through

	// mu guards the fields below; log is begun anew when it turns out to be damaged.
	mu     sync.Mutex
	log    *Log
	closed bool
}

// errMoved: recordings are still written, where the directory is now. A log that is begun under its old name would be another's; what could
// not be named is, at the next start.
var errMoved = errors.New("evidence: the directory of recordings was moved or replaced while it is written to: move it back, or restart with its new place")

// Open opens the book of a directory of recordings. keyFile is the private key; empty: evidence/key.pem in the directory, made if missing. A log that is
// damaged, or another key's, is put aside, and the new one names it.
func Open(dir, keyFile string, say *slog.Logger) (*Book, error) {
	return OpenThrough(nil, dir, keyFile, say)
}

// OpenThrough is Open with a way of one's own to make the log durable.
func OpenThrough(through Through, dir, keyFile string, say *slog.Logger) (*Book, error) {
	b := &Book{dir: filepath.Join(dir, DirName), say: say, through: through}
	if say == nil {
		b.say = slog.New(slog.DiscardHandler)
	}
	own := keyFile == ""
	if own {
		keyFile = filepath.Join(b.dir, KeyName)
	}
	var err error
	if b.key, err = LoadKey(keyFile); errors.Is(err, ErrNoKey) && own {
		if b.key, err = NewKey(); err == nil {
			err = b.key.Save(keyFile)
		}
		if errors.Is(err, fs.ErrExist) { // another process was quicker
			b.key, err = LoadKey(keyFile)
		}
	}
	if err != nil {
		return nil, err
	}
	if fi, err := os.Stat(keyFile); err == nil && fi.Mode().Perm()&0o077 != 0 {
		b.say.Warn("others may read the signing key: chmod 600", slog.String("file", keyFile), slog.String("mode", fi.Mode().Perm().String()))
	}
	if err := os.MkdirAll(b.dir, dirMode); err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	if err := b.showKey(); err != nil {
		return nil, err
	}
	if err := through.syncDir(dir); err != nil { // the folder of the evidence may be new
		return nil, fmt.Errorf("evidence: %w", err)
	}
	if b.home, err = os.Stat(dir); err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	if b.log, err = openLogThrough(filepath.Join(b.dir, LogName), b.key, b.through); errors.Is(err, ErrDamaged) {
		err = b.beginAnew(err)
	}
	if err == nil && b.log.Checkpoint().Size == 0 {
		err = b.goOn()
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// goOn has an empty log name the one that was put aside last: a crash came before that was done.
func (b *Book) goOn() error {
	last := ""
	for n := 1; n <= maxLogs; n++ {
		name := fmt.Sprintf("%s-%d", LogName, n)
		if _, err := os.Lstat(filepath.Join(b.dir, name)); err != nil {
			break
		}
		last = name
	}
	if last == "" {
		return nil
	}
	before := PreviousLog{Dir: last}
	if text, err := os.ReadFile(filepath.Join(b.dir, last, checkpointName)); err == nil { // what can't be read is not named
		before.Checkpoint = string(text)
	}
	if err := b.log.Close(); err != nil {
		return fmt.Errorf("evidence: %w", err)
	}
	return b.begin(before, errors.New("the log before this one was put aside, and then came a crash"))
}

// showKey has key.pub be our key's. One that was there before is kept as key-1.pub, ...: what it signed is verified with it.
func (b *Book) showKey() error {
	name := filepath.Join(b.dir, PublicKeyName)
	there, err := LoadPublic(name)
	if err == nil && !there.Same(&b.key.Public) {
		old, err := freeName(b.dir, "key-%d.pub")
		if err == nil {
			err = os.Rename(name, filepath.Join(b.dir, old))
		}
		if err != nil {
			return fmt.Errorf("evidence: %w", err)
		}
		b.say.Error("another key signs the recordings: keep its key.pub elsewhere, and the one of before", slog.String("key", b.key.ID()), slog.String("before", old))
	} else if err != nil && !errors.Is(err, ErrNoKey) {
		return fmt.Errorf("evidence: %w", err)
	}
	return b.key.SavePublic(name)
}

// freeName gives a name in a folder that nothing has, from 1 on.
func freeName(dir, form string) (string, error) {
	for n := 1; n <= maxLogs; n++ {
		name := fmt.Sprintf(form, n)
		if _, err := os.Lstat(filepath.Join(dir, name)); errors.Is(err, fs.ErrNotExist) {
			return name, nil
		}
	}
	return "", fmt.Errorf("more than %d of the name %s", maxLogs, form)
}

// Close shuts the log. It is safe twice.
func (b *Book) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	return b.log.Close()
}

// Public is the key to check with.
func (b *Book) Public() *Public { return &b.key.Public }

// Sign signs a file's octets.
func (b *Book) Sign(octets []byte) []byte { return b.key.Sign(octets) }

// Checkpoint is the newest.
func (b *Book) Checkpoint() Checkpoint {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.log.Checkpoint()
}

// Write adds leaves, one after the other.
func (b *Book) Write(leaves ...Leaf) error {
	lines := make([][]byte, 0, len(leaves))
	for _, leaf := range leaves {
		if leaf.Time.IsZero() {
			leaf.Time = time.Now()
		}
		line, err := leaf.encode()
		if err != nil {
			return err
		}
		lines = append(lines, line)
	}
	b.mu.Lock()
	log := b.log
	b.mu.Unlock()
	_, err := log.Append(lines...)
	if err == nil {
		return nil
	}
	b.mu.Lock()
	if b.log == log { // else somebody else has begun another
		if !errors.Is(err, ErrDamaged) {
			b.mu.Unlock()
			return err
		}
		if err = b.beginAnew(err); err == nil {
			err = log.Close()
		}
	} else {
		err = nil
	}
	log = b.log
	b.mu.Unlock()
	if err == nil {
		_, err = log.Append(lines...)
	}
	return err
}

// Ensure adds a recording's leaf, behind others, unless it is among the newest already: a crash may have come between the leaf and what followed it.
func (b *Book) Ensure(leaf Leaf, before ...Leaf) error {
	b.mu.Lock()
	have, err := b.log.recent(leaf)
	b.mu.Unlock()
	if err != nil || have {
		return err
	}
	return b.Write(append(before, leaf)...)
}

// recent tells whether a recording's leaf is among the newest.
func (l *Log) recent(leaf Leaf) (bool, error) {
	l.work.Lock()
	defer l.work.Unlock()
	var tail []byte
	err := l.locked(func() error {
		from := max(0, l.size-recentOctets)
		tail = make([]byte, l.size-from)
		_, err := l.leaves.ReadAt(tail, from)
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return err
	})
	if err != nil && !errors.Is(err, ErrDamaged) {
		return false, err
	}
	sum := []byte(cmp.Or(leaf.SHA256, leaf.Manifest))
	for line := range bytes.Lines(tail) {
		if !bytes.Contains(line, sum) {
			continue
		}
		if have, err := ParseLeaf(bytes.TrimSpace(line)); err == nil && have.Type == leaf.Type && have.Folder == leaf.Folder && have.Manifest == leaf.Manifest && have.SHA256 == leaf.SHA256 {
			return true, nil
		}
	}
	return false, nil
}

// Named is what the log says of a folder.
type Named struct {
	Manifests []string // SHA-256, hex, as in its leaves
	Erased    bool
	Opened    bool // it was begun
}

// Named gives what the log, and those that were put aside, say of a folder. It reads all of them.
func (b *Book) Named(folder string) (n Named, err error) {
	quoted, err := json.Marshal(folder)
	if err != nil {
		return n, fmt.Errorf("evidence: %w", err)
	}
	err = Leaves(filepath.Dir(b.dir), []string{string(quoted)}, func(l Leaf) {
		switch {
		case l.Folder != folder:
		case l.Type == LeafRecording:
			n.Manifests = append(n.Manifests, l.Manifest)
		case l.Type == LeafErased:
			n.Erased = true
		case l.Type == LeafOpened:
			n.Opened = true
		}
	})
	return n, err
}

// beginAnew puts the log aside and begins another, which names it. One process at a time does that: the next finds the new one.
func (b *Book) beginAnew(why error) error {
	if home, err := os.Stat(filepath.Dir(b.dir)); err != nil || !os.SameFile(home, b.home) {
		return errors.Join(errMoved, err)
	}
	if err := os.MkdirAll(b.dir, dirMode); err != nil { // all of it was taken away, maybe
		return fmt.Errorf("evidence: %w", err)
	}
	d, err := os.Open(b.dir)
	if err != nil {
		return fmt.Errorf("evidence: %w", err)
	}
	defer d.Close()
	if err := lock(d); err != nil {
		return fmt.Errorf("evidence: %w", err)
	}
	if err := b.showKey(); err != nil {
		return err
	}
	name := filepath.Join(b.dir, LogName)
	before := PreviousLog{}
	if b.log != nil {
		head := b.log.Checkpoint()
		before.Checkpoint = head.Text()
	}
	if _, err := os.Lstat(name); err == nil {
		log, err := openLogThrough(name, b.key, b.through)
		if err == nil && b.goesOn(log) {
			b.log = log
			return nil
		}
		if err == nil {
			err = log.Close()
		}
		if err != nil && !errors.Is(err, ErrDamaged) {
			return err
		}
		if before.Dir, err = b.putAside(); err != nil {
			return err
		}
		if last, err := os.ReadFile(filepath.Join(b.dir, before.Dir, checkpointName)); err == nil { // what can't be read is not named
			before.Checkpoint = string(last)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("evidence: %w", err)
	}
	return b.begin(before, why)
}

// goesOn tells whether a log that was found has all that ours has: the same one in other files, or one that another process began after ours.
func (b *Book) goesOn(found *Log) bool {
	var ours Checkpoint
	if b.log != nil {
		ours = b.log.Checkpoint()
	}
	if found.holds(ours) {
		return found.Checkpoint().Size > 0
	}
	before, err := PreviousOf(filepath.Dir(b.dir), DirName+"/"+LogName)
	if err != nil || before == nil {
		return false
	}
	head := before.Head()
	return head != nil && head.Size >= ours.Size
}

func (b *Book) putAside() (string, error) {
	to, err := freeName(b.dir, LogName+"-%d")
	if err == nil {
		err = os.Rename(filepath.Join(b.dir, LogName), filepath.Join(b.dir, to))
	}
	if err != nil {
		return "", fmt.Errorf("evidence: %w", err)
	}
	return to, nil
}

// begin makes a log that goes on from another.
func (b *Book) begin(before PreviousLog, why error) error {
	before.Checkpoint = before.Checkpoint[:min(len(before.Checkpoint), maxCheckpointOctets/4)]
	log, err := openLogThrough(filepath.Join(b.dir, LogName), b.key, b.through)
	if err != nil {
		return err
	}
	line, err := Leaf{Type: LeafLog, Time: time.Now(), Why: why.Error(), Previous: &before}.encode()
	if err == nil {
		_, err = log.Append(line)
	}
	if err != nil {
		return errors.Join(err, log.Close())
	}
	b.say.Error("evidence log put aside, another begun: look at it with `earshot recordings verify`", slog.String("log", before.Dir), slog.Any("err", why))
	b.log = log
	return nil
}
