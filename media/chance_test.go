package media

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
)

// storySeed repeats one story: go test ./media -run TestEverySampleIsInPlaceWhateverTheNetworkDoes -story 123.
var storySeed = flag.Int64("story", -1, "the story that TestEverySampleIsInPlaceWhateverTheNetworkDoes tells, instead of all")

// stories is how many are told: EARSHOT_STORIES says it, else few enough for a test among others.
func stories(t testing.TB, usual int) int {
	t.Helper()
	v := os.Getenv("EARSHOT_STORIES")
	if v == "" {
		return usual
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		t.Fatalf("EARSHOT_STORIES: got %q, want a number", v)
	}
	return n
}

// storyOf makes the story of a seed.
func storyOf(seed uint64) *story {
	r := rand.New(rand.NewPCG(seed, 5))
	cfg := Config{LiveWait: 60 * ms, ArchiveWindow: 2 * time.Second, Sweep: 20 * ms, Keepalive: -1}
	if r.IntN(3) == 0 {
		cfg.LiveWait = []time.Duration{-1, 20 * ms, 200 * ms}[r.IntN(3)]
		cfg.ArchiveWindow = []time.Duration{time.Second, 2 * time.Second}[r.IntN(2)]
		cfg.Sweep = time.Duration(5+r.IntN(60)) * ms
	}
	s := tell(r, cfg)
	s.cfg.LiveWait = max(0, cfg.LiveWait)
	s.carry(r)
	return s
}

// stage is an engine on which stories are played, one after the other.
type stage struct {
	rig    *rig
	config Config
	played int
}

// storiesPerStage: what one story leaves behind, such as used slots, the next ones have to live with.
const storiesPerStage = 100

// play plays a story, and gives the rig with its end on the tape. attach is what else listens.
func (g *stage) play(t testing.TB, s *story, attach ...func(*rig)) *rig {
	t.Helper()
	if g.rig == nil || g.config != s.config() || g.played%storiesPerStage == 0 {
		g.rig, g.config = newRig(t, s.config()), s.config()
		g.rig.line.Close(call.Cause{Code: call.CodeHangup})
		g.rig.until(20 * ms)
	}
	g.played++
	r := &rig{t: t, e: g.rig.e, s: g.rig.s, tape: newTape(t), now: g.rig.now}
	var err error
	if r.line, err = r.e.NewTimeline(call.Info{ID: "story"}); err != nil {
		t.Fatal(err)
	}
	zero := r.now
	r.line.live.zero = zero
	r.line.Attach(r.tape)
	for _, a := range attach {
		a(r)
	}
	r.track, r.port = r.open()
	r.track.live.state.Party.Role = call.RoleMix
	end := time.Duration(0)
	for i := range s.packets {
		p := &s.packets[i]
		for _, at := range p.arrivals {
			r.port.queue = append(r.port.queue, letter{at: zero + at, octets: p.octets, from: p.from})
			end = max(end, at)
		}
	}
	sortLetters(r.port.queue)
	for _, n := range s.notes {
		r.until(zero + n.at)
		n.do(r)
	}
	r.until(zero + end + 40*ms).close()
	g.rig.now = r.now
	r.s.nothingKept(t)
	return r
}

func (s *story) config() Config {
	c := s.cfg
	if c.LiveWait == 0 {
		c.LiveWait = -1
	}
	return c
}

// report is what the oracle has to say of a story's end.
type report struct {
	samples, sure int64
	unsure        bool
}

// hold compares what came out with what must have.
func (s *story) hold(t testing.TB, r *rig) report {
	t.Helper()
	o := newOracle(s)
	state := r.state()
	if o.unsure {
		return report{unsure: true}
	}
	if want := s.chapters[len(s.chapters)-1].clock + 1; len(state.Epochs) != want {
		t.Fatalf("epochs: got %+v, want %d", state.Epochs, want)
	}
	want, length := o.layOut(t, state.Epochs)
	kinds := r.tape.tracks[1].kinds
	if state.Length != length || int64(len(kinds)) != length {
		t.Errorf("length: got %d, %d on the tape, want %d", state.Length, len(kinds), length)
	}
	rep := report{samples: int64(len(kinds))}
	for pos, k := range kinds[:min(len(kinds), len(want))] {
		if want[pos]&(1<<k) == 0 {
			t.Fatalf("Pos %d: got %v, want one of %v", pos, k, kindsOf(want[pos]))
		}
		if want[pos]&(want[pos]-1) == 0 {
			rep.sure++
		}
	}
	s.count(t, o, r, state.Counts)
	return rep
}

