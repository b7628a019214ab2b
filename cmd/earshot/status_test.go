package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/console"
	"github.com/earshot/earshot/endpoint"
	"github.com/earshot/earshot/recorder"
)

func TestStatusTellsATracksWayInSecondsAndPerCent(t *testing.T) {
	track := endpoint.TrackStatus{LostSamples: 2_000, JitterMillis: 4.25}
	if got, want := quality(track), "lost 0.25 s, jitter 4.2 ms"; got != want {
		t.Errorf("before anything is rated: got %q, want %q", got, want)
	}
	track.Quality = &endpoint.TrackQuality{ExpectedPackets: 1_000, LostPackets: 13, RecentR: 93.2, RecentMOS: 4.41, WorstR: 59.6}
	if got, want := quality(track), "lost 0.25 s, jitter 4.2 ms, 1.3 % of packets lost, R 93 (MOS 4.4) in the last 10 s, 60 in the worst"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestStatusTellsOfErasuresThatWait(t *testing.T) {
	var out bytes.Buffer
	st := endpoint.Status{Owed: &recorder.Owed{
		Erasures: 2, Oldest: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC), Next: time.Date(2031, 11, 23, 10, 0, 0, 0, time.UTC), Text: "vault: s-1 is locked\x1b",
	}}
	printKept(&out, st)
	for _, want := range []string{"2 erasures wait for copies elsewhere, the oldest since 2026-11-23T10:00:00Z", "vault: s-1 is locked?", "2031-11-23T10:00:00Z"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got %q, want %q in it", &out, want)
		}
	}
	var snap console.Snapshot
	keptSnapshot(&snap, st)
	if snap.ErasuresWaiting != 2 || snap.ErasuresOldest <= 0 {
		t.Errorf("snapshot: %+v", snap)
	}
}
