package outbox

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"sync"
)

// Ledger keeps lines of JSON, a file a day: what was done. It only grows, and of a file that was cut off by a crash the whole lines count.
type Ledger struct {
	root *os.Root
	mu   sync.Mutex // one line at a time
}

// maxLine bounds a line that is read.
const maxLine = 1 << 20

var dayName = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)

// OpenLedger opens the ledger in a folder; made if missing. Close it afterwards.
func OpenLedger(dir string) (*Ledger, error) {
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	return &Ledger{root: root}, nil
}

// Close ends it.
func (l *Ledger) Close() error { return l.root.Close() }

// Add appends v to a day's file, such as 2026-11-23, durably.
func (l *Ledger) Add(day string, v any) error {
	if !dayName.MatchString(day) {
		return fmt.Errorf("ledger: day %.40q: want 2006-01-02", day)
	}
	line, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err = l.root.Lstat(day + ".jsonl")
	fresh := errors.Is(err, fs.ErrNotExist)
	f, err := l.root.OpenFile(day+".jsonl", os.O_RDWR|os.O_CREATE|os.O_APPEND, fileMode)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	torn := false
	if fi, e := f.Stat(); e == nil && fi.Size() > 0 {
		var last [1]byte
		_, e = f.ReadAt(last[:], fi.Size()-1)
		torn = e != nil || last[0] != '\n'
	}
	if torn { // a crash cut the last line off: ours begins a new one
		line = append([]byte{'\n'}, line...)
	}
	_, err = f.Write(append(line, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil && fresh {
		err = l.sync()
	}
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	return nil
}

func (l *Ledger) sync() error {
	d, err := l.root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Read gives each line of a day's file to f. Lines that are no JSON are passed over.
func (l *Ledger) Read(day string, f func(line []byte)) error {
	file, err := l.root.Open(day + ".jsonl")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	defer file.Close() //nolint:errcheck // it was only read
	s := bufio.NewScanner(io.Reader(file))
	s.Buffer(make([]byte, 64<<10), maxLine)
	for s.Scan() {
		if json.Valid(s.Bytes()) {
			f(s.Bytes())
		}
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("ledger: %s: %w", day, err)
	}
	return nil
}
