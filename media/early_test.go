package media

import "testing"

// TestWhatWaitsForAKeyThatNeverComesIsLetGo: the track of a late offer that was cancelled, on a shared port, where what comes doesn't
// wait in the kernel. It was nobody's, and takes no room any more.
func TestWhatWaitsForAKeyThatNeverComesIsLetGo(t *testing.T) {
	p := plainParams()
	p.SendKey = testKey(SuiteAESCM128SHA1x80, 1)
	r := newRig(t, Config{}).commit(p)
	for i, l := range stream(1, 1, 0, 100*ms, 20) {
		r.s.intake.add(r.track.live, l.octets, wire, l.at, formMedia)
		if i < 10 {
			r.until(l.at)
		}
	}
	r.close()
	if c := r.state().Counts; c.StrayPackets != 20 || c.Packets != 0 {
		t.Errorf("counts: got %+v, want 20 strays", c)
	}
	r.s.nothingKept(t)
}
