package stream

import (
	"fmt"
	"slices"
	"testing"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

// TestWordsOfBeforeATrackIsPlacedHaveItsPlace: also those of connections that ended before that, each on its own time, and the call is not told before that nothing comes any more.
// Of a track that is never placed nobody is told where its words lie, so nobody is told them.
func TestWordsOfBeforeATrackIsPlacedHaveItsPlace(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(h *hearing)
		want []string
		n    Answers
	}{
		"it is placed": {
			end:  func(h *hearing) { h.place(&media.TrackState{Placed: true, Offset: 4000}) },
			want: []string{"one. 4400 400", "gue 5600 400", "gue. 5600 400", "two. 7200 800"}, n: Answers{Partial: 1, Final: 3, Words: 3, Repeated: 1, Revoked: 1},
		},
		"it ends": {end: (*hearing).shut, n: Answers{Refused: 5, Repeated: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			ended := false
			o := &outlook{hub: &Hub{}, consumer: &Consumer{Name: "asr", Answers: answersJSON, Rate: 8000}, channels: 1, notify: func(e call.Event) {
				dot := map[any]string{true: "."}[e.Facts["final"]]
				got = append(got, fmt.Sprintf("%v%s %v %v", e.Facts["text"], dot, e.Facts["from_samples"], e.Facts["samples"]))
			}}
			o.over = &ending{tell: func() { ended = true }}
			o.over.left.Store(1)
			h := newHearing(o, call.Info{}, &media.TrackState{})
			o.hearing = h
			connection := func(from int64, said ...string) {
				h.begin()
				h.give(from, 2*16000)
				for _, s := range said {
					h.hear([]byte(s))
				}
				h.end()
			}
			connection(0, `{"text":"one","start":0.05,"end":0.1}`, `{"text":"gue","start":0.2,"end":0.25,"final":false}`)
			connection(400, `{"text":"one","start":0,"end":0.05}`, `{"text":"two","start":0.35,"end":0.45}`, `{"text":"secret","start":1.5,"end":1.6}`)
			h.revoke(12400, 800)
			o.ended()
			if len(got) > 0 || ended {
				t.Fatalf("told %v before the track was placed, and that nothing comes any more: %v", got, ended)
			}
			c.end(h)
			if !slices.Equal(got, c.want) || !ended {
				t.Errorf("got %q, and the end: %v, want %q", got, ended, c.want)
			}
			if n := o.hub.Totals().Answers; n != c.n {
				t.Errorf("counted %+v, want %+v", n, c.n)
			}
		})
	}
}
