package recorder

import (
	"path"

	"github.com/earshot/earshot/recorder/evidence"
)

// The evidence log names a recording when it begins, too: one whose folder is gone before it was sealed is missed then, and a folder that
// somebody else laid down to be finished is told from one that a crash left. Nobody waits for that.

// maxAnnounced is how many recordings are announced with one sync.
const maxAnnounced = 256

// Whether a recording was announced.
const (
	announceOwed int32 = iota
	announceBusy       // by the announcer
	announceDone
)

// announce asks for a recording to be named as begun. What finds no room is asked for again with the next sync.
func (s *Store) announce(r *Recording) {
	if s.book == nil || r.announced.Load() != announceOwed {
		return
	}
	select {
	case s.begun <- r:
	default:
	}
}

// announceAll names recordings that have begun until stop.
func (s *Store) announceAll(stop <-chan struct{}) {
	day := ""
	for {
		select {
		case r := <-s.begun:
			list := []*Recording{r}
			for more := true; more && len(list) < maxAnnounced; {
				select {
				case r := <-s.begun:
					list = append(list, r)
				default:
					more = false
				}
			}
			s.announceGroup(list, &day)
		case <-stop:
			return
		}
	}
}

// announceGroup makes the names of folders durable, and then has the log name them: what it names would otherwise be missed after a
// power loss. day is the newest day that was made durable.
func (s *Store) announceGroup(list []*Recording, day *string) {
	var leaves []evidence.Leaf
	var mine []*Recording
	days := map[string]bool{}
	for _, r := range list {
		if r.announced.CompareAndSwap(announceOwed, announceBusy) {
			mine, leaves, days[r.day] = append(mine, r), append(leaves, r.opening()), true
		}
	}
	if len(mine) == 0 {
		return
	}
	err := s.syncDays(days, day)
	if err == nil {
		err = s.book.Write(leaves...)
	}
	state := announceDone
	if err != nil {
		state = announceOwed
		s.complain(err, leaves[0].Call)
	}
	for _, r := range mine {
		r.announced.Store(state)
	}
}

func (s *Store) syncDays(days map[string]bool, newest *string) error {
	for day := range days {
		if err := s.syncDir(day); err != nil {
			return err
		}
		if day == *newest {
			continue
		}
		for up := path.Dir(day); ; up = path.Dir(up) {
			if err := s.syncDir(up); err != nil {
				return err
			}
			if up == "." {
				break
			}
		}
		*newest = day
	}
	return nil
}

// opening is the leaf that names a recording as begun.
func (r *Recording) opening() evidence.Leaf {
	return evidence.Leaf{Type: evidence.LeafOpened, Folder: inDay(r.day, r.base), Call: r.opened.Call, Part: r.part, Time: r.opened.Time}
}
