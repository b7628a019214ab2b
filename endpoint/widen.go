package endpoint

import (
	"maps"
	"slices"
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

// lines are the leg's tracks by m= line.
func (l *leg) lines() map[int]*media.Track {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.tracks)
}

// expectedLocked tells whether all whose audio the leg brings are among those that a new part expects; Call.mu is held.
func (l *leg) expectedLocked(expected []call.Party) bool {
	for _, p := range l.parties {
		if p.ID == "" || !slices.ContainsFunc(expected, func(e call.Party) bool { return e.ID == p.ID }) {
			return false
		}
	}
	return len(l.parties) > 0
}

// moveTo lets the leg go on in another part; parties are those of its lines there, where they are better known.
func (l *leg) moveTo(pt *part, parties map[int]call.Party) {
	for line, t := range l.lines() {
		party, known := parties[line]
		if !known {
			party = t.State().Party
		}
		t.Move(pt.n, party)
	}
	c := l.call
	c.mu.Lock()
	old := l.part
	l.part = pt
	if len(parties) > 0 {
		l.parties = slices.Collect(maps.Values(parties))
	}
	pt.legs++
	pt.dialog(l.id)
	old.legs--
	c.mu.Unlock()
	c.retire(old)
	c.tell()
}

// reached is a time, on the engine's clock, before which all has been given out that the leg's tracks have.
func (l *leg) reached() time.Duration {
	at := l.call.e.engine.Now()
	for _, t := range l.lines() {
		switch s := t.State(); {
		case len(s.Epochs) == 0: // nothing came yet
		case s.Placed:
			at = min(at, l.call.timeline.Zero()+time.Duration(s.Offset+s.Length)*sampleTime)
		default:
			at = min(at, s.OpenedAt)
		}
	}
	return at
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
	c, info := l.call, l.current().info
	info.Mode, info.Expected = c.mode, l.identify(streams)
	parties := map[int]call.Party{}
	for i, s := range streams {
		parties[s.Line] = info.Expected[i]
	}
	c.parting.Lock()
	defer c.parting.Unlock()
	l.moveTo(c.begin(info, l.reached(), 0), parties)
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
