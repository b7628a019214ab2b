package media

import (
	"net/netip"
	"testing"
	"time"
)

// TestAFloodedPortIsReadAgainSoon: at the pace of files the socket's buffer would overflow, and the call's own packets with it.
func TestAFloodedPortIsReadAgainSoon(t *testing.T) {
	r := newRig(t, Config{SlowSweep: 100 * ms}).commit(plainParams())
	stranger := netip.MustParseAddrPort("198.51.100.7:6000")
	in := stream(testSSRC, 100, 5000, 110*ms, 50)
	for range 3 * drainBatches * batchSize {
		in = append(in, letter{at: 205 * ms, octets: spec{ssrc: 9, n: 160}.marshal(), from: stranger})
	}
	in = append(in, letter{at: 206 * ms, octets: spec{ssrc: testSSRC, seq: 150, ts: 5000 + 50*160, n: 160}.marshal()})
	r.send(in...).until(20 * ms)
	r.line.live.seats = []*seat{{sink: &idleSink{}, pace: time.Second, coded: true}} // a file
	r.line.live.need()
	r.until(200 * ms)
	if got := r.s.next(); got != 100*ms {
		t.Fatalf("in peace the next sweep waits %v, want 100ms", got)
	}
	sweeps := 0
	for r.until(r.now + 20*ms); r.s.next() == floodPause; r.until(r.now + 20*ms) {
		sweeps++
	}
	if got := r.s.next(); sweeps < 3 || sweeps > 4 || got != 100*ms {
		t.Errorf("%d sweeps with more behind them, then one of %v; want 3 or 4, then 100ms", sweeps, got)
	}
}

func TestWhatTheKernelDropsIsToldWhileThePortIsOpen(t *testing.T) {
	r := newRig(t, Config{}).commit(plainParams()).send(stream(testSSRC, 100, 5000, 100*ms, 50)...).until(200 * ms)
	for _, fell := range []int64{0, 7, 7, 9} {
		r.port.fell = fell
		r.until(r.now + 40*time.Millisecond)
		if got := r.e.Totals().KernelDropPackets; got != fell {
			t.Errorf("got %d, want %d", got, fell)
		}
	}
	r.close()
	if got := r.e.Totals().KernelDropPackets; got != 9 {
		t.Errorf("after the call: got %d, want 9", got)
	}
}
