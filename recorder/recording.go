package recorder

import (
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder/evidence"
)

// statesEvery is how often the tracks' states are looked at while nothing happens.
const statesEvery = 500 * time.Millisecond

// filePace is how long audio may wait in media: what a crash costs grows by as much.
const filePace = 200 * time.Millisecond

// maxEpochs bounds the epochs of a track that a manifest names.
const maxEpochs = 1000

// Recording is one part of one call: a media.Sink that writes a folder. Its methods are safe for concurrent use and never
// wait for the disk.
type Recording struct {
	s *Store // set by Open, then constant

	ahead   ahead // owned by who calls Write
	inbox   inbox
	display display

	// Set by Open, then constant.
	day      string // folder of the day, in the store's
	base     string // the recording's folder without .partial
	part     int
	previous string // folder of the part before, without .partial
	resumed  *Late  // the part before had ended; nil: there is none, or it goes on
	started  time.Time
	at       Anchor
	seating  seating
	key      *dataKey // nil: nothing is encrypted
	done     chan struct{}
	lock     *os.File      // of the folder, until it is sealed
	opened   evidence.Leaf // call and time of its beginning

	announced atomic.Int32 // in the evidence log

	words words

	// w is owned by the worker that is busy with the recording.
	w work
}

// inbox is what callers leave for the workers.
type inbox struct {
	// mu guards the fields below. It is held for copying only, never over a system call.
	mu    sync.Mutex
	in    *buffer // filled by Write
	marks []mark  // of states
	few   [2]mark // where marks begins: most calls have no more
	now   time.Duration
	final time.Duration // nothing captured before it changes any more
	// statesAt is when states was copied.
	statesAt time.Duration
	wrote    bool // now is set
	ended    bool
	// busy: a worker has the recording; again: there is more for it; wantSync: and a group sync is due; queued: it stands in the
	// store's queue.
	busy, again, wantSync, queued bool

	// What not every batch needs.
	states   []media.TrackState
	info     call.Info
	fresh    bool   // info was updated
	sip      []byte // for SIPName; sipBytes counts all that there was
	sipBytes int
	cause    call.Cause
	// busyAt is since when the worker is at it; zero: nobody is, or what it does takes its time.
	busyAt   time.Time
	since    time.Time // of the group sync, see job
	sealed   bool      // done is closed
	finished bool      // nothing is left to do
	lastTry  bool      // sealing failed, and Run is about to end
	result   Result
}

var (
	_ media.Sink  = (*Recording)(nil)
	_ media.Paced = (*Recording)(nil)
	_ media.Coded = (*Recording)(nil)
)

// Write copies the batch and returns. What finds no room, because the disk has been too slow for Config.Buffer, is
// silence in the file and a span of kind disk in the manifest.
//
//earshot:hot
func (r *Recording) Write(b *media.Batch) {
	x := &r.inbox
	x.mu.Lock()
	if x.ended {
		x.mu.Unlock()
		return
	}
	data := false
	limit := r.s.bufferSamples
	if x.busy {
		limit *= 2 // the disk holds this very recording up, and no more than a few at a time (writers, syncParallel)
	}
	for i := range b.Frames {
		x.in.add(&b.Frames[i], limit)
	}
	for i := range b.Events {
		x.in.event(b.Events[i])
		data = true
	}
	// Nothing of them is needed with each batch: what matters at once comes with an event, the last batch has no frames.
	if !x.wrote || data || len(b.Frames) == 0 || b.Now-x.statesAt >= statesEvery || turned(x.marks, b.Tracks) {
		copyStates(&x.states, b.Tracks)
		if x.marks == nil {
			x.marks = x.few[:0]
		}
		x.marks, x.statesAt = marksOf(x.marks[:0], x.states), b.Now
	}
	x.now, x.final, x.wrote = b.Now, b.Final, true
	r.ahead = x.in.ahead()
	// Events are for people who look on; audio waits for the group sync unless it is much.
	wake := (data || len(x.in.data) > r.s.wakeBytes || len(x.in.ops) > maxOps/4) && !x.queued && !x.busy
	if wake {
		x.queued = true
	}
	x.mu.Unlock()
	if wake {
		r.s.enqueue(r)
	}
}

