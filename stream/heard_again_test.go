package stream

import (
	"testing"

	"github.com/earshot/earshot/call"
)

// TestWordsThatAreHeardAgainAreToldOnce: a connection that catches up begins before the end of what the one before was given.
func TestWordsThatAreHeardAgainAreToldOnce(t *testing.T) {
	h := &Hub{}
	var got []any
	o := &outlook{hub: h, consumer: &Consumer{Name: "asr", Answers: answersJSON, Rate: 8000}, channels: 1, notify: func(e call.Event) {
		if e.Facts["final"] == true {
			got = append(got, e.Facts["text"])
		}
	}}
	x := newHearing(o, call.Info{}, nil)
	connection := func(from int64, said ...string) {
		x.begin()
		x.give(from, 2*80_000)
		for _, s := range said {
			x.hear([]byte(s))
		}
		x.end()
	}
	connection(0, `{"text":"one","start":0.5,"end":1}`, `{"text":"two","start":2,"end":3}`, `{"text":"thr","start":4,"end":4.5,"final":false}`)
	connection(8000, `{"text":"two","start":1.05,"end":2.05}`, `{"text":"three","start":3,"end":3.6}`, `{"text":"four","start":6,"end":7}`)
	want := []any{"one", "two", "thr", "three", "four"}
	if len(got) != len(want) || h.count.answersRepeated.Load() != 1 {
		t.Fatalf("told %v, and %d not again; want %v and 1", got, h.count.answersRepeated.Load(), want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("told %v, want %v", got, want)
		}
	}
}
