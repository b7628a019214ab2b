package endpoint

import (
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/sip/offer"
)

// current is the part that the leg is in.
func (l *leg) current() *part {
	l.call.mu.Lock()
	defer l.call.mu.Unlock()
	return l.part
}

// widens tells whether an offer adds a line to a leg whose part has one channel. l.mu is held.
func (l *leg) widens(streams []offer.Stream) bool {
	if len(l.tracks) == 0 || l.current().stereo {
		return false
	}
	for _, s := range streams {
		if l.tracks[s.Line] == nil {
			return true
		}
	}
	return false
}

// widen begins the next part of the call with all lines of the leg, those that were there from where they are.
func (l *leg) widen(streams []offer.Stream) {
	l.mu.Lock()
	tracks := make(map[int]*media.Track, len(l.tracks))
	for line, t := range l.tracks {
		tracks[line] = t
	}
	l.mu.Unlock()
	c, old := l.call, l.current()
	info := old.info
	info.Mode, info.Expected = c.mode, l.identify(streams)
	c.parting.Lock()
	defer c.parting.Unlock()
	pt := c.begin(info, l.reached(tracks), 1)
	c.mu.Lock()
	l.part, l.parties = pt, info.Expected
	old.legs--
	pt.dialog(l.id)
	c.mu.Unlock()
	for i, s := range streams {
		if t := tracks[s.Line]; t != nil {
			t.Move(pt.n, info.Expected[i])
		}
	}
	c.retire(old)
	c.tell()
}

// reached is a time, on the engine's clock, before which all has been given out that the leg's tracks have.
func (l *leg) reached(tracks map[int]*media.Track) time.Duration {
	at := l.call.e.engine.Now()
	for _, t := range tracks {
		switch s := t.State(); {
		case len(s.Epochs) == 0: // nothing came, or it is the new one
		case s.Placed:
			at = min(at, l.call.timeline.Zero()+time.Duration(s.Offset+s.Length)*sampleTime)
		default:
			at = min(at, s.OpenedAt)
		}
	}
	return at
}

// identify says whose the lines of a later offer are: by their i= lines, else by their order.
func (l *leg) identify(streams []offer.Stream) []call.Party {
	sides := lineOrder(nil, len(streams))
	for i, s := range streams {
		if sup := l.ear.supervisor(); sup != nil {
			if m, ok := sup.MatchLine(s.Session, s.Party); ok && sided(m.Party) {
				sides[i] = m.Party
				continue
			}
		}
		sides[i].ID, sides[i].IdentifiedBy = s.Party, call.ByLineOrder
	}
	return sides
}
