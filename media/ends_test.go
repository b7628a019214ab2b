package media

import (
	"net/netip"
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

// TestMakingRoomEndsNothingUnread: a flood fills the intake while the ports are gone through, and the timelines take their turn early; one whose
// ports are not read yet is not ended then.
func TestMakingRoomEndsNothingUnread(t *testing.T) {
	r := newRig(t, Config{SlowSweep: 200 * ms}).commit(plainParams())
	tracks, ports := []*Track{r.track}, []*fakePort{r.port}
	for i := range 10 {
		k, p := neighbour(t, r, string(rune('a'+i)))
		tracks, ports = append(tracks, k), append(ports, p)
	}
	last := len(ports) - 1
	for i, p := range ports {
		if i == last {
			p.queue = stream(7, 1, 0, 520*ms, 5)
		} else { // each has as much as is read in one sweep
			for range drainBatches * batchSize {
				p.queue = append(p.queue, letter{at: 602 * ms, octets: make([]byte, datagramOctets)})
			}
		}
		for j := range p.queue {
			p.queue[j].from = wire
		}
	}
	r.until(580 * ms)
	for _, k := range tracks { // so that they have their turn now, and the next in 200 ms
		k.timeline.Post(call.Event{Type: call.EventMaskOff})
	}
	r.until(600 * ms)
	tracks[last].timeline.Close(call.Cause{Code: call.CodeHangup})
	for _, p := range ports {
		p.now = 605 * ms
	}
	r.s.sweep(r.e.start.Add(605 * ms))
	if got := tracks[last].live.state.Counts.ReceivedSamples; got != 5*160 || ports[last].closed != 1 {
		t.Errorf("%d samples, port closed %d times, want 800 and once", got, ports[last].closed)
	}
}

// TestAnEndAskedForInASweepIsOfTheNext: what comes between the read of the call's port and the end is read first.
func TestAnEndAskedForInASweepIsOfTheNext(t *testing.T) {
	r := newRig(t, Config{}).commit(plainParams())
	k, port := neighbour(t, r, "a")
	port.queue = stream(7, 1, 0, 100*ms, 5)
	for i := range port.queue {
		port.queue[i].from = wire
	}
	r.until(100 * ms)
	k.timeline.Close(call.Cause{Code: call.CodeHangup})
	r.s.setClock(r.e.start.Add(110 * ms))
	port.now = 110 * ms
	r.s.readPorts(true)
	r.s.takePosts(false) // as a stranger's packet on a shared port does
	r.s.turns(false)
	port.now = 200 * ms
	r.s.sweep(r.e.start.Add(200 * ms))
	if got := k.live.state.Counts.ReceivedSamples; got != 5*160 || port.closed != 1 {
		t.Errorf("%d samples, port closed %d times, want 800 and once", got, port.closed)
	}
}

// TestWhatLeavesTakesAlongWhatHasCome: a sink that is detached, and a part of the call that a track leaves, have all that was read by then.
func TestWhatLeavesTakesAlongWhatHasCome(t *testing.T) {
	r := newRig(t, Config{SlowSweep: 200 * ms}).commit(plainParams()).send(stream(7, 1, 0, 100*ms, 15)...)
	var first samplesSink
	detach := r.line.Attach(&first)
	r.until(200 * ms)
	r.track.Move(2, call.Party{ID: "p2"})
	detach(call.Cause{Code: call.CodeReleased})
	r.port.now, r.now = 300*ms, 300*ms
	r.s.sweep(r.e.start.Add(300 * ms))
	if got := r.track.live.state.From; got != 11*160 { // none is missing, so none waits
		t.Errorf("the track is part 2's from %d, want %d", got, 11*160)
	}
	if first != 11*160 {
		t.Errorf("the sink got %d samples, want %d", first, 11*160)
	}
	r.until(500 * ms).close()
}

// samplesSink counts samples.
type samplesSink int64

func (n *samplesSink) Write(b *Batch) {
	for i := range b.Frames {
		*n += samplesSink(b.Frames[i].Samples)
	}
}

func (n *samplesSink) End(call.Cause) {}

// TestAnotherAgreementDecidesNothingUnread: a turn between two slow sweeps does not take for missing what waits in another track's socket.
func TestAnotherAgreementDecidesNothingUnread(t *testing.T) {
	for name, overtaken := range map[string]int{"the first": 0, "one of the others": 1} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Config{SlowSweep: 200 * ms}).commit(plainParams())
			packets := stream(7, 1, 0, 1000*ms, 10)
			packets[overtaken].at = packets[overtaken+1].at + 25*ms
			r.send(packets...).until(packets[overtaken+1].at)
			other, _ := r.open()
			commit, _, err := other.Prepare(plainParams())
			if err != nil {
				t.Fatal(err)
			}
			commit()
			r.port.now = 1190 * ms
			r.s.attend(r.e.start.Add(r.port.now))
			r.now, r.port.now = 1200*ms, 1200*ms
			r.s.sweep(r.e.start.Add(r.now))
			r.close()
			if c := r.state().Counts; c.ReceivedSamples != 1600 || c.LatePackets != 0 || c.TooLatePackets != 0 {
				t.Errorf("got %d samples, %d packets late, %d too late; want 1600, none late", c.ReceivedSamples, c.LatePackets, c.TooLatePackets)
			}
		})
	}
}

// TestAFloodDoesNotCutOffTheEnd: what a sweep leaves in the socket is read before the call ends.
func TestAFloodDoesNotCutOffTheEnd(t *testing.T) {
	r := newRig(t, Config{SlowSweep: 200 * ms}).commit(plainParams()).send(stream(7, 1, 0, 500*ms, 10)...).until(600 * ms)
	for range 3 * drainBatches * batchSize {
		r.send(letter{at: 690 * ms, octets: spec{ssrc: 1, n: 160}.marshal(), from: netip.MustParseAddrPort("203.0.113.66:4000")})
	}
	r.send(stream(7, 11, 1600, 700*ms, 5)...)
	r.now = 800 * ms // a slow sweep
	done := r.line.Close(call.Cause{Code: call.CodeHangup})
	for range 10 {
		r.until(r.now + 100*ms)
	}
	<-done
	if got := r.state().Counts.ReceivedSamples; got != 15*160 {
		t.Errorf("%d samples, want %d", got, 15*160)
	}
}

// TestAFloodDoesNotKeepACallFromItsEnd: the wait for an empty socket is bounded.
func TestAFloodDoesNotKeepACallFromItsEnd(t *testing.T) {
	r := newRig(t, Config{SlowSweep: 200 * ms}).commit(plainParams()).send(stream(7, 1, 0, 500*ms, 10)...).until(700 * ms)
	for range 2 * floodRounds * drainBatches * batchSize {
		r.port.queue = append(r.port.queue, letter{at: 710 * ms, octets: make([]byte, 20), from: netip.MustParseAddrPort("203.0.113.66:4000")})
	}
	done := r.line.Close(call.Cause{Code: call.CodeHangup})
	r.until(r.now + (floodRounds+2)*r.e.cfg.Sweep)
	select {
	case <-done:
	default:
		t.Error("the call goes on as long as the flood")
	}
}
