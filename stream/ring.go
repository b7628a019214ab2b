package stream

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshot/earshot/media"
)

// Bounds and default of a ring's length.
const (
	defaultBuffer = 5 * time.Second
	minBuffer     = 100 * time.Millisecond
	maxBuffer     = time.Minute
)

// sampleTime is one sample at media.SampleRate.
const sampleTime = time.Second / media.SampleRate

// ring keeps the newest samples for one consumer: a lane writes and never waits, one goroutine reads. What falls over is the
// oldest; it is counted.
type ring struct {
	// Set by newRing, then constant.
	channels int
	message  int           // groups that the reader is woken for
	wake     chan struct{} // holds one: there is a message, or no more will come
	ended    chan struct{} // closed by end
	sum      *atomic.Int64 // counts all drops of many rings
	past     *past         // has what is lost here; nil: nobody has it, and what was read is forgotten

	// due is set where a write has brought a message. Owned by the writer.
	due bool

	// mu guards the fields below. It is held for copies and sums only.
	mu   sync.Mutex
	buf  []int16 // interleaved
	head int     // index in groups of the oldest
	n    int     // groups held
	// pos is the position in call time of the oldest group held, or of the next one to come.
	pos int64
	// first is the position of the first group ever, given that behind the newest one that was read.
	first, given int64
	next         int64 // with a past: the position of the next group for the reader; before pos: that was lost here
	over         bool  // end was called
	overAt       time.Time
	off          bool // nobody reads any more: writes are taken and forgotten
	lost         drops
}

// maxRuns bounds the runs of drops; of more the last takes in what lies between.
const maxRuns = 32

// drops are samples that a consumer lost since they were last taken, in one run or several, as a reader that is too slow has it: from is the first.
type drops struct {
	from, samples int64
	total         int64
	runs          []stretch
}

// add notes n samples from a position on, which lie behind all others.
func (d *drops) add(from, n int64) {
	if d.samples == 0 {
		d.from = from
	}
	d.samples += n
	d.total += n
	if k := len(d.runs) - 1; k >= 0 && (d.runs[k].to == from || len(d.runs) == maxRuns) {
		d.runs[k].to = from + n
		return
	}
	d.runs = append(d.runs, stretch{from, from + n})
}

// insert notes n samples from a position on, wherever they lie among the others; of too many runs the last two become one.
func (d *drops) insert(from, n int64) {
	d.samples += n
	d.total += n
	d.runs = joined(d.runs, stretch{from, from + n}, maxRuns)
	d.from = d.runs[0].from
}

// newRing makes a ring that holds length, and wakes its reader for a message; both are not 0, and a message finds room in it.
func newRing(length, message time.Duration, channels int, sum *atomic.Int64) *ring {
	groups := int(length / sampleTime)
	return &ring{
		channels: channels, message: int(message / sampleTime), buf: make([]int16, groups*channels), sum: sum,
		wake: make(chan struct{}, 1), ended: make(chan struct{}),
	}
}

// groups is the ring's capacity, in samples per channel.
func (r *ring) groups() int { return len(r.buf) / r.channels }

// begin sets the position of the first sample.
func (r *ring) begin(pos int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pos = pos
	if r.past != nil {
		pos = max(0, pos-r.past.back)
	}
	r.first, r.given, r.next = pos, pos, pos
}

// room makes room for n groups, at most all of them, and gives where they go: in one part or two, none if nobody reads any more. It holds
// the ring until done, which must follow soon.
//
//earshot:hot
func (r *ring) room(n int) (first, second []int16) {
	r.mu.Lock()
	at := r.roomLocked(n)
	if r.off {
		return nil, nil
	}
	first = r.buf[at:min(at+n*r.channels, len(r.buf))]
	return first, r.buf[:n*r.channels-len(first)]
}

// done ends what room began.
//
//earshot:hot
func (r *ring) done() {
	r.due = r.waitsLocked() >= int64(r.message)
	r.mu.Unlock()
}

// silence appends n samples of silence, however many; the work is bounded by the ring's size.
//
//earshot:hot
func (r *ring) silence(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if over := n - int64(r.groups()); over > 0 {
		r.dropLocked(r.n)
		r.countLocked(over)
		n -= over
	}
	for n > 0 {
		part := min(int(n), r.groups())
		at := r.roomLocked(part)
		if !r.off {
			first := min(part*r.channels, len(r.buf)-at)
			clear(r.buf[at : at+first])
			clear(r.buf[:part*r.channels-first])
		}
		n -= int64(part)
	}
	r.due = r.waitsLocked() >= int64(r.message)
}

