package recorder

import "time"

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
