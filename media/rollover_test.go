package media

import (
	"slices"
	"testing"
	"time"
)

// TestJoinedLateLosesNothing: a stream that runs already has a roll-over counter that nobody tells (RFC 3711 section 3.3.1): the
// packets that came before it was found are kept.
func TestJoinedLateLosesNothing(t *testing.T) {
	for _, seq := range []uint16{100, 65533} {
		for roc := range uint32(rolloverTries + 1) {
			k := testKey(SuiteAESCM128SHA1x80, 1)
			r := newRig(t, Config{}).commit(srtpParams(k, testKey(SuiteAESCM128SHA1x80, 2)))
			r.send(sealed(t, k, roc, stream(1, seq, 0, 100*ms, 50))...).until(2 * time.Second).close()
			r.expect("r8000")
			if c := r.state().Counts; c.AuthFailedPackets != 0 || c.LostPackets != 0 {
				t.Errorf("counter %d: got %+v", roc, c)
			}
		}
	}
}

// TestRekeyKeepsTheRollover: RFC 3711 section 3.3.1: a re-key resets no counter; some senders do.
func TestRekeyKeepsTheRollover(t *testing.T) {
	send := testKey(SuiteAESCM128SHA1x80, 2)
	for _, c := range []struct {
		name     string
		before   uint32
		seq      uint16
		n        int
		after    uint32
		pause    time.Duration // of the sender at the re-key
		unused   bool          // one key more, that nothing was sent with
		oldAfter int           // packets of the old key that come after the re-key
	}{
		{name: "goes on", before: 2, seq: 100, n: 50, after: 2},
		{name: "goes on at 40", before: 40, seq: 100, n: 50, after: 40},
		{name: "begins anew", before: 2, seq: 100, n: 50, after: 0},
		{name: "wraps at the re-key", before: 40, seq: 65486, n: 50, after: 41},
		{name: "goes on after a hold", before: 40, seq: 100, n: 50, after: 40, pause: 20 * time.Second},
		{name: "two keys in a hold", before: 40, seq: 100, n: 50, after: 40, pause: 20 * time.Second, unused: true},
		{name: "old ones in flight", before: 40, seq: 100, n: 50, after: 40, oldAfter: 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := testKey(SuiteAESCM128SHA1x80, 1), testKey(SuiteAEADAES256GCM, 3)
			r := newRig(t, Config{})
			r.commit(srtpParams(a, send)).until(20 * ms)
			r.track.live.agree.recv.setCounter(1, c.before, c.seq) // joined long ago: the counter is known
			old := sealed(t, a, c.before, stream(1, c.seq, 0, 100*ms, c.n))
			r.send(old...).until(100*ms + time.Duration(c.n-c.oldAfter)*20*ms)
			if c.unused {
				r.commit(srtpParams(testKey(SuiteAESCM128SHA1x80, 7), send)).until(r.now + 3*time.Second)
			}
			r.commit(srtpParams(b, send))
			at := 100*ms + time.Duration(c.n)*20*ms + c.pause
			then := stream(1, c.seq+uint16(c.n), uint32(160*c.n)+uint32(samplesIn(c.pause)), at, 50)
			r.send(sealed(t, b, c.after, then)...).until(at + 3*time.Second).close()
			if s := r.state(); s.Counts.ReceivedSamples != 16000 || s.Counts.AuthFailedPackets != 0 || s.Counts.LostPackets != 0 {
				t.Errorf("got %+v", s.Counts)
			}
		})
	}
}

// TestForgeriesDontHinderTheRollover: packets of other sources that fail cost little and keep nobody from being found.
func TestForgeriesDontHinderTheRollover(t *testing.T) {
	k, wrong := testKey(SuiteAESCM128SHA1x80, 1), testKey(SuiteAESCM128SHA1x80, 9)
	in := sealed(t, k, 6, stream(1, 100, 0, 500*ms, 200))
	for i, l := range sealed(t, wrong, 0, stream(77, 1, 0, 105*ms, 220)) {
		in = append(in, l)
		if i%3 == 0 {
			x := spec{ssrc: uint32(1000 + i), seq: 9, ts: 9, n: 170}.marshal()
			in = append(in, letter{at: l.at + 2*ms, octets: x})
		}
	}
	r := newRig(t, Config{}).commit(srtpParams(k, testKey(SuiteAESCM128SHA1x80, 2))).send(in...).until(7 * time.Second).close()
	s := r.state()
	if s.Counts.ReceivedSamples != 32000 || s.Counts.AuthFailedPackets != 220+74 {
		t.Errorf("got %+v", s.Counts)
	}
}

// TestWhatIsNeverOpenedIsCounted: what was kept for a counter that isn't found has failed.
func TestWhatIsNeverOpenedIsCounted(t *testing.T) {
	k := testKey(SuiteAESCM128SHA1x80, 1)
	r := newRig(t, Config{}).commit(srtpParams(k, testKey(SuiteAESCM128SHA1x80, 2)))
	r.send(sealed(t, k, 1000, stream(1, 100, 0, 100*ms, 60))...).until(1000 * ms)
	if got := r.state().Counts.AuthFailedPackets; got < 46-keptPackets || got > 46 {
		t.Errorf("meanwhile: got %d of 46", got)
	}
	r.until(4 * time.Second)
	if got := r.state().Counts.AuthFailedPackets; got != 60 {
		t.Errorf("auth failed: got %d, want 60", got)
	}
	free := len(r.s.pool.small) + len(r.s.pool.large)
	r.close()
	if got := len(r.s.pool.small) + len(r.s.pool.large); got != free || slices.Contains(r.s.pool.small, nil) {
		t.Errorf("slots: got %d free, want %d", got, free)
	}
}

// TestWhatWaitsForTheRolloverIsInPlace: a flood has used up the searches when the stream begins.
func TestWhatWaitsForTheRolloverIsInPlace(t *testing.T) {
	k := testKey(SuiteAESCM128SHA1x80, 1)
	in := sealed(t, k, 3, stream(1, 65534, 0, 103*ms, 50))
	for i := range 12 { // fewer than are kept
		in = append(in, letter{at: 100 * ms, octets: spec{ssrc: uint32(1000 + i), seq: 9, ts: 9, n: 170}.marshal()})
	}
	r := newRig(t, Config{}).commit(srtpParams(k, testKey(SuiteAESCM128SHA1x80, 2))).send(in...).until(3 * time.Second).close()
	r.expect("r8000")
	if c := r.state().Counts; c.AuthFailedPackets != 12 {
		t.Errorf("auth failed: got %d, want 12", c.AuthFailedPackets)
	}
}
