package stream

import (
	"sync/atomic"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

const (
	// catchUpRate is how much faster than it was spoken a consumer gets what it missed, at most: an hour takes 7.5 minutes.
	catchUpRate = 8
	// askAgain is when an archive is asked again for what it does not have yet.
	askAgain = 50 * time.Millisecond
	// notYet is how long an archive may go on not having what it should: then it counts as lost, as a disk that stands still must not keep a
	// consumer from what is said.
	notYet = 10 * time.Second
	// catchUpWithin is how long after a call's end a consumer may still get what it missed.
	catchUpWithin = 10 * time.Minute
)

// Archive is what the recording of a call has of its audio. Safe for concurrent use.
type Archive interface {
	// Open gives what the recording has of a voice, for one reader, who closes it.
	Open(v Voice) Shelf
	// Behind is how far that may lie behind what is live: a ring keeps as much, so that both meet.
	Behind() time.Duration
}

// Shelf reads an archive. One goroutine uses it; Read may wait for the disk.
type Shelf interface {
	// Read fills pcm from a position on with n samples of each channel, at most as many as there is room for. Where n is 0, as many as gone tells are not there
	// and will never be; where that is 0 too, they may come: what can still change is not read.
	Read(pos int64, pcm []int16) (n, gone int)
	Close()
}

// Voice is what of a call a Shelf has.
type Voice struct {
	// Track is one track, on its own positions; 0: the call, on those of the recording.
	Track media.TrackID
	// Channels of the call are 2, customer left and agent right, or 1: whom Role names, or all for call.RoleMix.
	Channels int
	Role     call.Role
}

// past is where a ring's reader has from what the ring has lost. The reader owns it, but for over and last.
type past struct {
	// Set by who makes it, then constant.
	archive Archive
	voice   Voice
	rate    int64         // how much faster than spoken; 0: catchUpRate
	back    int64         // how much before the ring's first sample the reader begins
	tell    func()        // tells of what was lost, before something else is
	caught  *atomic.Int64 // counts samples that came from the archive; nil: nobody asks

	shelf Shelf     // nil: nothing is missing
	due   time.Time // when more may be read
	since time.Time // since when what is asked for is not there yet

	over atomic.Bool // nothing is read any more: what the ring does not have is lost
	last *time.Timer // sets over, once the call has ended; the ring's mu guards it, and left
	left bool        // the reader has done with it, or never came
}

// take is the ring's read, where what is missing comes from the archive: by then of the ring's oldest, and never faster than catchUpRate. What nobody has is silence, told as
// lost: so what a consumer gets has no hole. False: quit was set.
func (p *past) take(r *ring, dst []int16, quit *atomic.Bool) (pos int64, n int, ok bool) {
	for !quit.Load() {
		pos, n, missed := r.readKept(dst)
		switch {
		case missed == 0:
			p.close()
			return pos, n, true
		case p.over.Load():
			p.lose(r, pos, missed)
			r.pass(pos + missed)
			continue
		}
		if early := time.Until(p.due); early > 0 {
			r.rest(early)
			continue
		}
		groups := p.fetch(r, pos, dst[:min(int64(len(dst)), missed*int64(r.channels))])
		if groups == 0 {
			r.rest(askAgain)
			continue
		}
		now := time.Now()
		if p.due.Before(now) {
			p.due = now
		}
		p.due = p.due.Add(time.Duration(groups) * sampleTime / time.Duration(p.rate))
		r.pass(pos + int64(groups))
		return pos, groups * r.channels, true
	}
	return 0, 0, false
}

// fetch fills dst, or its beginning, and gives how many groups that were; 0: there is nothing yet.
func (p *past) fetch(r *ring, pos int64, dst []int16) (groups int) {
	if p.shelf == nil {
		p.shelf = p.archive.Open(p.voice)
	}
	all := len(dst) / r.channels
	n, gone := p.shelf.Read(pos, dst)
	switch {
	case n > 0:
		p.since = time.Time{}
		if n = min(n, all); p.caught != nil {
			p.caught.Add(int64(n))
		}
		return n
	case gone > 0:
		all = min(gone, all)
	case p.since.IsZero():
		p.since = time.Now()
		return 0
	case time.Since(p.since) < notYet:
		return 0
	}
	clear(dst)
	p.lose(r, pos, int64(all))
	return all
}

// lose counts n groups from pos on; where they can't be named beside what was lost before, that is told first, so that each range is exact.
func (p *past) lose(r *ring, pos, n int64) {
	if !r.lose(pos, n) && p.tell != nil {
		p.tell()
		r.lose(pos, n)
	}
}

func (p *past) close() {
	if p.shelf != nil {
		p.shelf.Close()
		p.shelf = nil
	}
	p.since = time.Time{}
}