// Pace tells that a file can wait.
func (r *Recording) Pace() time.Duration { return filePace }

// Coded tells that octets are enough.
func (r *Recording) Coded() bool { return true }

// End seals the recording in the background; Sealed tells when. Further calls do nothing.
func (r *Recording) End(c call.Cause) {
	x := &r.inbox
	x.mu.Lock()
	wake := !x.ended
	if wake {
		x.ended, x.cause, x.queued = true, c, true
		x.result.Ended = time.Now().UTC()
		if x.wrote {
			x.result.Ended = r.at.Wall.Add(x.now - r.at.Mono).UTC()
		}
		if x.result.Ended.Before(r.started) {
			x.result.Ended = r.started
		}
	}
	x.mu.Unlock()
	if wake {
		r.s.enqueue(r)
	}
}

// Update replaces what is known of the call: later sessions, Call-IDs and parties. Channels stay as they are.
func (r *Recording) Update(info call.Info) {
	x := &r.inbox
	x.mu.Lock()
	defer x.mu.Unlock()
	x.info, x.fresh = cloneInfo(info), true
}

// busySince is since when a worker writes for the recording; zero: none does.
func (r *Recording) busySince() time.Time {
	r.inbox.mu.Lock()
	defer r.inbox.mu.Unlock()
	return r.inbox.busyAt
}

// takesTime tells that what the worker does next may take long: hashing a day's audio is no fault of the disk.
func (r *Recording) takesTime() {
	r.inbox.mu.Lock()
	defer r.inbox.mu.Unlock()
	r.inbox.busyAt = time.Time{}
}

// Sealed is closed once the recording is sealed, or that has failed: Result then has Err, and the store tries again
// each minute.
func (r *Recording) Sealed() <-chan struct{} { return r.done }

// Result gives what is known of the recording; it is complete once Sealed is closed.
func (r *Recording) Result() Result {
	r.inbox.mu.Lock()
	defer r.inbox.mu.Unlock()
	return r.inbox.result
}

// mark is what of a track's state is told at once: a state is several cache lines, of which each batch would touch two.
type mark struct {
	placed, ended bool
	epochs        int
}

func markOf(s *media.TrackState) mark { return mark{s.Placed, s.Ended, s.EpochCount} }

// marksOf appends the marks of states.
//
//earshot:hot
func marksOf(marks []mark, states []media.TrackState) []mark {
	for i := range states {
		marks = append(marks, markOf(&states[i]))
	}
	return marks
}

// turned tells whether a track has come, was placed, changed its source or ended since its state was copied.
//
//earshot:hot
func turned(have []mark, now []media.TrackState) bool {
	if len(have) != min(len(now), maxTracks) {
		return true
	}
	for i := range have {
		if have[i] != markOf(&now[i]) {
			return true
		}
	}
	return false
}

// copyStates copies deeply, into what dst already has.
func copyStates(dst *[]media.TrackState, src []media.TrackState) {
	src = src[:min(len(src), maxTracks)]
	for i := range src {
		if i >= len(*dst) {
			*dst = append(*dst, media.TrackState{})
		}
		d := &(*dst)[i]
		epochs := d.Epochs
		*d = src[i]
		d.Epochs = append(epochs[:0], src[i].Epochs[:min(len(src[i].Epochs), maxEpochs)]...)
	}
}

func cloneInfo(i call.Info) call.Info {
	i.Sessions = append([]string(nil), i.Sessions...)
	i.Earlier = append([]string(nil), i.Earlier...)
	i.SIPCallIDs = append([]string(nil), i.SIPCallIDs...)
	i.Queues = append([]string(nil), i.Queues...)
	i.Expected = append([]call.Party(nil), i.Expected...)
	i.Masks = append([]call.Mask(nil), i.Masks...)
	return i
}

// folder is where the recording's files are now, in the store's directory.
func (r *Recording) folder() string {
	if r.w.renamed {
		return inDay(r.day, r.base)
	}
	return inDay(r.day, r.base+partialSuffix)
}

func (r *Recording) file(name string) string { return inDay(r.folder(), name) }

// dir is the folder as the outside sees it.
func (r *Recording) dir() string { return filepath.Join(r.s.cfg.Dir, filepath.FromSlash(r.folder())) }
