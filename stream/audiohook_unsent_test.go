package stream_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/stream"
)

// TestWhatAServerPausedBeforeItsConnectionBrokeIsTold, where the next session is not given it; what that is given is not told as lost.
func TestWhatAServerPausedBeforeItsConnectionBrokeIsTold(t *testing.T) {
	for name, catchUp := range map[string]bool{"live": false, "catching up": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := listenHook(t)
			s.plays = func(n int, k *hookSession, _ string) { k.startPaused = n == 1 }
			c := hookConsumer(s.url, stream.PerTrack)
			c.CatchUp, c.Buffer = catchUp, time.Minute // packets come many times as fast as they are spoken: nothing is to fall over
			h, stop := start(t, c)
			stream.Patient(h)
			var told record
			var a tape
			sink := h.Open(info(), stream.Options{Notify: told.notify, Archive: &a})
			packets := int64(0)
			until := func(what string, cond func(all []*hookSession) bool) {
				waitFor(t, what, func() (yes bool) {
					if s.do(func(all []*hookSession) { yes = cond(all) }); !yes {
						feed(sink, 1, packets, packets+1)
						packets++
						a.mu.Lock()
						a.packets = packets
						a.mu.Unlock()
					}
					return yes
				})
			}
			until("a second of the pause", func(all []*hookSession) bool {
				return packets > 60 && len(all) == 1 && all[0].paused == 0 && h.Live()[0].Lag < 200*time.Millisecond
			})
			s.do(func(all []*hookSession) { all[0].say("closed", "{}") }) // out of turn
			until("the second session is given audio", func(all []*hookSession) bool { return len(all) == 2 && all[1].frames > 2 })
			a.mu.Lock()
			a.packets += 20
			a.mu.Unlock()
			sink.End(call.Cause{})
			waitFor(t, "the end", func() bool { return told.reasons() == "failed call_ended" })
			stop()
			want := mulaw(wanted(packets*ptime, 1))
			from, to := s.sessions[1].began, int64(len(want))
			if given(s.sessions[0]) > 0 || s.sessions[1].at() != to || catchUp != (from == 0) {
				t.Fatalf("the second session has %d to %d of %d", from, s.sessions[1].at(), to)
			}
			lost := int64(0)
			for _, e := range told.of(call.EventStreamDropped) {
				lost += e.Facts["samples"].(int64)
				if e.Pos+e.Facts["samples"].(int64) > to-given(s.sessions[1]) {
					t.Errorf("told as lost: %v, and it was given", e.Facts)
				}
			}
			for _, p := range s.sessions[1].spans {
				if p.octets != nil && !bytes.Equal(p.octets, want[p.from:p.to]) {
					t.Errorf("%d to %d: other audio", p.from, p.to)
				}
			}
			if n := given(s.sessions[1]); n+lost != to {
				t.Errorf("given %d samples and told of %d as lost, want %d in all", n, lost, to)
			}
		})
	}
}

// given is how many samples a session was given.
func given(k *hookSession) (samples int64) {
	for _, p := range k.spans {
		if p.octets != nil {
			samples += p.to - p.from
		}
	}
	return samples
}
