package stream

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot/earshot/call"
)

// shelved is an archive that has, late, what was put into a ring, but for what is gone.
type shelved struct {
	mu     sync.Mutex
	all    []int16 // interleaved
	edge   int64   // what lies behind it is not there yet
	gone   []stretch
	ch     int
	opened int // now
	given  int64
}

func (s *shelved) Open(Voice) Shelf {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened++
	return s
}

func (s *shelved) Behind() time.Duration { return 5 * time.Second }

func (s *shelved) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened--
}

func (s *shelved) Read(pos int64, pcm []int16) (n, gone int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	end := min(pos+int64(len(pcm)/s.ch), s.edge)
	for _, g := range s.gone {
		switch {
		case pos >= g.from && pos < g.to:
			return 0, int(min(end, g.to) - pos)
		case g.from > pos:
			end = min(end, g.from)
		}
	}
	if end <= pos {
		return 0, 0
	}
	copy(pcm, s.all[pos*int64(s.ch):end*int64(s.ch)])
	s.given += end - pos
	return int(end - pos), 0
}

// said is what was written, from a position on.
func (s *shelved) said(pos int64, n int) []int16 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[pos*int64(s.ch):][:n]
}

func (s *shelved) had() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.given
}

// TestAReaderHasEverySampleOrIsToldThatNobodyHasIt: a ring with a past is written by one and read by another who dawdles, goes back and stands still, at random. What he is given has no hole,
// and is what was written, but for silence that is told, exactly, as lost: where the archive has nothing, or not for long.
func TestAReaderHasEverySampleOrIsToldThatNobodyHasIt(t *testing.T) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 8)) //nolint:gosec // a test's
			channels := 1 + rnd.IntN(2)
			s := &shelved{ch: channels}
			for at := int64(0); rnd.IntN(3) > 0 && at < 20*8000; {
				at += rnd.Int64N(10 * 8000)
				s.gone = append(s.gone, stretch{at, at + 1 + rnd.Int64N(16000)})
				at = s.gone[len(s.gone)-1].to + 1
			}
			var sum atomic.Int64
			r := newRing(time.Second, minMessage, channels, &sum)
			var told []stretch
			var caught atomic.Int64
			p := &past{archive: s, caught: &caught}
			tell := func() {
				told = append(told, r.takeLost().runs...)
			}
			p.tell = tell
			r.keep(p)
			r.begin(0)
			var writer sync.WaitGroup
			writer.Go(func() { write(rand.New(rand.NewPCG(seed, 9)), r, s, 20*8000) }) //nolint:gosec // a test's
			var quit atomic.Bool
			had, began := int64(0), time.Now()
			buf := make([]int16, chunkSamples*channels)
			for r.await(&quit) {
				pos, n, ok := r.take(buf, &quit)
				if !ok || pos != had {
					t.Fatalf("seed %d: given from %d on, want from %d", seed, pos, had)
				}
				if n == 0 {
					break
				}
				had += int64(n / channels)
				tell()
				said := s.said(pos, n)
				for i, v := range buf[:n] {
					at := pos + int64(i/channels)
					if v != said[i] && (v != 0 || !covers(told, at)) {
						t.Fatalf("seed %d: sample %d is not the call's, and was not told as lost", seed, at)
					}
				}
				switch rnd.IntN(60) {
				case 0:
					time.Sleep(time.Duration(rnd.Int64N(int64(20 * time.Second))))
				case 1:
					r.rewind(rnd.Int64N(5*8000), had-8000)
					had = r.position()
				}
			}
			if most := int64(time.Since(began)/sampleTime)*catchUpRate + int64(chunkSamples); s.had() > most {
				t.Errorf("seed %d: %d samples of the archive in %v", seed, s.had(), time.Since(began))
			}
			if n := caught.Load(); n != s.had() {
				t.Errorf("seed %d: counted %d samples of the archive, want %d", seed, n, s.had())
			}
			r.letGo()
			writer.Wait()
			if had != int64(len(s.all)/channels) || s.opened != 0 {
				t.Errorf("seed %d: ended with %d samples of %d, %d shelves open", seed, had, len(s.all)/channels, s.opened)
			}
			for _, x := range told {
				for at := x.from; at < x.to; at++ {
					if !covers(s.gone, at) {
						t.Fatalf("seed %d: sample %d was told as lost, and the archive has it", seed, at)
					}
				}
			}
		})
	}
}

func covers(of []stretch, at int64) bool {
	for _, x := range of {
		if at >= x.from && at < x.to {
			return true
		}
	}
	return false
}

