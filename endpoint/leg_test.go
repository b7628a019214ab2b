package endpoint

import (
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

func TestAFreshLegIsNotSilentForAsLongAsTheEngineRuns(t *testing.T) {
	engine, err := media.New(media.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for engine.Now() < 20*time.Millisecond {
		<-time.After(time.Millisecond)
	}
	l := &leg{call: &Call{e: &Endpoint{engine: engine}}, born: engine.Now(), tracks: map[int]*media.Track{}}
	if s := l.Silence(); s > 10*time.Millisecond {
		t.Errorf("silence: got %v for a leg that was just made", s)
	}
}

func TestNoACKOfACallThatHasEndedIsAHangup(t *testing.T) {
	for _, tc := range []struct {
		cause, want call.Code
		shown       bool
	}{
		{call.CodeNoACK, call.CodeHangup, false},
		{call.CodeNoACK, call.CodeNoACK, true},
		{call.CodeFlowLost, call.CodeFlowLost, false},
	} {
		if got := overtaken(call.Cause{Code: tc.cause}, tc.shown); got.Code != tc.want {
			t.Errorf("%s, shown %v: got %v, want %s", tc.cause, tc.shown, got, tc.want)
		}
	}
}

// A stranger who knows the Call-ID of a live call must not become a leg of it.
func TestCallIDOfALiveCallMakesACallOfItsOwn(t *testing.T) {
	e := &Endpoint{calls: map[string]*Call{}}
	info := call.Info{ID: "a84b4c76e66710@pc33"}
	first, mine := e.claim(nil, info, true)
	if !mine || first.id != info.ID {
		t.Fatalf("first: mine %v, id %q; want its Call-ID", mine, first.id)
	}
	for _, want := range []string{info.ID + "-2", info.ID + "-3"} {
		if c, mine := e.claim(nil, info, true); !mine || c == first || c.id != want {
			t.Errorf("another: mine %v, id %q; want %q", mine, c.id, want)
		}
	}
	if c, mine := e.claim(nil, info, false); mine || c != first {
		t.Errorf("a leg that belongs to it: mine %v, id %q", mine, c.id)
	}
}
