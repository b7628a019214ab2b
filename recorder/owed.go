package recorder

import "time"

// Owed are erasures that are done here, and of which copies elsewhere are still to go: the vault holds them, or is away.
type Owed struct {
	Erasures int       `json:"erasures"`
	Oldest   time.Time `json:"oldest,omitzero"`   // when the oldest was decided
	Next     time.Time `json:"next_try,omitzero"` // the soonest
	Text     string    `json:"text,omitempty"`    // why the oldest waits
}

// owed is one of them.
type owed struct {
	since, next time.Time
	text        string
}

// Owed tells what is known without looking at the disk.
func (s *Store) Owed() (out Owed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out.Erasures = len(s.owed)
	for _, o := range s.owed {
		if out.Oldest.IsZero() || o.since.Before(out.Oldest) {
			out.Oldest, out.Text = o.since, o.text
		}
		if out.Next.IsZero() || o.next.Before(out.Next) {
			out.Next = o.next
		}
	}
	return out
}

// owe notes how an erasure stands.
func (s *Store) owe(i *intent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !i.Local || len(i.Pending) == 0 {
		delete(s.owed, i.Folder)
		return
	}
	s.owed[i.Folder] = owed{i.Time, i.Next, i.Pending[0]}
}
