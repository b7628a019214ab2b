package stream

import (
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
	wake     chan struct{} // holds one, after a write
	ended    chan struct{} // closed by end
	sum      *atomic.Int64 // counts all drops of many rings

	// mu guards the fields below. It is held for copies only.
	mu   sync.Mutex
	buf  []int16 // interleaved
	head int     // index in groups of the oldest
	n    int     // groups held
	// pos is the position in call time of the oldest group held, or of the next one to come.
	pos  int64
	over bool // end was called
	off  bool // nobody reads any more: writes are taken and forgotten
	lost drops
}

// drops is a run of samples that a consumer lost: from is the first since it was last taken.
type drops struct {
	from, samples int64
	total         int64
}

func newRing(length time.Duration, channels int, sum *atomic.Int64) *ring {
	groups := int(length / sampleTime)
	return &ring{
		channels: channels, buf: make([]int16, groups*channels), sum: sum,
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
}

// write appends interleaved samples.
//
//earshot:hot
func (r *ring) write(pcm []int16) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(pcm) > 0 {
		part := pcm[:min(len(pcm), len(r.buf))]
		at := r.roomLocked(len(part) / r.channels)
		if !r.off {
			n := copy(r.buf[at:], part)
			copy(r.buf, part[n:])
		}
		pcm = pcm[len(part):]
	}
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
	at := (r.head + r.n) % r.groups()
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
	if !r.off {
		if r.lost.samples == 0 {
			r.lost.from = r.pos
		}
		r.lost.samples += n
		r.lost.total += n
		r.sum.Add(n)
	}
	r.pos += n
}

// signal wakes the reader, once per sweep.
//
//earshot:hot
func (r *ring) signal() {
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
		r.over = true
		close(r.ended)
	}
}

// abandon makes the ring take and forget what comes, for nobody wants it; what it held is lost and counted.
func (r *ring) abandon() {
	r.mu.Lock()
	defer r.mu.Unlock()
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

// read moves the oldest samples to dst and gives how many values that were. more is false when the ring is empty and
// ended.
func (r *ring) read(dst []int16) (n int, more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	groups := min(len(dst)/r.channels, r.n)
	if groups == 0 {
		return 0, !r.over
	}
	at, want := r.head*r.channels, groups*r.channels
	n = copy(dst[:want], r.buf[at:])
	n += copy(dst[n:want], r.buf)
	r.head = (r.head + groups) % r.groups()
	r.n -= groups
	r.pos += int64(groups)
	return n, true
}

// next is read, but waits for samples. It gives 0 when the ring has ended, or quit is closed.
func (r *ring) next(dst []int16, quit <-chan struct{}) int {
	for {
		n, more := r.read(dst)
		if n > 0 || !more {
			return n
		}
		select {
		case <-r.wake:
		case <-r.ended:
		case <-quit:
			return 0
		}
	}
}

// takeLost gives what was lost since it was last asked, and in all.
func (r *ring) takeLost() drops {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.lost
	r.lost.from, r.lost.samples = 0, 0
	return d
}
