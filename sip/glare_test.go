package sip

import (
	"log/slog"
	"testing"
	"time"
)

func TestRFC3261AfterA491OursGoesOutWithinTwoSeconds(t *testing.T) {
	const tries = 200
	earliest, latest := time.Hour, time.Duration(0)
	for range tries {
		a := &Account{cfg: Config{tune: tuning{second: time.Second, reinviteAgain: time.Hour}}}
		d := &Dialog{a: a, log: slog.New(slog.DiscardHandler)}
		before := time.Now()
		d.ownFailed(whyRefresh, 491, nil)
		wait := d.own.again.Sub(before)
		if spent := time.Since(before); wait < 0 || wait > 2*time.Second+spent || d.own.why != whyRefresh || d.ended {
			t.Fatalf("again in %s as %s, ended %v; want within 2 s, as refresh, alive", wait, d.own.why, d.ended)
		}
		earliest, latest = min(earliest, wait), max(latest, wait)
	}
	if earliest > time.Second || latest < time.Second {
		t.Errorf("%d waits of %s to %s: two that met would meet again", tries, earliest, latest)
	}
	for rnd, want := range map[float64]time.Duration{0: 0, 0.5: time.Second, 1: 2 * time.Second} {
		if got := glareWait(rnd, time.Second); got != want {
			t.Errorf("glareWait(%v): got %s, want %s", rnd, got, want)
		}
	}
}
