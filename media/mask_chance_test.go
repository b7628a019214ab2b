package media_test

import (
	"context"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/stream"
)

const (
	// What is said under a mask is as loud as G.711 gets, all else is quiet: two voices together and what conceals them stay below loud.
	loudOctet, quietOctet = 0x80, 0xB8
	loud                  = 8500
	// maskEdge is how near to a mask's end the network's jitter leaves open on which side of it a packet lies.
	maskEdge = 120 * time.Millisecond
)

// masking is one mask of a story, by the time at which audio usually arrives.
type masking struct {
	holder         media.Holder
	from, set, end time.Duration
}

// maskStory is what happens to a call: its masks, its network, and how fast its listener reads.
type maskStory struct {
	masks []masking
	delay time.Duration
	speak [2]media.Speaker
	fill  string
	leave time.Duration // until then its audio waits in memory; 0: it does not
	slow  bool
	rnd   *rand.Rand
}

const maskStoryEnd = 24 * time.Second

// maskStoryOf makes the story of a seed.
func maskStoryOf(seed uint64) *maskStory {
	rnd := rand.New(rand.NewPCG(seed, 77)) //nolint:gosec // a test's
	s := &maskStory{rnd: rnd, delay: 40 * time.Millisecond, fill: recorder.FillSilence, slow: rnd.IntN(2) == 0}
	if rnd.IntN(2) == 0 {
		s.fill = recorder.FillConceal
	}
	ms := func(least, most int) time.Duration {
		return time.Duration(least+rnd.IntN(most-least)) * time.Millisecond
	}
	for at := 2 * time.Second; ; {
		m := masking{holder: []media.Holder{media.HolderPCI, media.HolderHold, media.HolderHook}[rnd.IntN(3)]}
		at += ms(20, 1200)
		if rnd.IntN(4) == 0 { // many quick ones in a row
			at += ms(1, 30)
		}
		m.from = at
		m.set = at + ms(0, 1500)
		if rnd.IntN(3) == 0 {
			m.set = at
		}
		m.end = m.set + ms(1, 2500)
		at = m.end
		if rnd.IntN(3) == 0 && len(s.masks) > 0 { // one that another holder's runs into
			last := s.masks[len(s.masks)-1]
			m.from, m.set = last.set, last.set
			m.holder = media.HolderConsent
		}
		if m.end > maskStoryEnd-time.Second {
			break
		}
		s.masks = append(s.masks, m)
	}
	for i := range s.speak {
		s.speak[i] = s.speaker(i)
	}
	if rnd.IntN(3) == 0 {
		s.leave = ms(100, 20_000)
	}
	return s
}

// loud tells whether what is said at a time must never be heard.
func (s *maskStory) loud(said time.Duration) bool {
	usual := said + s.delay
	return slices.ContainsFunc(s.masks, func(m masking) bool { return usual >= m.from && usual < m.end-maskEdge })
}

func (s *maskStory) speaker(i int) media.Speaker {
	rnd := s.rnd
	var stalls []time.Duration
	for range rnd.IntN(6) {
		stalls = append(stalls, time.Duration(3000+rnd.IntN(18_000))*time.Millisecond)
	}
	hold := time.Duration(rnd.IntN(1400)) * time.Millisecond
	jitter := rnd.IntN(50)
	const packet = 20 * time.Millisecond
	return media.Speaker{
		Start: 500 * time.Millisecond, End: maskStoryEnd, Delay: s.delay, Loss: []float64{0, 0.01, 0.1}[rnd.IntN(3)],
		Jitter: func(r *rand.Rand) time.Duration {
			if jitter == 0 {
				return 0
			}
			d := time.Duration(r.IntN(jitter)) * time.Millisecond
			if r.IntN(100) == 0 { // one that comes far too late
				d += time.Duration(r.IntN(1500)) * time.Millisecond
			}
			return d
		},
		Held: func(at time.Duration) time.Duration {
			for _, st := range stalls {
				if at >= st && at < st+hold {
					return st + hold - at
				}
			}
			return 0
		},
		Sources: []media.Source{{SSRC: uint32(100 + i), Seq: 7, TS: uint32(i) * 1000}}, //nolint:gosec // two
		Party:   call.Party{ID: []string{"p-1", "p-2"}[i], Role: []call.Role{call.RoleCustomer, call.RoleAgent}[i]},
		Sound: func(seconds float64) byte {
			n := math.Floor((seconds + 1e-6) / packet.Seconds())
			if s.loud(time.Duration(n) * packet) {
				return loudOctet
			}
			return quietOctet
		},
	}
}

// reader is who listens: what it has, and the ranges that were taken back from it.
type reader struct {
	pcm     []int16
	revoked [][2]int64
	tokens  chan struct{} // nil: it reads as fast as it can
}

func (r *reader) Write(b []byte) (int, error) {
	if r.tokens != nil {
		<-r.tokens
	}
	for i := 0; i+1 < len(b); i += 2 {
		r.pcm = append(r.pcm, int16(uint16(b[i])|uint16(b[i+1])<<8)) //nolint:gosec // as it was
	}
	return len(b), nil
}

