package stream_test

import (
	"testing"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/stream"
)

// TestAConsumerThatCouldNeverBeStartedIsToldWhatItLost: too many waited for it, to the call's end.
func TestAConsumerThatCouldNeverBeStartedIsToldWhatItLost(t *testing.T) {
	h, err := stream.New(stream.Config{Consumers: []stream.Consumer{{Type: stream.TypeWebSocket, URL: "ws://127.0.0.1:1/"}}})
	if err != nil {
		t.Fatal(err)
	}
	for h.Totals().Refused == 0 {
		feed(h.Open(info(), stream.Options{}), 1, 0, 1)
	}
	var told record
	s := h.Open(info(), stream.Options{Notify: told.notify})
	feed(s, 1, 0, 10)
	s.End(call.Cause{})
	lost := told.of(call.EventStreamDropped)
	if len(lost) != 1 || lost[0].Facts["samples"] != int64(10*ptime) || lost[0].Pos != 0 || h.Totals().DroppedSamples != 10*ptime {
		t.Errorf("told %v, and counted %d as lost; want %d from 0 on", lost, h.Totals().DroppedSamples, 10*ptime)
	}
	var none record
	h.Open(info(), stream.Options{Notify: none.notify}).End(call.Cause{})
	if n := len(none.of(call.EventStreamDropped)); n != 0 {
		t.Errorf("told %d times of audio that a call without any lost", n)
	}
}
