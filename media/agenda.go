package media

import "time"

// appointment is a track and when something of it is due.
type appointment struct {
	at    time.Duration
	track *liveTrack
}

// agenda is a shard's appointments, the earliest first: one look a sweep, however many tracks there are. A heap, with at most one
// appointment a track.
type agenda []appointment

func (a *agenda) add(p appointment) {
	h := append(*a, p)
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if h[up].at <= h[i].at {
			break
		}
		h[up], h[i] = h[i], h[up]
		i = up
	}
	*a = h
}

// due takes out an appointment whose time has come.
func (a *agenda) due(now time.Duration) (k *liveTrack, ok bool) {
	h := *a
	if len(h) == 0 || h[0].at > now {
		return nil, false
	}
	k = h[0].track
	last := len(h) - 1
	h[0], h[last] = h[last], appointment{}
	h = h[:last]
	for i := 0; ; {
		low := 2*i + 1
		if low >= last {
			break
		}
		if low+1 < last && h[low+1].at < h[low].at {
			low++
		}
		if h[i].at <= h[low].at {
			break
		}
		h[i], h[low] = h[low], h[i]
		i = low
	}
	*a = h
	return k, true
}
