package recorder

import (
	"errors"
	"fmt"
	"time"

	"github.com/earshot/earshot/internal/attr"
	"github.com/earshot/earshot/recorder/evidence"
)

// maxActs bounds the acts that wait for the disk.
const maxActs = 1024

var errActs = errors.New("evidence log: too many acts wait for the disk")

// act is a leaf on its way to the evidence log.
type act struct {
	leaf evidence.Leaf
	done chan error // size 1
}

// Act has the evidence log name what somebody did: who, what, why, and with which call or recording. It does not wait; what it gives
// tells, once, when the leaf is durable, or why it is not. Without Config.Sign there is no log: nil.
func (s *Store) Act(l evidence.Leaf) <-chan error {
	a := act{l, make(chan error, 1)}
	a.leaf.Type = evidence.LeafAct
	if a.leaf.Time.IsZero() {
		a.leaf.Time = time.Now()
	}
	if s.book == nil {
		a.done <- nil
		return a.done
	}
	s.acting.Lock()
	defer s.acting.Unlock()
	if s.noActs {
		s.actLost(a, ErrClosed)
		return a.done
	}
	select {
	case s.acts <- a:
	default:
		s.actLost(a, errActs)
	}
	return a.done
}

// writeActs writes acts until there will be no more.
func (s *Store) writeActs() {
	for a := range s.acts {
		if err := s.book.Write(a.leaf); err != nil {
			s.actLost(a, err)
			continue
		}
		a.done <- nil
	}
}

// endActs takes no more acts; those that wait are written.
func (s *Store) endActs() {
	s.acting.Lock()
	defer s.acting.Unlock()
	if !s.noActs {
		s.noActs = true
		close(s.acts)
	}
}

// actLost tells that the log does not name an act.
func (s *Store) actLost(a act, err error) {
	s.count.errors.Add(1)
	s.log.Error("act not in the evidence log", "act", a.leaf.Act, attr.Call(a.leaf.Call), attr.Err(err))
	a.done <- fmt.Errorf("act %s: %w", a.leaf.Act, err)
}
