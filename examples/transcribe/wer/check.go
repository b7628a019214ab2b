package main

import (
	"encoding/binary"
	"fmt"

	"github.com/zaf/g711"
)

// check holds what a consumer heard against what was sent: all that came stands in its place, what was lost is silent or concealed, and never
// longer or shorter. Every second sample is one of 8000 Hz; those between are the up-sampler's.
func check(pcm, octets []byte, lost []bool, fill string) error {
	if len(pcm) != samplesBytes*len(octets) {
		return fmt.Errorf("%s: %d samples at 16000 Hz of %d at 8000 Hz", fill, len(pcm)/2, len(octets))
	}
	for n, o := range octets {
		want := g711.DecodeUlawFrame(o)
		if lost[n/packetSamples] {
			if fill != fillSilent {
				continue
			}
			want = 0
		}
		if got := int16(binary.LittleEndian.Uint16(pcm[samplesBytes*n:])); got != want {
			return fmt.Errorf("%s: sample %d: got %d, want %d", fill, n, got, want)
		}
	}
	return nil
}