// roomLocked makes room for n groups, at most all of them, and gives the index of the first.
func (r *ring) roomLocked(n int) int {
	if r.off {
		r.pos += int64(n)
		return 0
	}
	if over := r.n + n - r.groups(); over > 0 {
		r.dropLocked(over)
	}
	at := r.head + r.n
	if at >= r.groups() {
		at -= r.groups()
	}
	r.n += n
	return at * r.channels
}

// dropLocked loses the n oldest groups.
func (r *ring) dropLocked(n int) {
	if n == 0 {
		return
	}
	r.head = (r.head + n) % r.groups()
	r.n -= n
	r.countLocked(int64(n))
}

// countLocked counts n samples from pos on as lost.
func (r *ring) countLocked(n int64) {
	if !r.off && r.past == nil {
		r.lost.add(r.pos, n)
		r.sum.Add(n)
	}
	r.pos += n
}

// signal wakes the reader if there is a message for it: once per sweep at most, and the fewer the longer its messages are.
//
//earshot:hot
func (r *ring) signal() {
	if r.due {
		r.due = false
		r.stir()
	}
}

// stir has the reader look anew. Safe from anywhere.
func (r *ring) stir() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// end tells that nothing more comes; what is held can still be read.
func (r *ring) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.over {
		r.over, r.overAt = true, time.Now()
		close(r.ended)
		if r.past != nil && !r.past.left {
			r.past.last = time.AfterFunc(catchUpWithin, r.hurry)
		}
		r.stir()
	}
}

// sinceEnd is how long ago end was called; 0: it was not.
func (r *ring) sinceEnd() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.over {
		return 0
	}
	return time.Since(r.overAt)
}

// abandon makes the ring take and forget what comes, for nobody wants it; what it held is lost and counted.
func (r *ring) abandon() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.past != nil && !r.off {
		r.loseLocked(r.next, r.waitsLocked())
	}
	r.dropLocked(r.n)
	r.off = true
}

// quit is abandon by a reader who has had enough: nothing is counted.
func (r *ring) quit() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.off = true
	r.dropLocked(r.n)
}

// await waits for a message, or the end of the ring; false: quit was set, and stir called after it.
func (r *ring) await(quit *atomic.Bool) bool {
	for !quit.Load() {
		if r.ready() {
			return true
		}
		<-r.wake
	}
	return false
}

// ready tells whether there is something for the reader to do.
func (r *ring) ready() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.waitsLocked() >= int64(r.message) || r.over || r.off
}

// waitsLocked is how many groups the reader has not had.
func (r *ring) waitsLocked() int64 {
	if r.past == nil {
		return int64(r.n)
	}
	return r.pos + int64(r.n) - r.next
}

// empty tells whether nothing is held.
func (r *ring) empty() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.off || r.waitsLocked() == 0
}

// read moves the oldest samples to dst and gives their position and how many values that were: 0 after await means that nothing more comes.
func (r *ring) read(dst []int16) (pos int64, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	groups := min(len(dst)/r.channels, r.n)
	at, want := r.head*r.channels, groups*r.channels
	pos = r.pos
	n = copy(dst[:want], r.buf[at:])
	n += copy(dst[n:want], r.buf)
	r.head += groups
	if r.head >= r.groups() {
		r.head -= r.groups()
	}
	if r.n -= groups; r.n == 0 {
		r.head = 0 // a reader that keeps up needs the first few cache lines of the ring, over and over
	}
	r.pos += int64(groups)
	if groups > 0 {
		r.given = r.pos
	}
	return pos, n
}

// miss counts n groups from a position on as lost that were read, and that nobody got.
func (r *ring) miss(pos, n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.off {
		r.lost.insert(pos, n)
		r.sum.Add(n)
	}
}

// lostRuns is how many runs of samples were lost since takeLost.
func (r *ring) lostRuns() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.lost.runs)
}

// takeLost gives what was lost since it was last asked, and in all.
func (r *ring) takeLost() drops {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.lost
	d.runs = slices.Clone(d.runs)
	r.lost.from, r.lost.samples, r.lost.runs = 0, 0, r.lost.runs[:0]
	return d
}
