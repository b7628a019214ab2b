package recorder

import "runtime"

// Taken tells whether a worker has taken all that was written, and is through with it; it calls one.
func (r *Recording) Taken() bool {
	r.inbox.mu.Lock()
	taken := r.inbox.in.empty() && !r.inbox.busy
	r.inbox.mu.Unlock()
	if !taken {
		r.s.enqueue(r)
	}
	return taken
}

// EncryptedUpTo is the index before which all is encrypted, and how much plaintext memory holds: between two turns of a worker, for a group sync may be at it.
func (r *Recording) EncryptedUpTo() (samples int64, held int) {
	x := &r.inbox
	for {
		x.mu.Lock()
		if !x.busy {
			f := r.w.img.sealed
			samples, held = f.base/f.layout.block(), cap(f.tail)
			x.mu.Unlock()
			return samples, held
		}
		x.mu.Unlock()
		runtime.Gosched()
	}
}

// StopAt has a store ask before each step of what must outlive a crash; tests only.
func StopAt(s *Store, step func(done string) error) { s.step = step }

// WordsTaken tells whether whoever writes transcripts has seen all words of a recording.
func WordsTaken(r *Recording) bool {
	r.words.mu.Lock()
	defer r.words.mu.Unlock()
	return !r.words.changed
}
