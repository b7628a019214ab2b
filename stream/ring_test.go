package stream

import (
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// put appends interleaved samples, as a lane does.
func put(r *ring, pcm []int16) {
	for len(pcm) > 0 {
		part := pcm[:min(len(pcm), len(r.buf))]
		first, second := r.room(len(part) / r.channels)
		if first != nil {
			copy(second, part[copy(first, part):])
		}
		r.done()
		pcm = pcm[len(part):]
	}
}

func TestRingKeepsTheNewestAndCountsTheOldest(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		channels := 1 + rnd.IntN(2)
		var sum atomic.Int64
		r := newRing(time.Duration(1+rnd.IntN(300))*sampleTime, sampleTime, channels, &sum)
		capacity := int64(r.groups())
		start := rnd.Int64N(1000)
		r.begin(start)
		var all []int16 // every value ever written, by position
		next := int64(0)
		lost := int64(0)
		buf := make([]int16, 700*channels)
		for range 100 {
			switch rnd.IntN(4) {
			case 0:
				n := rnd.Int64N(3 * capacity)
				r.silence(n)
				all = append(all, make([]int16, n*int64(channels))...)
			case 1, 2:
				part := buf[:rnd.IntN(400)*channels]
				for i := range part {
					part[i] = int16(rnd.Int())
				}
				put(r, part)
				all = append(all, part...)
			case 3:
				_, n := r.read(buf[:rnd.IntN(400)*channels])
				for i, v := range buf[:n] {
					if want := all[next*int64(channels)+int64(i)]; v != want {
						t.Fatalf("seed %d: position %d: got %d, want %d", seed, next, v, want)
					}
				}
				next += int64(n / channels)
			}
			if over := int64(len(all)/channels) - next - capacity; over > 0 {
				next += over
				lost += over
			}
			if rnd.IntN(5) == 0 {
				if d := r.takeLost(); d.total != lost || (d.samples > 0 && (d.from < start || d.from+d.samples > start+next)) {
					t.Fatalf("seed %d: lost %+v, want %d in all, before %d", seed, d, lost, start+next)
				}
			}
		}
		if sum.Load() != lost {
			t.Errorf("seed %d: sum of lost: got %d, want %d", seed, sum.Load(), lost)
		}
		r.end()
		r.end()
		for {
			_, n := r.read(buf)
			next += int64(n / channels)
			if n == 0 {
				break
			}
		}
		if next != int64(len(all)/channels) {
			t.Errorf("seed %d: read up to %d, want %d", seed, next, len(all)/channels)
		}
	}
}

func TestRingTellsWhereTheLossBegan(t *testing.T) {
	var sum atomic.Int64
	r := newRing(100*sampleTime, sampleTime, 1, &sum)
	r.begin(1000)
	put(r, make([]int16, 130))
	put(r, make([]int16, 10))
	if d := r.takeLost(); d.from != 1000 || d.samples != 40 {
		t.Errorf("got %+v, want 40 from 1000", d)
	}
	if d := r.takeLost(); d.samples != 0 || d.total != 40 {
		t.Errorf("asked again: got %+v, want none", d)
	}
	r.silence(1 << 40)
	if d := r.takeLost(); d.from != 1040 || d.samples != 1<<40 {
		t.Errorf("a long silence: got %+v, want %d from 1040", d, int64(1)<<40)
	}
	r.abandon()
	put(r, make([]int16, 500))
	if d := r.takeLost(); d.samples != 100 {
		t.Errorf("abandoned: got %+v, want the 100 it held", d)
	}
}

func TestRingWakesItsReaderForAMessageOrItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sum atomic.Int64
		var quit atomic.Bool
		r := newRing(time.Second, 100*sampleTime, 1, &sum)
		var got []int
		read := func(_ int64, b []byte) bool {
			got = append(got, len(b)/2)
			return true
		}
		come := func(n int) {
			put(r, make([]int16, n))
			r.signal()
			synctest.Wait()
		}
		left := make(chan bool, 1)
		start := func() {
			go func() { left <- r.relay(newEncoder(FormatS16LE, 8000, 1), &quit, read) }()
			synctest.Wait()
		}
		come(99)
		if len(r.wake) > 0 {
			t.Error("woken for less than a message")
		}
		start()
		come(1)
		come(250)
		come(50)
		if want := []int{100, 250}; !slices.Equal(got, want) {
			t.Errorf("100 samples to a message: got %v, want %v", got, want)
		}
		quit.Store(true)
		r.stir()
		if <-left {
			t.Error("quit: told that the ring has ended")
		}
		quit.Store(false)
		start() // the next reader goes on where the other left
		if len(got) > 2 {
			t.Errorf("given less than a message: %v", got)
		}
		r.end()
		if !<-left {
			t.Error("the ring ended, and nobody was told")
		}
		if want := []int{100, 250, 50}; !slices.Equal(got, want) {
			t.Errorf("to the end: got %v, want %v", got, want)
		}
	})
}

func TestAReaderThatKeepsUpWalksInTheSamePartOfTheRing(t *testing.T) {
	var sum atomic.Int64
	r := newRing(time.Second, 20*time.Millisecond, 2, &sum)
	buf := make([]int16, 800)
	for range 1000 {
		put(r, buf[:320])
		if first, _ := r.room(0); &first[:1][0] != &r.buf[:321][320] {
			t.Fatal("the second message lies elsewhere than right behind the first")
		}
		r.done()
		if _, n := r.read(buf); n != 320 {
			t.Fatalf("read %d, want 320", n)
		}
	}
}
