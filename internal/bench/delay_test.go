package bench

import (
	"math/rand/v2"
	"sort"
	"testing"
	"time"
)

// TestDelaysAreTakenInOrderAndBehindAHole is a small step as a whole: which times come out depends on the machine, that they are what they say does not.
func TestDelaysAreTakenInOrderAndBehindAHole(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"nothing lost":      func(*Config) {},
		"a tenth, SRTP":     func(c *Config) { c.Loss, c.SRTP = 0.1, true },
		"a tenth, listener": func(c *Config) { c.Loss, c.Live = 0.1, true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := small(t)
			cfg.Delay, cfg.Floor = true, -1
			change(&cfg)
			r, err := Run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			s := r.Steps[0]
			if !r.Whole() || s.Streams.LostSamples != 0 || s.Streams.WrongSamples != 0 || s.Streams.Hostile != nil {
				t.Errorf("%d and %d samples lost, %d and %d wrong", s.LostSamples, s.Streams.LostSamples, s.WrongSamples, s.Streams.WrongSamples)
			}
			if d := s.Streams.InOrder; d.Packets == 0 || d.P50 <= 0 || d.P50 > d.P99 || d.P99 > d.Most {
				t.Errorf("in order: %+v", d)
			}
			if d := s.Streams.Behind; (d.Packets > 0) != (cfg.Loss > 0) {
				t.Errorf("behind a hole, with %.0f %% lost: %+v", 100*cfg.Loss, d)
			}
			shows(t, r)
		})
	}
}

// TestHostileConsumersHurtNobody: whatever half of the consumers do, the others have every sample, and so have the recordings.
func TestHostileConsumersHurtNobody(t *testing.T) {
	t.Parallel()
	cfg := small(t)
	cfg.Delay, cfg.Floor, cfg.Hostile = true, -1, 2*time.Second
	r, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	x := r.Steps[0].Streams.Hostile
	if !r.Whole() || x == nil || x.InOrder.Packets == 0 || x.Ratio <= 0 {
		t.Fatalf("whole %v, %+v", r.Whole(), x)
	}
	for _, c := range conducts {
		if x.Attacks[c.name] == 0 {
			t.Errorf("nobody did %s: %v", c.name, x.Attacks)
		}
	}
	if x.Restarts == 0 || x.FloodedBytes == 0 || x.RSSBefore == 0 || x.HeapBefore == 0 || x.RSSMost < x.RSSBefore {
		t.Errorf("something was not measured: %+v", x)
	}
	shows(t, r)
}

func TestSharesOfDelaysAreThoseOfTheSortedList(t *testing.T) {
	var d delays
	var all []time.Duration
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same each time
	for range 10_000 {
		at := time.Duration(r.ExpFloat64() * float64(20*time.Millisecond))
		all = append(all, at)
		d.add(at)
	}
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	got := d.sum()
	if got.Packets != 10_000 || got.Most != all[9999] || got.P50.Truncate(delayStep) < all[4999].Truncate(delayStep) || got.P50 > all[4999]+delayStep || got.P99 > all[9899]+delayStep || got.P99 < all[9899] {
		t.Errorf("got %+v, want p50 %v, p99 %v, most %v", got, all[4999], all[9899], all[9999])
	}
	if none := (&delays{}).sum(); none != (Delay{}) {
		t.Errorf("of nothing: %+v", none)
	}
	var one delays
	one.add(time.Minute)
	if got := one.sum(); got.P50 != time.Minute || got.P99 != time.Minute {
		t.Errorf("one beyond the last step: %+v", got)
	}
}

func TestLossIsTheShareThatWasAskedFor(t *testing.T) {
	for _, share := range []float64{0, 0.02, 0.5} {
		l, lost, behind := lossOf(share), 0, 0
		for track := range 100 {
			for packet := range int64(1000) {
				if l.takes(track, packet) {
					lost++
				}
				if l.behind(track, packet) {
					behind++
				}
			}
		}
		if got := float64(lost) / 100_000; got > share*1.05 || got < share*0.9 { // the first are not lost
			t.Errorf("share %v: got %v", share, got)
		}
		if (behind > 0) != (share > 0) || l.takes(7, firstLoss-1) {
			t.Errorf("share %v: %d behind a hole", share, behind)
		}
	}
}
