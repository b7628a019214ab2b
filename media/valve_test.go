package media

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
)

// turnValve does to a timeline's valve what an octet says: the holder, and whether it holds.
func turnValve(l *Timeline, what byte, from time.Duration) {
	h := Holder(1 + what/2%byte(holders-1))
	if what%2 == 0 {
		l.Release(h)
	} else {
		l.Hold(h, max(from, 1), "")
	}
}

// TestWhatWasCapturedInAMaskStaysMaskedWhateverComesAfter drives holders at random, many more masks than are remembered apart, against the plain
// list of what they held.
func TestWhatWasCapturedInAMaskStaysMaskedWhateverComesAfter(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test's
		var v valve
		var ever []span // of all holders
		var open [holders]int
		now := time.Second
		for range 300 {
			now += time.Duration(1 + rnd.IntN(100))
			h := Holder(1 + rnd.IntN(1+int(seed)%int(holders-1))) //nolint:gosec // below holders
			if rnd.IntN(2) == 0 {
				from, more := v.hold(h, now-time.Duration(rnd.IntN(300)), now-200)
				if more && open[h] != 0 {
					ever[open[h]-1].from = from
				} else if more {
					ever = append(ever, span{from, forever})
					open[h] = len(ever)
				}
			} else if v.release(h, now) {
				ever[open[h]-1].to = now
				open[h] = 0
			}
			on := open != [holders]int{}
			if v.on() != on {
				t.Fatalf("seed %d: masked is %v, want %v", seed, v.on(), on)
			}
			for _, s := range ever {
				last := min(s.to, now+1) - 1
				for _, at := range []time.Duration{s.from, last, (s.from + last) / 2} {
					if at >= s.from && at < s.to && !v.masked(at, at) {
						t.Fatalf("seed %d: %d came out, held back from %d to %d; at %d", seed, at, s.from, s.to, now)
					}
				}
			}
			if !on && v.masked(now, now) {
				t.Fatalf("seed %d: masked at %d, and nobody holds", seed, now)
			}
			for i := 1; i < v.n; i++ {
				if v.spans[i-1].to >= v.spans[i].from {
					t.Fatalf("seed %d: spans %v", seed, v.spans[:v.n])
				}
			}
		}
	}
}

func TestAudioGoesOutOnlyWhenNobodyHolds(t *testing.T) {
	r := newRig(t, Config{}).commit(plainParams()).send(stream(1, 1, 0, 100*ms, 200)...).until(500 * ms)
	r.line.Hold(HolderPCI, 500*ms, "a card")
	r.until(1000 * ms)
	r.line.Hold(HolderHold, 1000*ms, "")
	r.until(1500 * ms)
	pci := r.line.Release(HolderPCI)
	r.until(2000 * ms)
	hold := r.line.Release(HolderHold)
	again := r.line.Release(HolderHold)
	r.until(5 * time.Second).close()
	if a := <-pci; a.State != ValveMasked || a.Holder != HolderPCI {
		t.Errorf("pci released: got %+v, want it masked still", a)
	}
	if a := <-hold; a.State != ValveOpen || a.From != 2020*ms {
		t.Errorf("hold released: got %+v, want it open from 2.02 s", a)
	}
	if a := <-again; a.State != ValveOpen {
		t.Errorf("released again: got %+v", a)
	}
	r.expect("r3200 m12160 r16640")
	var said []string
	for _, e := range r.tape.events {
		if by, ok := e.Facts["by"].(string); ok {
			said = append(said, string(e.Type)+" "+by)
		}
	}
	if want := "mask_on pci,mask_on hold,mask_off pci,mask_off hold"; strings.Join(said, ",") != want {
		t.Errorf("events: got %s, want %s", strings.Join(said, ","), want)
	}
}

// TestWhatAStallBringsAfterAMaskIsMasked: the network stalls while a card number is spoken, and brings it once the mask is over.
func TestWhatAStallBringsAfterAMaskIsMasked(t *testing.T) {
	in := stream(1, 1, 0, 100*ms, 200) // one each 20 ms
	for i := range in {
		if in[i].at >= 1200*ms && in[i].at < 2200*ms { // spoken from 1.2 s to 2.2 s, here at 2.2 s
			in[i].at = 2200 * ms
		}
	}
	r := newRig(t, Config{}).commit(plainParams()).send(in...).until(1000 * ms)
	r.line.Hold(HolderPCI, 1000*ms, "")
	r.until(2000 * ms)
	r.line.Release(HolderPCI)
	r.until(6 * time.Second).close()
	r.expect("r7200 m8160 r16640")
}

// A mask that is ended before it was to begin is of no length: not of a negative one.
func TestAMaskThatEndsBeforeItBeginsIsOfNoLength(t *testing.T) {
	r := newRig(t, Config{}).commit(plainParams()).send(stream(1, 1, 0, 100*ms, 100)...).until(time.Second)
	r.line.Hold(HolderPCI, time.Hour, "")
	r.until(1100 * ms)
	r.line.Release(HolderPCI)
	r.until(3 * time.Second).close()
	on, off := r.tape.typed(call.EventMaskOn), r.tape.typed(call.EventMaskOff)
	if len(on) != 1 || len(off) != 1 || off[0].Time.Before(on[0].Time) {
		t.Errorf("mask from %v to %v", on, off)
	}
	if n := r.state().Counts.MaskedSamples; n != 0 {
		t.Errorf("%d samples masked", n)
	}
}
