package stream

import (
	"sync/atomic"
	"time"
)

// A ring with a past keeps what was read until its place is needed: so a reader may go back, as for a consumer that was killed and may not have had what it was
// given last. What it has lost is not lost: the past has it.

// keep gives the ring a past; before its first sample.
func (r *ring) keep(p *past) {
	if p.rate == 0 {
		p.rate = catchUpRate
	}
	r.past = p
}

// take is read, with what the past has. ok is false if quit was set.
func (r *ring) take(dst []int16, quit *atomic.Bool) (pos int64, n int, ok bool) {
	if r.past != nil {
		return r.past.take(r, dst, quit)
	}
	pos, n = r.read(dst)
	return pos, n, true
}

// readKept is read of a ring with a past. missed is how many groups from pos on the ring has lost; then nothing was read.
func (r *ring) readKept(dst []int16) (pos int64, n int, missed int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.off {
		return r.next, 0, 0
	}
	if missed = r.pos - r.next; missed > 0 {
		return r.next, 0, missed
	}
	pos = r.next
	skip := int(pos - r.pos)
	groups := min(len(dst)/r.channels, r.n-skip)
	at, want := (r.head+skip)%r.groups()*r.channels, groups*r.channels
	n = copy(dst[:want], r.buf[at:])
	n += copy(dst[n:want], r.buf)
	r.passLocked(pos + int64(groups))
	return pos, n, 0
}

// pass notes that the reader has all before a position.
func (r *ring) pass(pos int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.passLocked(pos)
}

func (r *ring) passLocked(pos int64) {
	r.next = pos
	r.given = max(r.given, pos)
}

// position is that of the next group for the reader.
func (r *ring) position() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.past == nil {
		return r.pos
	}
	return r.next
}

// wholeMS is a millisecond: what Twilio's form tells of a position.
const wholeMS = int64(time.Millisecond / sampleTime)

// rewind has the reader go back by so many groups, not before floor; without a past it can't.
func (r *ring) rewind(groups, floor int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.past == nil || groups <= 0 {
		return
	}
	back := r.next - groups
	r.next = max(r.first, min(floor, r.next), back-back%wholeMS)
}

// lose counts n groups from pos on as lost; false: what was lost before is to be taken first, as they do not lie behind it, or a run of their own would be one too many.
func (r *ring) lose(pos, n int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.loseLocked(pos, n)
}

func (r *ring) loseLocked(pos, n int64) bool {
	if runs := r.lost.runs; len(runs) > 0 {
		if end := runs[len(runs)-1].to; pos < end || pos > end && len(runs) == maxRuns {
			return false
		}
	}
	r.lost.add(pos, n)
	r.sum.Add(n)
	return true
}

// rest waits, until the ring is stirred at most.
func (r *ring) rest(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.wake:
	}
}

// hurry is end where everything ends: of what the ring has lost nothing more is read.
func (r *ring) hurry() {
	if r.past != nil {
		r.past.over.Store(true)
	}
	r.end()
	r.stir()
}

// letGo is for the reader when it has done with the ring.
func (r *ring) letGo() {
	if r.past == nil {
		return
	}
	r.past.close()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.past.left = true
	if r.past.last != nil {
		r.past.last.Stop()
	}
}
