package media

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
)

// waiting is a rig whose audio waits in memory.
func waiting(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, Config{})
	r.line.Keep()
	return r
}

func TestNothingGoesOutBeforeLeaveAndThenAllOfIt(t *testing.T) {
	r := waiting(t).commit(plainParams()).send(stream(1, 1, 0, 100*ms, 1000)...).until(10 * time.Second)
	if got := r.tape.runs(1); got != "" {
		t.Fatalf("before leave: got %s", got)
	}
	given := r.line.Leave(true, "")
	r.until(10*time.Second + 500*ms)
	if a := <-given; a.State != ValveOpen || a.From > 200*ms {
		t.Errorf("got %+v, want that it goes out from the first packet on", a)
	}
	// Half a second of catching up: 4 s, and a batch.
	if n := len(r.tape.tracks[1].kinds); n < 3*SampleRate || n > 4*SampleRate+800 {
		t.Errorf("%d samples after half a second, want about 4 s: eight times as fast", n)
	}
	r.until(12 * time.Second)
	if r.line.live.memory != nil {
		t.Error("it still waits: 10 s take 1.4 s")
	}
	r.until(21 * time.Second).close()
	r.expect("r160000")
	if len(r.tape.typed(call.EventLeave)) != 1 {
		t.Error("the leave is not told")
	}
}

func TestWithoutLeaveEverythingIsMasked(t *testing.T) {
	r := waiting(t).commit(plainParams()).send(stream(1, 1, 0, 100*ms, 500)...).until(11 * time.Second).close()
	r.expect("m80000")
}

func TestWhatWaitsForTooLongIsMaskedForGood(t *testing.T) {
	r := waiting(t).commit(plainParams()).send(stream(1, 1, 0, 100*ms, 3000)...).until(45 * time.Second)
	if got := len(r.tape.tracks[1].kinds); got < 14*SampleRate || got > 15*SampleRate {
		t.Errorf("%d samples went out masked after 45 s, want all but the newest 30 s", got)
	}
	r.line.Leave(true, "")
	r.until(62 * time.Second).close()
	kinds := r.tape.tracks[1].kinds
	masked := slices.Index(kinds, KindReceived)
	if masked < 14*SampleRate || masked > 15*SampleRate || slices.Contains(kinds[masked:], KindMasked) || len(kinds) != 3000*160 {
		t.Errorf("got %s", r.tape.runs(1))
	}
}

func TestRefusedIsMaskedAndStaysSoUntilItIsGiven(t *testing.T) {
	r := waiting(t).commit(plainParams()).send(stream(1, 1, 0, 100*ms, 500)...).until(4 * time.Second)
	r.line.Leave(false, "no")
	r.until(6 * time.Second)
	if got := r.tape.runs(1); got[0] != 'm' || bytes.ContainsAny([]byte(got), "rL") {
		t.Errorf("refused: got %s", got)
	}
	given := r.line.Leave(true, "yes after all")
	r.until(6*time.Second + 40*ms)
	if a := <-given; a.From < 6*time.Second || a.State != ValveOpen {
		t.Errorf("got %+v", a)
	}
	r.until(11 * time.Second).close()
	kinds := r.tape.tracks[1].kinds
	if first := slices.Index(kinds, KindReceived); first < 46_000 || first > 48_000 || slices.Contains(kinds[first:], KindMasked) {
		t.Errorf("got %s, want what is said after 6 s", r.tape.runs(1))
	}
}

func TestAMaskReachesWhatWaits(t *testing.T) {
	masked := func(r *rig) *rig {
		r.commit(plainParams()).send(stream(1, 1, 0, 100*ms, 500)...).until(5 * time.Second)
		r.line.Hold(HolderPCI, 4*time.Second, "card")
		r.until(7 * time.Second)
		r.line.Release(HolderPCI)
		r.until(8 * time.Second)
		r.line.Leave(true, "")
		return r.until(11 * time.Second).close()
	}
	r, want := masked(waiting(t)), masked(newRig(t, Config{})).tape.runs(1)
	r.expect(want)
	if octets := r.tape.tracks[1].octets; slices.ContainsFunc(octets[31_200:55_200], func(b byte) bool { return b != 0 }) {
		t.Errorf("what was masked went out first: %s", want)
	}
}

