package stream

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"
)

func TestRingKeepsTheNewestAndCountsTheOldest(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		channels := 1 + rnd.IntN(2)
		var sum atomic.Int64
		r := newRing(time.Duration(1+rnd.IntN(300))*sampleTime, channels, &sum)
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
				r.write(part)
				all = append(all, part...)
			case 3:
				n, more := r.read(buf[:rnd.IntN(400)*channels])
				if !more {
					t.Fatal("the ring ended")
				}
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
			n, more := r.read(buf)
			next += int64(n / channels)
			if !more {
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
	r := newRing(100*sampleTime, 1, &sum)
	r.begin(1000)
	r.write(make([]int16, 130))
	r.write(make([]int16, 10))
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
	r.write(make([]int16, 500))
	if d := r.takeLost(); d.samples != 100 {
		t.Errorf("abandoned: got %+v, want the 100 it held", d)
	}
}

func TestRingWakesItsReader(t *testing.T) {
	var sum atomic.Int64
	r := newRing(time.Second, 1, &sum)
	got := make(chan int)
	quit := make(chan struct{})
	go func() {
		buf := make([]int16, 100)
		for {
			n := r.next(buf, quit)
			got <- n
			if n == 0 {
				return
			}
		}
	}()
	r.write(make([]int16, 7))
	r.signal()
	r.signal()
	if n := <-got; n != 7 {
		t.Errorf("got %d, want 7", n)
	}
	close(quit)
	if n := <-got; n != 0 {
		t.Errorf("after quit: got %d, want 0", n)
	}
}
