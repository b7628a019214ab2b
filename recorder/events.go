package recorder

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/earshot/earshot/call"
)

const (
	// maxLineBytes bounds a line of events.jsonl; an event with more facts is written without them.
	maxLineBytes = 64 << 10
	// maxLogBytes bounds the lines that wait for a disk that is full.
	maxLogBytes = 1 << 20
)

// eventLog appends to events.jsonl.
type eventLog struct {
	s        *Store
	f        *os.File // nil: it is shut, and nothing waits
	lines    []byte   // not written yet
	lost     int64    // events that fell over
	unsynced bool
}

func (l *eventLog) add(e call.Event) {
	b, err := json.Marshal(e)
	if err != nil || len(b) > maxLineBytes {
		e.Facts = map[string]any{"facts_omitted": true}
		if b, err = json.Marshal(e); err != nil || len(b) > maxLineBytes {
			l.lost++
			return
		}
	}
	if len(l.lines)+len(b) > maxLogBytes {
		l.lost++
		return
	}
	l.lines = append(append(l.lines, b...), '\n')
}

// write appends what waits; what can't be written stays for the next time.
func (l *eventLog) write() error {
	if len(l.lines) == 0 {
		return nil
	}
	n, err := 0, l.s.allow("write", l.f.Name())
	if err == nil {
		n, err = l.f.Write(l.lines)
	}
	if n > 0 {
		l.unsynced = true
		l.lines = append(l.lines[:0], l.lines[n:]...)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", EventsName, err)
	}
	return nil
}

func (l *eventLog) sync() error {
	if l.f == nil || !l.unsynced {
		return nil
	}
	if err := l.s.datasync(l.f); err != nil {
		return fmt.Errorf("%s: sync: %w", EventsName, err)
	}
	l.unsynced = false
	return nil
}

// close writes what waits, makes it durable and shuts the file; where one of the first two fails it stays open, and may be tried again.
func (l *eventLog) close() error {
	if err := l.write(); err != nil {
		return err
	}
	if err := l.sync(); err != nil {
		return err
	}
	return l.letGo()
}

// letGo shuts the file as it is.
func (l *eventLog) letGo() error {
	if l.f == nil {
		return nil
	}
	err := l.f.Close()
	l.f = nil
	if err != nil {
		return fmt.Errorf("%s: close: %w", EventsName, err)
	}
	return nil
}

// repairEvents cuts a torn last line off: one without its newline, or that is not JSON. It gives the last whole line.
func repairEvents(f *os.File) (last []byte, err error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	for size > 0 {
		from := max(0, size-3*maxLineBytes)
		tail := make([]byte, size-from)
		if err := readFull(f, tail, from); err != nil {
			return nil, err
		}
		keep, line := wholeLines(tail)
		if keep == len(tail) {
			return line, nil
		}
		// Nothing whole in so much is nothing that we wrote: look further in front.
		size = from + int64(keep)
		if err := f.Truncate(size); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// wholeLines gives how much of b ends with a whole last line, and that line.
func wholeLines(b []byte) (keep int, line []byte) {
	for len(b) > 0 {
		end := bytes.LastIndexByte(b, '\n')
		if end < 0 {
			return 0, nil
		}
		start := bytes.LastIndexByte(b[:end], '\n') + 1
		if json.Valid(b[start:end]) {
			return end + 1, b[start:end]
		}
		b = b[:start]
	}
	return 0, nil
}
