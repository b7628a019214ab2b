package media

import (
	"testing"
	"time"
)

// TestAMaskReachesNoFurtherBackThanIsKnown: of more holes than are remembered nobody knows any more what was heard between them. The answer tells, and
// the counts stay true.
func TestAMaskReachesNoFurtherBackThanIsKnown(t *testing.T) {
	r := newRig(t, Config{}).commit(plainParams())
	for i := range 300 { // 20 samples heard, 20 lost, 20 silent
		at := 100*ms + time.Duration(i)*15*ms/2
		r.send(letter{at: at, octets: spec{ssrc: 7, seq: uint16(2 * i), ts: uint32(60 * i), n: 20}.marshal()})
	}
	r.until(1800 * ms)
	applied := r.line.Hold(HolderPCI, 1*ms, "")
	r.until(1840 * ms)
	if a := <-applied; a.From <= 1000*ms || a.From > 1500*ms {
		t.Errorf("masked from %v, want what 128 holes reach back to: 64 times 7.5 ms from 1.8 s", a.From)
	}
	r.until(3000 * ms).close()
}
