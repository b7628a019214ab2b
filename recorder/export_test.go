package recorder

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/earshot/earshot/recorder/evidence"
)

// BlockFile is what a test puts between a recording and its audio.wav.
type BlockFile = blockFile

// Wrap has every audio.wav made through f.
func (s *Store) Wrap(f func(name string, file BlockFile) BlockFile) { s.wrap = f }

// LookAgain sets how often folders that another process holds are looked at.
func (s *Store) LookAgain(every time.Duration) { s.leftovers = every }

// The limits that tests go up to.
const (
	WindowSamples = windowSamples
)

// SpansInMemory is the most that a track's loss map holds. Nobody may be at work on the recording.
func (r *Recording) SpansInMemory() (n int) {
	for _, t := range r.w.tracks {
		n = max(n, len(t.loss.spans))
	}
	return n
}

// ReadSpans gives all of a track's spans, those in its file too.
func ReadSpans(dir string, t *Track) (all []Span, err error) {
	if t.SpansFile != nil {
		f, err := os.Open(filepath.Join(dir, t.SpansFile.File))
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if err := readSpans(f, func(x Span, _ int64) bool { all = append(all, x); return true }); err != nil {
			return nil, err
		}
		if int64(len(all)) != t.SpansFile.Spans {
			return nil, fmt.Errorf("%d spans in the file, want %d", len(all), t.SpansFile.Spans)
		}
	}
	return append(all, t.Spans...), nil
}

// ParseSpans reads a file of spans.
func ParseSpans(b []byte) (all []Span) {
	_ = readSpans(bytes.NewReader(b), func(x Span, _ int64) bool { all = append(all, x); return true }) // of memory: never fails
	return all
}

// Drop takes what waits and throws it away, as a worker with the fastest of disks.
func (r *Recording) Drop() {
	r.inbox.mu.Lock()
	defer r.inbox.mu.Unlock()
	r.inbox.in.reset()
	r.inbox.queued = false
	select {
	case <-r.s.queue:
	default:
	}
}

// Beneath has a store's files be made durable through a function, and its changes allowed by another; nil: as usual.
func (c *Config) Beneath(through evidence.Through, fault func(op, name string) error) {
	c.through, c.fault = through, fault
}

// OnRoom has a store's disk have the room that f says.
func (c *Config) OnRoom(f func(dir string) (free, total int64, err error)) { c.room = f }

// Measure looks at the disk's room now.
func (s *Store) Measure() { s.measure() }
