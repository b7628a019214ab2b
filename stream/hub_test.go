package stream_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/stream"
)

func TestWrongConfigurationIsToldAtOnce(t *testing.T) {
	for want, c := range map[string]stream.Consumer{
		`stream[0]: command: got none`:                            {},
		`"no-such-program": executable file not found`:            {Command: []string{"no-such-program"}},
		`type: got "pigeon", want exec, unix, tcp`:                {Command: []string{"cat"}, Type: "pigeon"},
		`per: got "leg", want track or call`:                      {Command: []string{"cat"}, Per: "leg"},
		`format: got "wav", want one of [s16le mulaw alaw f32le]`: {Command: []string{"cat"}, Format: "wav"},
		`rate: got 44100, want 8000, 16000 or 24000`:              {Command: []string{"cat"}, Rate: 44100},
		`restart: got "maybe", want never`:                        {Command: []string{"cat"}, Restart: "maybe"},
		`buffer: got 1h0m0s, want 100ms to 1m0s`:                  {Command: []string{"cat"}, Buffer: time.Hour},
		`message: got 10ms, want 20ms to 200ms`:                   {Command: []string{"cat"}, Message: 10 * time.Millisecond},
		`message: got 1s, want 20ms to 200ms`:                     {Command: []string{"cat"}, Message: time.Second},
		`message: got 120ms, want at most the buffer, which`:      {Command: []string{"cat"}, Message: 120 * time.Millisecond, Buffer: 110 * time.Millisecond},
		`env: "CALL_ID": want a name without =, other than`:       {Command: []string{"cat"}, Env: map[string]string{"CALL_ID": "1"}},
		`command: "a\x00b": want no NUL`:                          {Command: []string{"cat", "a\x00b"}},
	} {
		if _, err := stream.New(stream.Config{Consumers: []stream.Consumer{c}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New(%+v): got %v, want ...%s...", c, err, want)
		}
	}
	_, err := stream.New(stream.Config{Consumers: []stream.Consumer{{Command: []string{"cat"}}, {Type: "x", Per: "y", Command: []string{"cat"}}}})
	if err == nil || strings.Count(err.Error(), "\n") != 1 || !strings.Contains(err.Error(), "stream[1]") {
		t.Errorf("two mistakes: got %v, want both of stream[1]", err)
	}
}

func TestAHubThatDoesNotRunRefusesAndForgets(t *testing.T) {
	h, err := stream.New(stream.Config{Consumers: []stream.Consumer{{Command: []string{"cat"}, Buffer: 100 * time.Millisecond}}})
	if err != nil {
		t.Fatal(err)
	}
	for range 300 {
		s := h.Open(call.Info{}, stream.Options{})
		feed(s, 1, 0, 2)
		s.End(call.Cause{})
	}
	if got := h.Totals(); got.Refused != 2*44 {
		t.Errorf("refused %d, want two batches of 44 calls", got.Refused)
	}
}

func TestWriteAllocatesNothing(t *testing.T) {
	for _, packets := range []int64{1, 5} { // in a batch
		h, err := stream.New(stream.Config{Consumers: []stream.Consumer{{Command: []string{"cat"}}, {Command: []string{"cat"}, Per: stream.PerCall}}})
		if err != nil {
			t.Fatal(err)
		}
		s, l := h.Open(info(), stream.Options{}), listener(t, stream.ListenConfig{})
		b := media.Batch{Zero: zero, Tracks: tracks()}
		i, alone := int64(0), false
		write := func() {
			b.Now = zero + time.Duration(i+packets)*20*time.Millisecond
			b.Frames = b.Frames[:0]
			for k := range 2 * packets {
				f := media.Frame{
					Track: media.TrackID(1 + k/packets), Kind: media.KindReceived, Samples: ptime, PCM: silence[:ptime], Pos: (i + k%packets) * ptime,
					Captured: b.Now,
				}
				if f.Track == 2 && alone {
					f.Kind, f.PCM = media.KindGap, nil
				}
				b.Frames = append(b.Frames, f)
			}
			i += packets
			s.Write(&b)
			l.Write(&b)
		}
		for range 100 {
			write()
		}
		for _, alone = range []bool{false, true} {
			if n := testing.AllocsPerRun(500, write); n != 0 {
				t.Errorf("%d packets a batch, one side pauses: %v: %v allocations a batch, want 0", packets, alone, n)
			}
		}
		s.End(call.Cause{})
		l.End(call.Cause{})
	}
}

var silence [ptime]int16

func TestACallIsAsPatientAsTheMostImpatientOfItsConsumers(t *testing.T) {
	for want, messages := range map[time.Duration][]time.Duration{
		0:                      {0, 20 * time.Millisecond},
		60 * time.Millisecond:  {60 * time.Millisecond, 200 * time.Millisecond},
		100 * time.Millisecond: {0},
		200 * time.Millisecond: {200 * time.Millisecond},
	} {
		var cfg stream.Config
		for _, m := range messages {
			cfg.Consumers = append(cfg.Consumers, stream.Consumer{Command: []string{"cat"}, Message: m})
		}
		h, err := stream.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		s := h.Open(call.Info{}, stream.Options{})
		if got := s.(media.Paced).Pace(); got != want {
			t.Errorf("messages of %v: batches may wait %v, want %v", messages, got, want)
		}
		s.End(call.Cause{})
	}
	if got := listener(t, stream.ListenConfig{}).Pace(); got != 0 {
		t.Errorf("a listener's batches may wait %v, want 0", got)
	}
	if got := listener(t, stream.ListenConfig{Message: 60 * time.Millisecond}).Pace(); got != 60*time.Millisecond {
		t.Errorf("a listener's batches may wait %v, want as long as its message", got)
	}
}

func TestReloadedConsumersAreThoseOfCallsToCome(t *testing.T) {
	dir := t.TempDir()
	into := func(name string) stream.Consumer {
		return stream.Consumer{Command: sh("cat >" + filepath.Join(dir, name) + "; : >" + filepath.Join(dir, name+".end")), Per: stream.PerCall}
	}
	h, _ := start(t, into("before"))
	first := h.Open(info(), stream.Options{})
	feed(first, 2, 0, 10)
	if err := h.Reload([]stream.Consumer{into("after"), {Command: []string{"no-such-program"}}}); err == nil {
		t.Error("a consumer that can't be started: got no error")
	}
	kept := h.Open(info(), stream.Options{})
	kept.End(call.Cause{})
	if err := h.Reload([]stream.Consumer{into("after")}); err != nil {
		t.Fatal(err)
	}
	feed(first, 2, 10, 20)
	first.End(call.Cause{})
	second := h.Open(info(), stream.Options{})
	feed(second, 2, 0, 20)
	second.End(call.Cause{})
	for _, name := range []string{"before", "after"} {
		waitFor(t, name+" has ended", func() bool {
			_, err := os.Stat(filepath.Join(dir, name+".end"))
			return err == nil
		})
		if got := read(t, filepath.Join(dir, name)); !bytes.Equal(got, wanted(20*ptime, 2, 1)) {
			t.Errorf("%s: %d bytes, want the call's %d", name, len(got), 20*ptime*4)
		}
	}
}

// TestNobodyIsLeftWaitingWhenRunEnds: who waits to be started then, or comes afterwards, is told, and what its consumer would have had is told as lost.
func TestNobodyIsLeftWaitingWhenRunEnds(t *testing.T) {
	const calls = 20 // of those that wait a Run whose context has ended begins each second one
	for name, fedBefore := range map[string]bool{"it waits": true, "it comes afterwards": false} {
		t.Run(name, func(t *testing.T) {
			h, err := stream.New(stream.Config{Consumers: []stream.Consumer{{Type: stream.TypeWebSocket, URL: "ws://127.0.0.1:1/", Answers: "json"}}})
			if err != nil {
				t.Fatal(err)
			}
			stream.Quicken(h)
			var told record
			var ended atomic.Int64
			var sinks []media.Sink
			for range calls {
				s := h.Open(info(), stream.Options{Notify: told.notify, Ended: func() { ended.Add(1) }})
				if fedBefore {
					feed(s, 1, 0, 1)
				}
				sinks = append(sinks, s)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := h.Run(ctx); err != nil {
				t.Fatal(err)
			}
			for _, s := range sinks {
				if !fedBefore {
					feed(s, 1, 0, 1)
				}
				s.End(call.Cause{})
			}
			lost := int64(0)
			for _, e := range told.of(call.EventStreamDropped) {
				lost += e.Facts["samples"].(int64)
			}
			if got := h.Totals(); ended.Load() != calls || got.Open != 0 || lost != calls*ptime || got.DroppedSamples != lost {
				t.Errorf("of %d calls %d were told of the end, %d consumers are open, %d samples told as lost of %d", calls, ended.Load(), got.Open, lost, got.DroppedSamples)
			}
		})
	}
}
