package endpoint_test

import (
	"testing"
	"time"

	"github.com/earshot/earshot/internal/ringsim"
)

func TestHoldAndResumeIsOnePartWhateverTheMediaDoes(t *testing.T) {
	for _, m := range []ringsim.HoldMedia{ringsim.HoldContinues, ringsim.HoldSilence, ringsim.HoldMusic, ringsim.HoldPause, ringsim.HoldInactive, ringsim.HoldSendonly} {
		t.Run("media "+string(m), func(t *testing.T) {
			t.Parallel()
			w := newLife(t, lifeSpec{switches: ringsim.Switches{HoldMedia: m}})
			c := w.start(ringsim.CallSpec{Agent: "108"})
			w.talk(c, 700*time.Millisecond)
			c.Hold()
			<-time.After(700 * time.Millisecond)
			c.Resume()
			w.talk(c, 700*time.Millisecond)
			w.hangUp(c)
			r := w.one(1, c)[0]
			wantState(t, r, "recorded", "hangup")
			wantGaps(t, r) // the streams went on, or were silent: the dialogs stayed
			wantEvent(t, r, `"type":"agent_holds"`)
			wantEvent(t, r, `"type":"agent_talks"`)
			if m == ringsim.HoldInactive || m == ringsim.HoldSendonly {
				wantEvent(t, r, `"type":"hold"`)
				wantEvent(t, r, `"type":"resume"`)
			}
			if n := len(r.Tracks); n != 2 {
				t.Errorf("got %d tracks, want one of each party", n)
			}
		})
	}
}
