package media

import (
	"time"

	"github.com/earshot/earshot/call"
)

// maxWithheld bounds the digits that wait to be told: three a second of three tracks, and more. Of what is more, the oldest is never told.
const maxWithheld = 32

// withheldDigit is a digit that is not told yet.
type withheldDigit struct {
	event     call.Event
	began, at time.Duration
}

// withheld keeps digits until no mask can reach them any more: an event can't be taken back, and what was dialled a moment before a mask may
// be a card's number.
type withheld struct{ digits []withheldDigit }

// add keeps one more; false: the oldest fell out.
func (w *withheld) add(d withheldDigit) bool {
	fits := len(w.digits) < maxWithheld
	if !fits {
		w.drop(0)
	}
	w.digits = append(w.digits, d)
	return fits
}

func (w *withheld) drop(i int) {
	n := copy(w.digits[i:], w.digits[i+1:]) + i
	clear(w.digits[n:])
	w.digits = w.digits[:n]
}

// forget drops a track's digits since a time.
func (w *withheld) forget(track TrackID, since time.Duration) {
	for i := len(w.digits) - 1; i >= 0; i-- {
		if d := &w.digits[i]; d.event.Track == uint32(track) && d.began >= since {
			w.drop(i)
		}
	}
}

// withhold keeps a digit back that began and was complete at a time.
func (l *liveTimeline) withhold(e call.Event, began, at time.Duration) {
	if l.valve.masked(began, at) {
		return
	}
	e.Time = l.wall(at)
	if !l.withheld.add(withheldDigit{e, began, at}) {
		l.droppedEvents.Add(1)
	}
}

// tellDigits tells the digits that lie before final, and were not masked.
func (l *liveTimeline) tellDigits(final time.Duration) {
	w := &l.withheld
	for i := 0; i < len(w.digits); {
		d := &w.digits[i]
		if d.at >= final || l.mayBeTrigger(d) {
			i++
			continue
		}
		if !l.valve.masked(d.began, d.at) {
			l.event(d.event)
		}
		w.drop(i)
	}
}

// mayBeTrigger tells whether the keys that follow may make a trigger of a digit.
func (l *liveTimeline) mayBeTrigger(d *withheldDigit) bool {
	if d.event.Track == 0 || int(d.event.Track) > len(l.tracks) {
		return false
	}
	k := l.tracks[d.event.Track-1]
	since, pending := k.dialled.pending(l.shard.now)
	return pending && !k.state.Ended && d.began >= since
}

// wall is the wall time of a capture time.
func (l *liveTimeline) wall(at time.Duration) time.Time {
	return l.shard.out.wall.Add(at - l.shard.out.base)
}
