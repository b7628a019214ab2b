package stream

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// The length of what a consumer is given at a time. It is woken once for each, and a call of which all consumers take long ones
// is looked at the less often: with five hundred calls, messages of 100 ms cost a third of what those of 20 ms do.
const (
	minMessage = 20 * time.Millisecond // a packet, and a sweep
	maxMessage = 200 * time.Millisecond
	// listenMessage is for ears: what they hear should be no older than it must be.
	listenMessage = minMessage
	// programMessage is for programs: services that recognise speech ask for pieces of 50 to 250 ms, mostly 100.
	programMessage = 100 * time.Millisecond
)

// checkMessage completes and checks a message's length, beside a buffer's that was checked.
func checkMessage(d *time.Duration, usual, buffer time.Duration) error {
	if *d == 0 {
		*d = usual
	}
	if *d < minMessage || *d > maxMessage {
		return fmt.Errorf("message: got %v, want %v to %v", *d, minMessage, maxMessage)
	}
	if buffer >= minBuffer && *d > buffer { // else the buffer is what is wrong
		return fmt.Errorf("message: got %v, want at most the buffer, which is %v", *d, buffer)
	}
	return nil
}

// paceOf is how long batches may wait for who takes messages of a length; the shortest is each sweep's.
func paceOf(message time.Duration) time.Duration {
	if message <= minMessage {
		return 0
	}
	return message
}

// waitFor is how long a lane waits for a side that is behind, where batches come once in a message: as long as with the shortest
// of them, and the time that no batch came in.
func waitFor(wait, message time.Duration) time.Duration {
	return min(wait+message-minMessage, max(wait, aloneWait))
}

// scratch is where a message is on its way from the ring to the reader.
type scratch struct {
	pcm [2 * chunkSamples]int16
	out []byte
	// whole is a message with its header.
	whole []byte
}

// scratches holds few of them: readers that write without waiting have one after the other the same, and it stays in the cache.
var scratches = sync.Pool{New: func() any {
	return &scratch{out: make([]byte, 0, 2*2*maxUpsample*(chunkSamples+upsampleAhead))} // 16 bit, stereo, at the highest rate
}}

// relay gives what comes into the ring to write, message by message, with its position in call time, until the ring has ended (and its last bytes are written), write
// says no, or quit is set and the ring stirred. It tells whether the ring has ended.
func (r *ring) relay(e *encoder, quit *atomic.Bool, write func(pos int64, b []byte) bool) bool {
	for r.await(quit) {
		s := scratches.Get().(*scratch)
		pos, n, on := r.take(s.pcm[:chunkSamples*r.channels], quit)
		if !on {
			scratches.Put(s)
			return false
		}
		well := r.give(e, s, pos, s.pcm[:n], write)
		scratches.Put(s)
		if !well || n == 0 {
			return well
		}
	}
	return false
}

// give has what was taken from a position on written; nothing taken: what the encoder still holds, as the last. What the encoder holds lies before that, unless the ring lost
// what is between: then it goes out first, at its own position.
func (r *ring) give(e *encoder, s *scratch, pos int64, pcm []int16, write func(pos int64, b []byte) bool) bool {
	n := int64(len(pcm) / r.channels)
	if held := e.held(); held > 0 && pos != e.next {
		if from := e.next - held; !s.write(e, from, e.encode(s.out, nil, true), write) {
			r.untaken(from, held)
			r.untaken(pos, n)
			return false
		}
	}
	from := pos - e.held()
	e.next = pos + n
	if !s.write(e, from, e.encode(s.out, pcm, n == 0), write) {
		r.untaken(from, e.next-e.held()-from)
		return false
	}
	return true
}

// untaken is told of n groups from a position on that somebody was to be given, and did not take whole: they are lost, unless there is a past, from which who comes back is given
// what he may not have.
func (r *ring) untaken(pos, n int64) {
	if r.past == nil && n > 0 {
		r.miss(pos, n)
	}
}

// write has octets written, with their header where one is wanted.
func (s *scratch) write(e *encoder, pos int64, out []byte, write func(pos int64, b []byte) bool) bool {
	if len(out) == 0 {
		return true
	}
	if e.stamps != nil {
		s.whole = append(e.stamps.header(s.whole[:0], pos, len(out)), out...)
		out = s.whole
	}
	return write(pos, out)
}

// resume gives the position of the first sample that the next connection is given: that of what the encoder holds, unless the ring lost what follows. Then it is lost, too: all
// that a connection gets after its first sample is to lie behind that without a hole, as far as can be.
func (r *ring) resume(e *encoder) int64 {
	pos := r.position()
	held := e.held()
	if held > 0 && pos != e.next {
		r.forget(e)
		held = 0
	}
	return pos - held
}

// forget loses what the encoder holds.
func (r *ring) forget(e *encoder) {
	if held := e.held(); held > 0 {
		r.miss(e.next-held, held)
		e.reset()
	}
}
