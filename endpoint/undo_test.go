package endpoint

import (
	"net/netip"
	"sync"
	"testing"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/sip/offer"
)

// onEngine is a leg of a call with a timeline of its own, and no dialog.
func onEngine(t *testing.T) *leg {
	t.Helper()
	engine, err := media.New(media.Config{ListenIP: netip.MustParseAddr("127.0.0.1")})
	if err != nil {
		t.Fatal(err)
	}
	line, err := engine.NewTimeline(call.Info{ID: "undo"})
	if err != nil {
		t.Fatal(err)
	}
	return &leg{
		call: &Call{e: &Endpoint{engine: engine}, timeline: line}, part: &part{n: 1, stereo: true}, tracks: map[int]*media.Track{},
		held: map[int]bool{}, oneWay: map[int]bool{}, party: func(offer.Stream) call.Party { return call.Party{} },
	}
}

func audio(line int) offer.Stream {
	return offer.Stream{
		Line: line, Remote: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(40000+2*line)), Theirs: offer.SendRecv,
		Payloads: []offer.Payload{{Codec: offer.PCMU}},
	}
}

func TestAnExchangeThatCameToNothingLeavesNoTrack(t *testing.T) {
	l := onEngine(t)
	_, commit, _, err := l.Prepare([]offer.Stream{audio(0)})
	if err != nil {
		t.Fatal(err)
	}
	commit()
	want := func(when string) {
		t.Helper()
		if n, all := len(l.lines()), len(l.call.states()); n != 1 || all != 1 {
			t.Errorf("%s: the leg has %d tracks, the call %d; want 1", when, n, all)
		}
	}
	want("agreed")
	bad := audio(2)
	bad.RecvKey = &offer.Key{} // opens nothing, so the second new line fails when the first is open
	if _, _, _, err := l.Prepare([]offer.Stream{audio(0), audio(1), bad}); err == nil {
		t.Fatal("a key without octets was taken")
	}
	want("refused")
	_, _, undo, err := l.Prepare([]offer.Stream{audio(0), audio(1)})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { // as the call's own goroutine does when a part ends: -race sees it
		for range 1000 {
			_ = l.lines()
		}
	})
	undo()
	wg.Wait()
	want("undone")
}