func TestASinkThatLeavesEarlyGetsWhatWaits(t *testing.T) {
	for _, given := range []bool{false, true} {
		r := waiting(t).commit(plainParams())
		other := newTape(t)
		detach := r.line.Attach(other)
		r.send(stream(1, 1, 0, 100*ms, 250)...).until(5 * time.Second)
		want := "m"
		if given {
			want = "r"
			r.line.Leave(true, "")
			r.until(5*time.Second + 40*ms)
		}
		detach(call.Cause{Code: call.CodeReleased})
		r.until(5*time.Second + 100*ms)
		if len(other.ended) != 1 {
			t.Fatal("it has not ended")
		}
		got, all := other.runs(1), other.tracks[1].kinds
		if got[:1] != want || slices.ContainsFunc(all, func(k Kind) bool { return k != all[0] }) || len(all) < 38_000 {
			t.Errorf("given %v: got %s, want 5 s of %s", given, got, want)
		}
		r.until(6 * time.Second).close()
	}
}

func TestTheTapSeesNothingOfWhatWaits(t *testing.T) {
	tap := &tapped{}
	r := newRig(t, Config{Tap: tap})
	r.line.Keep()
	r.commit(plainParams()).send(stream(1, 1, 0, 100*ms, 100)...).until(3 * time.Second)
	if tap.n != 0 {
		t.Errorf("it saw %d datagrams", tap.n)
	}
	r.close()
}

type tapped struct{ n int }

func (p *tapped) Tap(*Datagram) { p.n++ }

// Stories of the property test whose audio waits for a leave that comes at random: what comes out is what comes out without.
func TestWhatWaitedIsInPlaceWhateverTheNetworkDid(t *testing.T) {
	n := min(stories(t, 200), 300)
	t.Logf("seeds 0 to %d", n-1)
	for seed := range uint64(n) {
		rnd := rand.New(rand.NewPCG(seed, 11))
		s := storyOf(seed)
		s.notes = append(s.notes, note{time.Duration(rnd.Int64N(int64(25 * time.Second))), func(r *rig) { r.line.Leave(true, "") }})
		slices.SortStableFunc(s.notes, func(a, b note) int { return int(a.at - b.at) })
		w := &witness{TB: t}
		func() {
			defer func() {
				if p := recover(); p != nil {
					if _, ok := p.(overwhelmed); !ok {
						panic(p)
					}
				}
			}()
			s.hold(w, new(stage).play(w, s, func(r *rig) { r.line.Keep() }))
		}()
		if w.errs != nil {
			t.Fatalf("story %d: %v", seed, w.errs)
		}
	}
}

// The same without leave: not one octet comes out, and every sample is counted as masked.
func TestWhatNobodyGaveLeaveForIsNowhere(t *testing.T) {
	n := min(stories(t, 200), 300)
	t.Logf("seeds 0 to %d", n-1)
	for seed := range uint64(n) {
		r := new(stage).play(t, storyOf(seed), func(r *rig) { r.line.Keep() })
		if reel := r.tape.tracks[1]; reel != nil {
			if i := slices.IndexFunc(reel.kinds, func(k Kind) bool { return k != KindMasked }); i >= 0 {
				t.Fatalf("story %d: sample %d went out as %v", seed, i, reel.kinds[i])
			}
		}
		if t.Failed() {
			t.Fatalf("story %d", seed)
		}
	}
}

