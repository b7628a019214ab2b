package main

import (
	"testing"

	"github.com/earshot/earshot/endpoint"
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
