package stream

import (
	"encoding/binary"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"
)

// account is what became of each sample of a ring.
type account struct {
	t           *testing.T
	seed        uint64
	r           *ring
	e           *encoder
	said        int64
	given, lost []int // times, by position
	first       int64 // of the connection
}

func (a *account) value(pos int64, channel int) int16 { return int16(1 + pos*31 + int64(channel)*7) }

// say puts n samples.
func (a *account) say(n int64) {
	pcm := make([]int16, 0, n*int64(a.r.channels))
	for range n {
		for c := range a.r.channels {
			pcm = append(pcm, a.value(a.said, c))
		}
		a.said++
		a.given, a.lost = append(a.given, 0), append(a.lost, 0)
	}
	put(a.r, pcm)
}

// connect has at most so many messages given, or all that there is; while they are, more may be said.
func (a *account) connect(messages int, meanwhile func(), fails func() bool) {
	var quit atomic.Bool
	from := a.r.resume(a.e)
	a.first = -1
	factor := int64(a.e.rate / 8000)
	a.r.relay(a.e, &quit, func(pos int64, b []byte) bool {
		if a.first < 0 {
			a.first = pos
			if pos != from {
				a.t.Errorf("seed %d: the first sample given is %d, told %d", a.seed, pos, from)
			}
		}
		meanwhile()
		if messages--; messages <= 0 || !a.r.ready() {
			quit.Store(true)
		}
		if fails() {
			return false
		}
		group := 2 * a.r.channels
		for i := int64(0); i < int64(len(b)/group); i += factor {
			p := pos + i/factor
			a.given[p]++
			for c := range a.r.channels {
				if v := int16(binary.LittleEndian.Uint16(b[int(i)*group+2*c:])); v != a.value(p, c) {
					a.t.Fatalf("seed %d: channel %d of what is given as sample %d is %d, want %d", a.seed, c, p, v, a.value(p, c))
				}
			}
		}
		return true
	})
}

// tell takes what is lost.
func (a *account) tell() {
	d := a.r.takeLost()
	n := int64(0)
	for _, s := range d.runs {
		for p := s.from; p < s.to; p++ {
			a.lost[p]++
		}
		n += s.to - s.from
	}
	if n != d.samples || n > 0 && d.from != d.runs[0].from {
		a.t.Fatalf("seed %d: told of %d samples from %d on, in %v", a.seed, d.samples, d.from, d.runs)
	}
}

// TestEachSampleIsGivenWhereItSaysOrToldAsLost, once, over connections between and in which the ring loses some; also of those that the upsampler holds back, and of messages
// that are not taken whole.
func TestEachSampleIsGivenWhereItSaysOrToldAsLost(t *testing.T) {
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 5))
		var sum atomic.Int64
		channels, rate := 1+rnd.IntN(2), 8000*(1+rnd.IntN(3))
		a := &account{t: t, seed: seed, r: newRing(100*time.Millisecond, minMessage, channels, &sum), e: newEncoder(FormatS16LE, rate, channels)}
		a.r.begin(0)
		for range 30 {
			a.say(160 * rnd.Int64N(10))
			if a.r.ready() {
				a.connect(1+rnd.IntN(4), func() {
					if rnd.IntN(3) == 0 {
						a.say(160 * rnd.Int64N(10))
					}
				}, func() bool { return rnd.IntN(5) == 0 })
			}
			a.tell()
		}
		if rnd.IntN(2) == 0 { // it is given up
			a.r.forget(a.e)
			a.r.abandon()
		} else {
			a.r.end()
			a.connect(1000, func() {}, func() bool { return rnd.IntN(5) == 0 })
			a.r.forget(a.e)
			a.r.abandon()
		}
		a.tell()
		total := int64(0)
		for p := range a.given {
			if total += int64(a.lost[p]); a.given[p]+a.lost[p] != 1 {
				t.Fatalf("seed %d: sample %d of %d was given %d times and told as lost %d times", seed, p, a.said, a.given[p], a.lost[p])
			}
		}
		if sum.Load() != total {
			t.Errorf("seed %d: counted %d as lost, told of %d", seed, sum.Load(), total)
		}
	}
}