func kindsOf(set uint8) (names []string) {
	for k := KindReceived; k <= KindMasked; k++ {
		if set&(1<<k) != 0 {
			names = append(names, k.String())
		}
	}
	return names
}

// TestEverySampleIsInPlaceWhateverTheNetworkDoes: random senders times random networks. What came in time is there, what came late is
// at its own place, what didn't come is lost or, where the sender was silent, a gap; frames tile, octets are those of their
// timestamps, samples by kind sum to the length (the tape proves these three).
func TestEverySampleIsInPlaceWhateverTheNetworkDoes(t *testing.T) {
	if *storySeed >= 0 {
		tellOne(t, new(stage), uint64(*storySeed))
		return
	}
	n, workers := stories(t, 500), max(2, runtime.GOMAXPROCS(0))
	var mu sync.Mutex
	var samples, sure, unsure int64
	var next, failed atomic.Int64
	t.Logf("seeds 0 to %d", n-1)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			g := new(stage)
			for seed := next.Add(1) - 1; seed < int64(n) && failed.Load() < 3; seed = next.Add(1) - 1 {
				rep, errs := tryStory(t, g, storyOf(uint64(seed)))
				if errs != nil {
					failed.Add(1)
					g = new(stage)
					explain(t, uint64(seed), errs)
					continue
				}
				mu.Lock()
				samples, sure = samples+rep.samples, sure+rep.sure
				if rep.unsure {
					unsure++
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	t.Logf("%d samples, of %.2f%% there was one kind they could be; %d stories with a turn that was not borne out", samples, 100*float64(sure)/float64(samples), unsure)
	if failed.Load() == 0 && (sure < samples*9/10 || unsure > int64(n)/10) {
		t.Error("the oracle leaves too much open: such a test can't fail")
	}
}

// witness takes down what a story's test finds, instead of failing.
type witness struct {
	testing.TB
	errs []string
}

type overwhelmed struct{}

func (w *witness) Helper() {}
func (w *witness) Errorf(format string, args ...any) {
	w.errs = append(w.errs, fmt.Sprintf(format, args...))
}
func (w *witness) Error(args ...any) { w.errs = append(w.errs, fmt.Sprint(args...)) }
func (w *witness) Fatalf(format string, args ...any) {
	w.Errorf(format, args...)
	panic(overwhelmed{})
}
func (w *witness) Fatal(args ...any) {
	w.Error(args...)
	panic(overwhelmed{})
}

// tryStory plays and judges a story; errs is what is wrong.
func tryStory(t testing.TB, g *stage, s *story) (rep report, errs []string) {
	w := &witness{TB: t}
	defer func() {
		errs = w.errs
		if p := recover(); p != nil {
			if _, ok := p.(overwhelmed); !ok {
				errs = append(errs, fmt.Sprint("panic: ", p))
			}
		}
	}()
	r := g.play(w, s)
	if n := r.e.Totals().Panics; n > 0 {
		w.Fatalf("%d panics", n)
	}
	return s.hold(w, r), nil
}

// tellOne tells the story of one seed, and fails with all of it.
func tellOne(t *testing.T, g *stage, seed uint64) {
	if _, errs := tryStory(t, g, storyOf(seed)); errs != nil {
		explain(t, seed, errs)
	}
}

// explain fails with a story that is as short as it can be made.
func explain(t *testing.T, seed uint64, errs []string) {
	short := storyOf(seed)
	left := short.shrink(func(s *story) bool {
		_, errs := tryStory(t, new(stage), s)
		return errs != nil
	})
	r := ""
	if _, errs := tryStory(t, new(stage), short); errs != nil {
		r = fmt.Sprint(errs)
	}
	t.Errorf("story %d: %v\nrepeat: go test ./media -run %s -story %d\nwith %d packets lost or copied still: %s\n%v", seed, errs, "TestEverySampleIsInPlaceWhateverTheNetworkDoes", seed, left, r, short)
}
