package stream

import (
	"sort"
	"time"
)

// maxJumps bounds the jumps of a connection that are remembered; what an engine says of audio before the oldest is placed as if there had been none.
const maxJumps = 1024

// jump says that the connection's sample at is the call's sample pos, and so on until the next jump.
type jump struct{ at, pos int64 }

// clock turns a connection's time into call time: a connection begins somewhere in the call, and its consumer may have lost audio in the middle. All in samples at 8000 Hz.
//
// Invariant: the jumps rise in at.
type clock struct {
	jumps []jump
	given int64
}

// give notes that n samples go out, which lie at pos in the call.
func (c *clock) give(pos, n int64) {
	if len(c.jumps) == 0 || c.place(c.given) != pos {
		if k := len(c.jumps); k > 0 && c.jumps[k-1].at == c.given {
			c.jumps = c.jumps[:k-1] // nothing was given there
		}
		if len(c.jumps) == maxJumps {
			c.jumps = c.jumps[:copy(c.jumps, c.jumps[maxJumps/2:])]
		}
		c.jumps = append(c.jumps, jump{c.given, pos})
	}
	c.given += n
}

// place gives where a sample of the connection lies in the call.
func (c *clock) place(at int64) int64 {
	i := sort.Search(len(c.jumps), func(i int) bool { return c.jumps[i].at > at }) - 1
	if len(c.jumps) == 0 {
		return at
	}
	j := c.jumps[max(i, 0)]
	return max(0, j.pos+at-j.at)
}

// span gives where a stretch of the connection's time lies in the call; what the connection was not given yet is none of it. An end belongs to what stands before it: behind
// it there may be a jump.
func (c *clock) span(from, to time.Duration) (pos, samples int64) {
	first := min(int64(from/sampleTime), c.given)
	last := min(max(int64((to+sampleTime-1)/sampleTime), first), c.given)
	if first == last {
		return c.place(first), 0
	}
	pos = c.place(first)
	return pos, max(0, c.place(last-1)+1-pos)
}

// within bounds a stretch of call time to what the connection was given.
func (c *clock) within(from, to time.Duration) (pos, samples int64) {
	first, end := c.place(0), c.place(c.given)
	pos = min(max(int64(from/sampleTime), first), end)
	return pos, min(max(int64(to/sampleTime), pos), end) - pos
}

// now is how much was given.
func (c *clock) now() time.Duration { return time.Duration(c.given) * sampleTime }
