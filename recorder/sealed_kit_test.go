package recorder

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

// EncryptedUpTo is the index before which all is encrypted, and how much plaintext memory holds. Nobody may be at work on the recording.
func (r *Recording) EncryptedUpTo() (samples int64, held int) {
	f := r.w.img.sealed
	return f.base / f.layout.block(), cap(f.tail)
}

// StopAt has a store ask before each step of what must outlive a crash; tests only.
func StopAt(s *Store, step func(done string) error) { s.step = step }
