package media

import (
	"bytes"
	"math/rand/v2"
	"slices"
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
	n := stories(t, 200)
	t.Logf("seeds 0 to %d", n-1)
	for seed := range uint64(min(n, 2000)) {
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
	n := stories(t, 200)
	t.Logf("seeds 0 to %d", n-1)
	for seed := range uint64(min(n, 2000)) {
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
