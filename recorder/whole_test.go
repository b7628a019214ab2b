package recorder_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/recorder"
)

// TestManyRecordingsAreMadeDurableTogether: from 32 on one sync serves all. Headers follow while calls live, no sample is
// elsewhere than with few.
func TestManyRecordingsAreMadeDurableTogether(t *testing.T) {
	const many = 33
	s, _ := start(t, recorder.Config{Sync: 100 * time.Millisecond})
	type recorded struct {
		*recorder.Recording
		customer, agent *talker
	}
	var all []recorded
	for i := range many {
		r := recorded{open(t, s, stereoInfo(fmt.Sprintf("call-%d", i))), newTalker(1, call.RoleCustomer, 0), newTalker(2, call.RoleAgent, int64(i))}
		r.customer.placeAt, r.agent.placeAt = 0, 0
		all = append(all, r)
	}
	speak := func(packets int) {
		for i, r := range all {
			b := batch(time.Minute, append(r.customer.speaks(packets), r.agent.speaks(packets+i%3)...), r.customer, r.agent)
			r.Write(b)
			spoil(b)
		}
	}
	speak(60)
	for i, r := range all {
		wav := filepath.Join(r.Result().Dir, recorder.AudioName)
		eventually(t, "the header follows", func() bool {
			st, err := os.Stat(wav)
			return err == nil && st.Size() > 4*9600 && readWave(t, r.Result().Dir).samples() >= 9600
		})
		if i == 0 {
			speak(7) // while others are looked at
		}
	}
	speak(300) // more than a window
	for _, r := range all {
		res, m := seal(t, r.Recording)
		if m.State != recorder.StateRecorded {
			t.Fatalf("%s: %s", res.Dir, m.State)
		}
		w := readWave(t, res.Dir)
		sameSamples(t, "left", w.pcm(0), expect(w.samples(), r.customer))
		sameSamples(t, "right", w.pcm(1), expect(w.samples(), r.agent))
	}
	if c := s.Counters(); c.Errors != 0 || c.DiskSamples != 0 {
		t.Errorf("counters: got %+v", c)
	}
}
