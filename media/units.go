package media

import "time"

// sampleTime is one sample's length: 125 us, without remainder.
const sampleTime = time.Second / SampleRate

// samplesIn is the number of whole samples in d, rounded down also below zero.
func samplesIn(d time.Duration) int64 {
	n := int64(d / sampleTime)
	if d%sampleTime < 0 {
		n--
	}
	return n
}
