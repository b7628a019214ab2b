package stream

import "time"

// Held is how much audio waits for the slowest consumer of the call, of those that still take some. The caller of Write may ask.
func (f *feed) Held() (held time.Duration) {
	for _, o := range f.calls {
		held = max(held, o.ring.waits())
	}
	for _, o := range f.tracks {
		held = max(held, o.ring.waits())
	}
	return held
}

// Held is how much audio waits for the reader. Safe from anywhere.
func (l *Listener) Held() time.Duration { return l.ring.waits() }

// waits is how much audio is held.
func (r *ring) waits() time.Duration {
	held, _ := r.standing()
	return time.Duration(held) * sampleTime
}
