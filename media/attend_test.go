package media

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot/earshot/call"
)

// TestFirstPacketGoesOutWithoutWaitingForTheSweep: RingCentral sends nothing before it has our first packet.
func TestFirstPacketGoesOutWithoutWaitingForTheSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{Sweep: 200 * ms})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.e.Run(ctx) }()
		time.Sleep(210 * ms) // a sweep has just been
		r.commit(plainParams())
		at := time.Now()
		synctest.Wait()
		if n := len(r.port.sent); n != 1 || !time.Now().Equal(at) {
			t.Errorf("packets sent at the commit: got %d after %v, want 1 at once", n, time.Since(at))
		}
		stop()
		<-done
	})
}

// TestAnAgreementLeavesOtherTimelinesAlone: they are read at their sweep.
func TestAnAgreementLeavesOtherTimelinesAlone(t *testing.T) {
	r := newRig(t, Config{}).commit(plainParams())
	r.send(stream(1, 1, 0, 100*ms, 5)...).until(100 * ms)
	other, err := r.e.NewTimeline(call.Info{ID: "other"})
	if err != nil {
		t.Fatal(err)
	}
	port := &fakePort{start: r.e.start}
	k := &Track{timeline: other, id: 1, live: newLiveTrack(other.live, Plan{Leg: "leg"}, ownPort(portPair{rtp: port}))}
	r.s.mail.put(post{kind: postOpen, line: other.live, track: k.live})
	commit, _, err := k.Prepare(plainParams())
	if err != nil {
		t.Fatal(err)
	}
	commit()
	r.port.now = 150 * ms // three packets are there to be read
	before := len(r.port.queue)
	r.s.attend(r.e.start.Add(150 * ms))
	if len(port.sent) != 1 || len(r.port.queue) != before {
		t.Errorf("got %d packets sent, %d left to read of %d, want 1 sent and all left", len(port.sent), len(r.port.queue), before)
	}
	r.until(time.Second).close()
	r.expect("r800")
}

// TestAClockStepSeenByAnAgreementReadsAllTracks: the sweep that sees the step is the only one that can tell older stamps.
func TestAClockStepSeenByAnAgreementReadsAllTracks(t *testing.T) {
	r := newRig(t, Config{}).commit(plainParams())
	r.send(stream(1, 1, 0, 100*ms, 20)...).until(200 * ms)
	r.port.now = 215 * ms
	r.port.queue[0].at = 210 * ms
	r.s.clock.wall += int64(time.Second) // the wall clock is to be seen stepping back
	r.s.attend(r.e.start.Add(215 * ms))
	if first := r.port.queue[0].at; first <= 215*ms {
		t.Errorf("a packet of %v is left to read, want none: what it came at can't be told later", first)
	}
	r.until(2 * time.Second).close()
	r.expect("r3200")
}