// write gives a ring so many samples in their time, and an archive half a second later.
func write(rnd *rand.Rand, r *ring, s *shelved, samples int64) {
	for at := int64(0); at < samples; {
		n := min(samples-at, 1+rnd.Int64N(4000))
		part := make([]int16, n*int64(s.ch))
		for i := range part {
			part[i] = int16(1 + rnd.IntN(30000))
		}
		s.mu.Lock()
		s.all = append(s.all, part...)
		s.edge = max(0, at-4000)
		s.mu.Unlock()
		put(r, part)
		r.signal()
		at += n
		time.Sleep(time.Duration(n) * sampleTime)
	}
	s.mu.Lock()
	s.edge = samples
	s.mu.Unlock()
	r.end()
}

// TestWhatNobodyHasIsNamedRunByRun in one event, exactly: where that can't be, what was lost before is taken first.
func TestWhatNobodyHasIsNamedRunByRun(t *testing.T) {
	var sum atomic.Int64
	r := newRing(time.Second, minMessage, 1, &sum)
	r.keep(&past{archive: quietArchive{}})
	var want []stretch
	for i := range int64(maxRuns) {
		at := 1000 * i
		if !r.lose(at, 100) || !r.lose(at+100, 50) {
			t.Fatalf("run %d was refused", i)
		}
		want = append(want, stretch{at, at + 150})
	}
	end := want[maxRuns-1].to
	for what, pos := range map[string]int64{"one run too many": end + 1, "given again, and lost again": end - 1, "and before that": 0} {
		if r.lose(pos, 1) {
			t.Errorf("%s was not refused", what)
		}
	}
	if d := r.takeLost(); !slices.Equal(d.runs, want) || d.from != 0 || d.samples != 150*maxRuns || sum.Load() != d.samples {
		t.Errorf("got %+v, counted %d, want %v", d, sum.Load(), want)
	}
	if !r.lose(0, 1) {
		t.Error("refused, though nothing was lost since")
	}
}

// TestAnArchiveThatStandsStillKeepsNobodyFromWhatIsSaid: after a while what it lacks is silence, told as lost.
func TestAnArchiveThatStandsStillKeepsNobodyFromWhatIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sum atomic.Int64
		r := newRing(time.Second, minMessage, 1, &sum)
		r.keep(&past{archive: &shelved{ch: 1}})
		r.begin(0)
		r.silence(12000)
		put(r, []int16{7, 8, 9})
		var quit atomic.Bool
		buf, began, had := make([]int16, 20000), time.Now(), int64(0)
		for had < 12003 {
			pos, n, _ := r.take(buf[:chunkSamples], &quit)
			if pos != had {
				t.Fatalf("given from %d on, want from %d", pos, had)
			}
			had += int64(n)
		}
		if d := r.takeLost(); d.from != 0 || d.samples != 4003 || sum.Load() != 4003 {
			t.Errorf("lost: %+v, want the 4003 samples that the ring lost", d)
		}
		if took := time.Since(began); took < notYet || took > notYet+time.Second {
			t.Errorf("it took %v, want %v and the time of half a second's audio", took, notYet)
		}
		r.letGo()
	})
}

// TestNobodyIsWaitedForWhenEverythingEnds: what is missing then is lost at once, and what the ring has goes out.
func TestNobodyIsWaitedForWhenEverythingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sum atomic.Int64
		r := newRing(time.Second, minMessage, 1, &sum)
		r.keep(&past{archive: &shelved{ch: 1}})
		r.begin(0)
		r.silence(12000)
		r.hurry()
		var quit atomic.Bool
		pos, n, ok := r.take(make([]int16, 20000), &quit)
		if d := r.takeLost(); !ok || pos != 4000 || n != 8000 || d.samples != 4000 || d.from != 0 {
			t.Errorf("from %d on %d samples, %v, lost %+v; want 8000 from 4000 on, and the 4000 before lost", pos, n, ok, d)
		}
		r.letGo()
	})
}

// TestNothingIsKeptForAReaderWhoHasGone: nor for one who never came, as a call's consumer whose call has no media.
func TestNothingIsKeptForAReaderWhoHasGone(t *testing.T) {
	h, err := New(Config{Consumers: []Consumer{{Type: TypeTCP, Address: "engine:1", Per: PerCall, CatchUp: true}}})
	if err != nil {
		t.Fatal(err)
	}
	f := h.Open(call.Info{ID: "c"}, Options{Archive: quietArchive{}}).(*feed)
	never := f.calls[0].ring
	f.End(call.Cause{})
	gone := newRing(time.Second, minMessage, 1, new(atomic.Int64))
	gone.keep(&past{archive: quietArchive{}})
	gone.letGo()
	gone.end()
	for name, r := range map[string]*ring{"never": never, "gone": gone} {
		if r.past.last != nil && r.past.last.Stop() {
			t.Errorf("%s: a timer has the ring for %v more", name, catchUpWithin)
		}
	}
}