// Withdrawn while what waited goes out: not one sample more of what was said before the leave, and what was said under it stays.
func TestALeaveThatIsWithdrawnWipesWhatHasNotGoneOut(t *testing.T) {
	r := waiting(t).commit(plainParams()).send(stream(1, 1, 0, 100*ms, 1000)...).until(10 * time.Second)
	r.line.Leave(true, "")
	r.until(10*time.Second + 300*ms)
	out := int64(len(r.tape.tracks[1].kinds))
	applied := r.line.Hold(HolderConsent, 10*time.Second+300*ms, "withdrawn")
	r.until(10*time.Second + 340*ms)
	if a := <-applied; a.From > 4*time.Second {
		t.Errorf("got %+v, want the time of what waited longest", a)
	}
	r.until(15 * time.Second).close()
	kinds := r.tape.tracks[1].kinds
	first := int64(slices.Index(kinds, KindMasked))
	if first < out || first > out+4000 { // a sweep's
		t.Errorf("masked from %d on, want %d: %s", first, out, r.tape.runs(1))
	}
	again := first + int64(slices.Index(kinds[first:], KindReceived))
	if again < 78_000 || again > 80_000 {
		t.Errorf("what was said under the leave begins at %d, want about 79200: %s", again, r.tape.runs(1))
	}
	if last := slices.Index(kinds[again:], KindMasked); last < 2000 || last > 3200 {
		t.Errorf("%d samples were said under the leave, want about 2400: %s", last, r.tape.runs(1))
	}
}

// A key that masks is heard in the middle of a sweep, whose audio waits in the same batch.
func TestAKeyThatMasksWhatWaitsCountsEachSampleOnce(t *testing.T) {
	r := newRig(t, Config{Triggers: Triggers{On: "*1", To: &presses{}}})
	r.line.Keep()
	r.commit(plainParams()).send(stream(testSSRC, 100, 0, 100*ms, 50)...)
	r.line.SetParty(r.track.ID(), call.Party{Role: call.RoleAgent})
	// A packet of audio comes between the two keys, in the same sweep.
	r.send(keys(1085*ms, 0, 150, "*")...).send(stream(testSSRC, 151, uint32(samplesIn(1085*ms)), 1090*ms, 1)...).send(keys(1095*ms, 0, 152, "1")...)
	r.send(stream(testSSRC, 153, uint32(samplesIn(1300*ms)), 1300*ms, 50)...)
	r.until(3 * time.Second).close()
	if got := r.tape.runs(1); strings.ContainsAny(got, "rL") {
		t.Errorf("got %s", got)
	}
}

// Nobody has what waits, so a mask reaches back in it as far as was asked.
func TestAMaskReachesAllThatWaits(t *testing.T) {
	r := waiting(t).commit(plainParams()).send(stream(1, 1, 0, 100*ms, 600)...).until(10 * time.Second)
	first := r.line.Hold(HolderPCI, 8*time.Second, "card")
	r.until(10*time.Second + 40*ms)
	again := r.line.Hold(HolderPCI, 3*time.Second, "from its beginning")
	r.until(10*time.Second + 80*ms)
	if a, b := <-first, <-again; a.From != 8*time.Second || b.From != 3*time.Second {
		t.Errorf("got %v and %v, want 8 s and 3 s", a.From, b.From)
	}
	r.line.Release(HolderPCI)
	r.until(11 * time.Second)
	r.line.Leave(true, "")
	r.until(13 * time.Second).close()
	kinds := r.tape.tracks[1].kinds
	from := slices.Index(kinds, KindMasked)
	to := from + slices.Index(kinds[from:], KindReceived)
	if from < 22_900 || from > 23_300 || to < 79_000 || to > 80_000 {
		t.Errorf("got %s, want 3 s to 10.08 s masked", r.tape.runs(1))
	}
	if i := slices.IndexFunc(r.tape.tracks[1].octets[from:to], func(b byte) bool { return b != 0 }); i >= 0 {
		t.Errorf("sample %d of the mask went out", i)
	}
}
