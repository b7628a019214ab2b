package main

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/zaf/g711"
)

// tone is n packets of a tone, never silent for long.
func tone(n, hz int) []byte {
	octets := make([]byte, n*packetSamples)
	for i := range octets {
		octets[i] = g711.EncodeUlawFrame(int16(8000 * math.Sin(2*math.Pi*float64(hz*i)/8000)))
	}
	return octets
}

func TestWhatIsLostIsConcealedOrSilentAndAllElseIsAsItWas(t *testing.T) {
	w := network{share: 0.2, bursty: true}
	octets := [][]byte{tone(60, 200), tone(30, 150), tone(45, 170)}
	lost := make([][]bool, len(octets))
	for i := range octets {
		lost[i] = w.losses(len(octets[i])/packetSamples, uint64(i))
	}
	heard, err := play(t.Context(), octets, lost)
	if err != nil {
		t.Fatal(err)
	}
	for fill, all := range heard {
		for i, pcm := range all {
			if err := check(pcm, octets[i], lost[i], fill); err != nil {
				t.Errorf("line %d: %v", i, err)
			}
			const history = 4 // packets that came, for concealment to go on from
			n := history + slices.Index(lost[i][history:], true)
			middle := n*packetSamples + packetSamples/4 // at its edges the up-sampler hears what is beside the hole
			hole := pcm[samplesBytes*middle:][:samplesBytes*packetSamples/2]
			if sound := strings.Trim(string(hole), "\x00") != ""; sound != (fill == fillConcealed) {
				t.Errorf("line %d, %s: sound in the hole of packet %d: %v", i, fill, n, sound)
			}
		}
	}
	if len(heard) != 2 {
		t.Errorf("%d fills, want 2", len(heard))
	}
}

func TestCheckSeesWhatIsWrong(t *testing.T) {
	octets, lost := tone(3, 200), []bool{false, true, false}
	pcm := make([]byte, samplesBytes*len(octets))
	for n, o := range octets {
		if v := g711.DecodeUlawFrame(o); !lost[n/packetSamples] {
			pcm[samplesBytes*n], pcm[samplesBytes*n+1] = byte(v), byte(v>>8)
		}
	}
	if err := check(pcm, octets, lost, fillSilent); err != nil {
		t.Error(err)
	}
	if err := check(pcm[samplesBytes:], octets, lost, fillConcealed); err == nil {
		t.Error("one sample less: nil, want an error")
	}
	for n, bad := range map[int]bool{5: true, packetSamples + 5: false, 2*packetSamples + 5: true} {
		wrong := slices.Clone(pcm)
		wrong[samplesBytes*n] ^= 0x10
		if err := check(wrong, octets, lost, fillConcealed); (err != nil) != bad {
			t.Errorf("sample %d wrong: %v, want an error: %v", n, err, bad)
		}
		if err := check(wrong, octets, lost, fillSilent); err == nil {
			t.Errorf("sample %d wrong: nil, want an error", n)
		}
	}
}

func TestLossesAreAsOftenAndAsLongAsAskedFor(t *testing.T) {
	const n = 200_000
	for _, w := range networks() {
		lost := w.losses(n, 7)
		count, runs := 0, 0
		for i, gone := range lost {
			if gone {
				count++
				if !lost[i-1] {
					runs++
				}
			}
		}
		if share := float64(count) / n; math.Abs(share-w.share) > 0.1*w.share {
			t.Errorf("%s: %.4f are lost, want %.2f", w.name, share, w.share)
		}
		if mean := float64(count) / float64(max(1, runs)); w.bursty && math.Abs(mean-2) > 0.1 {
			t.Errorf("%s: a burst is %.2f packets long, want 2", w.name, mean)
		}
		if !slices.Equal(lost, w.losses(n, 7)) {
			t.Errorf("%s: the same seed gives other losses", w.name)
		}
	}
	if lost := (network{share: 1}).losses(10, 1); lost[0] || lost[9] || !lost[1] {
		t.Errorf("all lost: got %v, want the first and the last not", lost)
	}
}
