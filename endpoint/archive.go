package endpoint

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/stream"
)

// archiveSlack is how much later than it should a recording may have what it keeps.
const archiveSlack = 2 * time.Second

// errNoArchive is told who asks for what was said before where nothing is recorded.
var errNoArchive = errors.New("nothing is recorded, so what was said before can't be had")

// checkCatchUp tells of consumers that are to catch up from what is not there.
func (c *Config) checkCatchUp(consumers []stream.Consumer) error {
	for i := range consumers {
		if consumers[i].CatchUp && c.Record == nil {
			return fmt.Errorf("endpoint: stream[%d]: catch_up: %w", i, errNoArchive)
		}
	}
	return nil
}

// storedWithin is how far what can be read of a recording lies behind what is said.
func (e *Endpoint) storedWithin() time.Duration {
	return e.engine.ArchiveWindow() + e.store.StoredWithin() + archiveSlack
}

// wantsAudio gives the calls whose recordings somebody may read: they go on, consumers of theirs are not through with them (stream gives up on one minutes after the call's end), or
// somebody listens from before.
func (e *Endpoint) wantsAudio() map[string]bool {
	out := map[string]bool{}
	e.mu.Lock() // a call's consumers are there before the call ends: it is looked for first
	for id := range e.calls {
		out[id] = true
	}
	for id := range e.listeners {
		out[id] = true
	}
	e.mu.Unlock()
	for _, l := range e.hub.Live() {
		out[l.Call] = true
	}
	return out
}

// listensBack notes that somebody may read what was said in a call, until done is called.
func (e *Endpoint) listensBack(id string) (done func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.listeners[id]++
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.listeners[id]--; e.listeners[id] == 0 {
			delete(e.listeners, id)
		}
	}
}

// partArchive is the recording of a part, for the part's streams.
type partArchive struct {
	c  *Call
	pt *part
}

// archive gives a part's; nil: nothing is recorded.
func (c *Call) archive(pt *part) stream.Archive {
	if c.e.store == nil {
		return nil
	}
	return partArchive{c, pt}
}

// Behind implements stream.Archive.
func (a partArchive) Behind() time.Duration { return a.c.e.storedWithin() }

// Open implements stream.Archive.
func (a partArchive) Open(v stream.Voice) stream.Shelf { return &partShelf{partArchive: a, voice: v} }

// partShelf reads a part's recording: from when there is one, for the disk may not have taken it at first.
type partShelf struct {
	partArchive
	voice stream.Voice
	shelf *recorder.Shelf
}

// Read implements stream.Shelf.
func (s *partShelf) Read(pos int64, pcm []int16) (n, gone int) {
	if s.shelf == nil {
		rec, _ := s.c.recording(s.pt)
		if rec == nil {
			return 0, len(pcm) / s.voice.Channels
		}
		s.shelf = rec.Shelf(s.voice.Track, s.voice.Channels, s.voice.Role)
	}
	return s.shelf.Read(pos, pcm)
}

// Close implements stream.Shelf.
func (s *partShelf) Close() {
	if s.shelf != nil {
		s.shelf.Close()
	}
}

// callArchive is the recordings of all parts of the call that somebody listens to: on the time of its first.
type callArchive struct {
	e *Endpoint
	c *atomic.Pointer[Call] // set when the call is there
}

// Behind implements stream.Archive.
func (a callArchive) Behind() time.Duration { return a.e.storedWithin() }

// Open implements stream.Archive.
func (a callArchive) Open(v stream.Voice) stream.Shelf { return &callShelf{c: a.c.Load(), voice: v} }

// callShelf reads the newest part that has begun at a position.
type callShelf struct {
	c     *Call
	voice stream.Voice
	part  *part
	shelf stream.Shelf // of part
}

// Read implements stream.Shelf.
func (s *callShelf) Read(pos int64, pcm []int16) (n, gone int) {
	parts := s.c.allParts()
	pt := parts[0]
	for _, o := range parts[1:] {
		switch {
		case o.shift <= pos:
			pt = o
		case o.shift < pos+int64(len(pcm)/s.voice.Channels):
			pcm = pcm[:int(o.shift-pos)*s.voice.Channels]
		}
	}
	if s.part != pt {
		s.Close()
		s.part, s.shelf = pt, partArchive{s.c, pt}.Open(s.voice)
	}
	return s.shelf.Read(pos-pt.shift, pcm)
}

// Close implements stream.Shelf.
func (s *callShelf) Close() {
	if s.shelf != nil {
		s.shelf.Close()
	}
	s.part, s.shelf = nil, nil
}
