package evidence

import (
	"bytes"
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
	dir string // of the evidence
	key *Key
	say *slog.Logger

	// mu guards the fields below; log is begun anew when it turns out to be damaged.
	mu     sync.Mutex
	log    *Log
	closed bool
}

// Open opens the book of a directory of recordings. keyFile is the private key; empty: evidence/key.pem in the directory, made if missing. A log that is
// damaged, or another key's, is put aside, and the new one names it.
func Open(dir, keyFile string, say *slog.Logger) (*Book, error) {
	b := &Book{dir: filepath.Join(dir, DirName), say: say}
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
	if err := os.MkdirAll(b.dir, dirMode); err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	if err := b.key.SavePublic(filepath.Join(b.dir, PublicKeyName)); err != nil {
		return nil, err
	}
	if b.log, err = OpenLog(filepath.Join(b.dir, LogName), b.key); errors.Is(err, ErrDamaged) {
		err = b.beginAnew(err)
	}
	if err != nil {
		return nil, err
	}
	return b, nil
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

// Write adds a leaf.
func (b *Book) Write(leaf Leaf) error {
	if leaf.Time.IsZero() {
		leaf.Time = time.Now()
	}
	line, err := leaf.encode()
	if err != nil {
		return err
	}
	b.mu.Lock()
	log := b.log
	b.mu.Unlock()
	if _, err = log.Append(line); !errors.Is(err, ErrDamaged) {
		return err
	}
	b.mu.Lock()
	if b.log == log {
		err = errors.Join(b.beginAnew(err), log.Close())
	} else {
		err = nil // somebody else has
	}
	log = b.log
	b.mu.Unlock()
	if err == nil {
		_, err = log.Append(line)
	}
	return err
}

// Ensure adds a recording's leaf unless it is among the newest already: a crash may have come between the leaf and what followed it.
func (b *Book) Ensure(leaf Leaf) error {
	b.mu.Lock()
	have, err := b.log.recent(leaf)
	b.mu.Unlock()
	if err != nil || have {
		return err
	}
	return b.Write(leaf)
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
	for line := range bytes.Lines(tail) {
		if have, err := ParseLeaf(bytes.TrimSpace(line)); err == nil && have.Type == leaf.Type && have.Folder == leaf.Folder && have.Manifest == leaf.Manifest {
			return true, nil
		}
	}
	return false, nil
}

// beginAnew puts the log aside and begins another, which names it.
func (b *Book) beginAnew(why error) error {
	name := filepath.Join(b.dir, LogName)
	aside := ""
	for n := 1; n <= maxLogs && aside == ""; n++ {
		to := fmt.Sprintf("%s-%d", LogName, n)
		if _, err := os.Lstat(filepath.Join(b.dir, to)); errors.Is(err, fs.ErrNotExist) {
			aside = to
		}
	}
	if aside == "" {
		return fmt.Errorf("evidence: more than %d logs: %w", maxLogs, why)
	}
	last, _ := os.ReadFile(filepath.Join(name, checkpointName)) // what can't be read is not named
	if err := os.Rename(name, filepath.Join(b.dir, aside)); err != nil {
		return fmt.Errorf("evidence: %w", err)
	}
	log, err := OpenLog(name, b.key)
	if err != nil {
		return err
	}
	line, err := Leaf{
		Type: LeafLog, Time: time.Now(), Why: why.Error(),
		Previous: &PreviousLog{Dir: aside, Checkpoint: string(last[:min(len(last), maxCheckpointOctets/4)])},
	}.encode()
	if err == nil {
		_, err = log.Append(line)
	}
	if err != nil {
		return errors.Join(err, log.Close())
	}
	b.say.Error("evidence log put aside, another begun: look at it with `earshot recordings verify`", slog.String("log", aside), slog.Any("err", why))
	b.log = log
	return nil
}
