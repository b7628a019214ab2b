package media

import (
	"testing"
	"time"

	"github.com/earshot/earshot/call"
)

// neighbour is another timeline on the rig's shard, with a port of its own.
func neighbour(t *testing.T, r *rig, id string) (*Track, *fakePort) {
	t.Helper()
	l, err := r.e.NewTimeline(call.Info{ID: id})
	if err != nil {
		t.Fatal(err)
	}
	port := &fakePort{start: r.e.start}
	k := &Track{timeline: l, id: 1, live: newLiveTrack(l.live, Plan{Leg: id}, ownPort(portPair{rtp: port}))}
	r.s.mail.put(post{kind: postOpen, line: l.live, track: k.live})
	commit, _, err := k.Prepare(plainParams())
	if err != nil {
		t.Fatal(err)
	}
	commit()
	return k, port
}

// TestCallsThatEndTogetherLoseNothing: each closes its port while the ports are gone through.
func TestCallsThatEndTogetherLoseNothing(t *testing.T) {
	r := newRig(t, Config{}).commit(plainParams())
	var tracks []*Track
	var ports []*fakePort
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		k, p := neighbour(t, r, id)
		p.queue = stream(7, 1, 0, 100*ms, 5)
		for i := range p.queue {
			p.queue[i].from = wire
		}
		tracks, ports = append(tracks, k), append(ports, p)
	}
	r.until(100 * ms)
	for i, k := range tracks {
		k.timeline.Close(call.Cause{Code: call.CodeHangup})
		ports[i].now = 200 * ms
	}
	r.s.sweep(r.e.start.Add(200 * ms))
	for i, k := range tracks {
		if got := k.live.state.Counts.ReceivedSamples; got != 5*160 || ports[i].closed != 1 {
			t.Errorf("call %d: %d samples, port closed %d times, want 800 and once", i, got, ports[i].closed)
		}
	}
	r.close()
}

// TestAnEndWaitsForTheSweep: another's agreement does not cut off what has come and is not read.
func TestAnEndWaitsForTheSweep(t *testing.T) {
	r := newRig(t, Config{}).commit(plainParams())
	k, port := neighbour(t, r, "a")
	port.queue = stream(7, 1, 0, 100*ms, 5)
	for i := range port.queue {
		port.queue[i].from = wire
	}
	r.until(100 * ms)
	k.timeline.Close(call.Cause{Code: call.CodeHangup})
	port.now = 200 * ms
	r.s.attend(r.e.start.Add(190 * ms))
	r.s.sweep(r.e.start.Add(200 * ms))
	if got := k.live.state.Counts.ReceivedSamples; got != 5*160 {
		t.Errorf("%d samples, want 800", got)
	}
	r.until(time.Second).close()
}