// TestWhatIsSaidUnderAMaskIsNowhere: calls with masks at random (set late, released, in quick succession, of several holders) over bad networks
// (jitter, loss, packets that are late by more than a second, stalls), through a real recording and a real listener. What was said under a
// mask is in no file, and a listener that has it was told so.
func TestWhatIsSaidUnderAMaskIsNowhere(t *testing.T) {
	n := media.Stories(t, 40, 100)
	t.Logf("seeds 0 to %d", n-1)
	var said, revoked int
	for seed := range uint64(n) {
		s, r := tellMasks(t, seed)
		for at := time.Duration(0); at < maskStoryEnd; at += 20 * time.Millisecond {
			if s.loud(at) {
				said++
			}
		}
		revoked += len(r.revoked)
		if t.Failed() {
			t.Fatalf("seed %d: %+v", seed, s.masks)
		}
	}
	if said == 0 || revoked == 0 {
		t.Errorf("%d packets said under masks, %d ranges revoked: the stories prove nothing", said, revoked)
	}
}

// tellMasks plays one story, and looks through all that left.
func tellMasks(t *testing.T, seed uint64) (*maskStory, *reader) {
	t.Helper()
	s, r := maskStoryOf(seed), &reader{}
	dir := filepath.Join(t.TempDir(), "recordings")
	store, err := recorder.New(recorder.Config{Dir: dir, Buffer: time.Minute, Fill: s.fill})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- store.Run(ctx) }()
	l, err := stream.NewListener(stream.ListenConfig{Buffer: time.Minute, Revoked: func(from, n int64) { r.revoked = append(r.revoked, [2]int64{from, from + n}) }})
	if err != nil {
		t.Fatal(err)
	}
	if s.slow {
		r.tokens = make(chan struct{}, 4096)
	}
	read := make(chan struct{})
	go func() { defer close(read); _, _ = l.WriteTo(r) }() // its writer never fails

	wall := time.Now()
	const zero = 400 * time.Millisecond
	h := media.NewHall(t, media.Config{}, seed, l).Begin(zero)
	if s.leave > 0 {
		h.Line().Keep()
	}
	parties := []call.Party{s.speak[0].Party, s.speak[1].Party}
	rec, err := store.Open(call.Info{ID: "masked", Started: wall, Expected: parties}, recorder.Anchor{Wall: wall, Mono: zero})
	if err != nil {
		t.Fatal(err)
	}
	h.Line().Attach(rec)
	h.Add(s.speak[0]).Add(s.speak[1])
	s.play(t, h, r)
	h.Until(maskStoryEnd + 3*time.Second).Close()
	if r.tokens != nil {
		close(r.tokens)
	}
	<-read
	<-rec.Sealed()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	r.check(t)
	noLoudFile(t, dir)
	return s, r
}

// turn is a valve's turn of a story.
type turn struct {
	at time.Duration
	m  *masking // nil: leave is given
	on bool
}

// play turns the valves in their time, and lets the reader read now and then.
func (s *maskStory) play(t *testing.T, h *media.Hall, r *reader) {
	t.Helper()
	var turns []turn
	for i := range s.masks {
		m := &s.masks[i]
		turns = append(turns, turn{m.set, m, true}, turn{m.end, m, false})
	}
	if s.leave > 0 {
		turns = append(turns, turn{at: s.leave})
	}
	slices.SortStableFunc(turns, func(a, b turn) int { return int(a.at - b.at) })
	held := map[media.Holder]int{}
	for _, x := range turns {
		for h.Now() < x.at {
			h.Until(min(x.at, h.Now()+100*time.Millisecond))
			for range s.rnd.IntN(3) {
				if r.tokens != nil {
					r.tokens <- struct{}{}
				}
			}
			for range 100 { // the reader's turn
				runtime.Gosched()
			}
		}
		if x.m == nil {
			h.Line().Leave(true, "story")
			continue
		}
		if x.on {
			held[x.m.holder]++
			applied := h.Line().Hold(x.m.holder, x.m.from, "story")
			h.Until(h.Now() + 20*time.Millisecond)
			if a := <-applied; a.From > x.m.from {
				t.Errorf("mask at %v from %v: reached back to %v", x.at, x.m.from, a.From)
			}
		} else if held[x.m.holder]--; held[x.m.holder] == 0 {
			h.Line().Release(x.m.holder)
		}
	}
}

// check wants each loud sample that the reader has in a range that was taken back.
func (r *reader) check(t *testing.T) {
	t.Helper()
	for i, v := range r.pcm {
		told := slices.ContainsFunc(r.revoked, func(x [2]int64) bool { return int64(i) >= x[0] && int64(i) < x[1] })
		if (v > loud || v < -loud) && !told {
			t.Fatalf("the listener has sample %d, %d, of a mask, and was not told: %v", i, v, r.revoked)
		}
	}
}

// noLoudFile wants nothing loud in any recording.
func noLoudFile(t *testing.T, dir string) {
	t.Helper()
	found := 0
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, ".wav") {
			return err
		}
		found++
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		quiet := 0
		for i := 80; i+1 < len(b); i += 2 {
			v := int16(uint16(b[i]) | uint16(b[i+1])<<8) //nolint:gosec // as it was
			if v > loud || v < -loud {
				t.Fatalf("%s: sample %d of channel %d is %d, said under a mask", name, (i-80)/4, (i-80)/2%2, v)
			}
			if v != 0 {
				quiet++
			}
		}
		if quiet == 0 {
			t.Errorf("%s holds nothing at all", name)
		}
		return nil
	})
	if err != nil || found != 1 {
		t.Errorf("%d recordings, %v: want one", found, err)
	}
}
