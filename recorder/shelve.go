package recorder

import (
	"sync"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

const (
	// maxUnkept bounds the stretches that are known not to be there; of more the newest become one.
	maxUnkept = 1000
	// quietSlack is how much later than its place audio may come after a pause of all: as much as a live stream waits.
	quietSlack = rate
)

// shelved is what readers know of a recording's files after a worker's step: so they need nothing of the worker's.
type shelved struct {
	layout wavLayout
	made   bool // there is a file
	shut   bool // and nothing more comes
	// length is what the file holds; before edge nothing changes any more.
	length, edge int64
	tracks       []shelvedTrack
	unkept       []unkept
}

// shelvedTrack is a track's place in audio.wav, and in a file of its own octets.
type shelvedTrack struct {
	placed      bool
	channel     int
	offset, end int64
	role        call.Role
	law         wavLayout // of its octet file; runs: where that has the track
	runs        []Run
}

// unkept is a stretch of a track that came, and could not be written.
type unkept struct {
	track media.TrackID
	at    Run
}

// display is where the worker lays that down.
type display struct {
	// mu guards now. It is held for copying only.
	mu  sync.Mutex
	now shelved
}

// copyTo copies deeply, into what dst already has.
func (s *shelved) copyTo(dst *shelved) {
	tracks := dst.tracks[:cap(dst.tracks)]
	*dst, dst.tracks, dst.unkept = *s, tracks, append(dst.unkept[:0], s.unkept...)
	for i := range s.tracks {
		if i == len(dst.tracks) {
			dst.tracks = append(dst.tracks, shelvedTrack{})
		}
		runs := dst.tracks[i].runs
		dst.tracks[i] = s.tracks[i]
		dst.tracks[i].runs = append(runs[:0], s.tracks[i].runs...)
	}
	dst.tracks = dst.tracks[:len(s.tracks)]
}

// shelve tells readers what the step has written.
func (r *Recording) shelve(j job) {
	w := &r.w
	r.display.mu.Lock()
	defer r.display.mu.Unlock()
	s := &r.display.now
	s.layout, s.length = w.img.layout, w.img.length
	s.made = w.img.f != nil || w.audioShut
	s.shut = j.ended && (w.audioShut || w.final != nil)
	s.edge = max(s.edge, w.settled(j, r.at.Mono))
	for i, t := range w.tracks {
		if i == len(s.tracks) {
			s.tracks = append(s.tracks, shelvedTrack{})
		}
		d := &s.tracks[i]
		d.placed, d.channel, d.offset, d.end, d.role = t.placed, t.channel, t.offset, t.end(), w.party(t).Role
		if k := t.octets; k != nil {
			d.law, d.runs = k.img.layout, append(d.runs[:0], k.runs...)
		}
	}
	s.unkept = append(s.unkept[:0], w.unkept...)
}

// settled is the index before which nothing changes any more: where the files end that far back, or, where all are silent, what is so long ago.
func (w *work) settled(j job, zero time.Duration) int64 {
	if w.grown != w.img.length {
		w.grown, w.grownAt = w.img.length, j.at
	}
	for _, t := range w.tracks {
		if t.held != nil && len(t.held.ops) > 0 {
			return w.ripe.edge
		}
	}
	if j.final <= w.grownAt {
		return w.ripe.edge
	}
	return max(w.ripe.edge, int64((j.final-zero)*rate/time.Second)-quietSlack)
}

// miss notes that samples of a track are not in the files.
func (w *work) miss(t *track, pos, n int64) {
	if last := len(w.unkept) - 1; last >= 0 {
		a := &w.unkept[last]
		if a.track == t.id && (a.at.end() == pos || len(w.unkept) == maxUnkept && a.at.end() < pos) {
			a.at.Samples = pos + n - a.at.Pos
			return
		}
	}
	if len(w.unkept) < maxUnkept {
		w.unkept = append(w.unkept, unkept{t.id, Run{pos, n}})
	}
}
