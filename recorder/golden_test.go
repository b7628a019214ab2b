package recorder_test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
)

var update = flag.Bool("update", false, "rewrite testdata")

// The example in testdata is what a recording of known frames gives, to the octet.
func TestTheExampleIsWhatARecordingGives(t *testing.T) {
	s, _ := start(t, recorder.Config{Software: "earshot 0.1.0"})
	info := stereoInfo("s-a0d7f1c2")
	info.SIPCallIDs = []string{"6b1f@198.51.100.7"}
	info.Expected[0].Number, info.Expected[1].Extension = "+16505550100", "108"
	r := open(t, s, info)
	customer, agent := newTalker(1, call.RoleCustomer, 0), newTalker(2, call.RoleAgent, 312)
	customer.Leg, agent.Leg, agent.Line, agent.SRTP, agent.Law = "6b1f@198.51.100.7", "6b1f@198.51.100.7", 1, true, media.LawPCMA
	customer.Epochs = []media.Epoch{{SSRC: 0x1a2b3c4d, Timestamp: 3000, Why: "first"}}
	agent.Epochs = []media.Epoch{{SSRC: 7, Timestamp: 160, Why: "first"}, {SSRC: 8, Pos: 4800, Timestamp: 99, Why: "ssrc"}}
	agent.DriftPPM, agent.OffsetEstimate = -1.5, 314
	frames := slices.Concat(customer.speaks(30), agent.speaks(30))
	frames = append(frames, customer.frame(media.KindLost, 480), agent.frame(media.KindGap, 1600))
	frames = append(frames, slices.Concat(customer.speaks(10), agent.speaks(4))...)
	frames = append(frames, customer.behind(media.KindLate, 4960, 160), agent.behind(media.KindMasked, 6400, 320))
	customer.Counts = media.Counts{Packets: 41, Octets: 6560, ReceivedSamples: 6560, LateSamples: 160, LostSamples: 320, LostPackets: 3, LatePackets: 1, JitterSamples: 2.25, SentPackets: 10}
	agent.Counts = media.Counts{Packets: 34, Octets: 5440, ReceivedSamples: 5120, GapSamples: 1600, MaskedSamples: 320, SSRCChanges: 1, SentPackets: 10}
	customer.Quality = media.Quality{
		ExpectedPackets: 43, LostPackets: 2, LossRuns: 2, LongestRunPackets: 1, LongestRunSamples: 160, JitterMaxSamples: 5, JitterMeanSamples: 2.5,
		Rating: media.Rating{BurstRatio: 1, R: 78.3487, MOS: 3.9551},
		Worst:  media.Window{Samples: 6880, ExpectedPackets: 43, LostPackets: 2, Rating: media.Rating{BurstRatio: 1, R: 78.3487, MOS: 3.9551}},
	}
	b := batch(anchor.Mono+870*time.Millisecond, frames, customer, agent)
	b.Events = []call.Event{
		{Time: morning, Type: call.EventLegAnswered, Call: info.ID, Leg: customer.Leg},
		{Time: morning.Add(560 * time.Millisecond), Type: call.EventTrackPlaced, Call: info.ID, Leg: customer.Leg, Track: 2, Facts: map[string]any{"offset_samples": 312, "offset_method": "arrival"}},
		{Time: morning.Add(600 * time.Millisecond), Type: call.EventTrackEpoch, Call: info.ID, Leg: customer.Leg, Track: 2, Pos: 4800, Facts: map[string]any{"epoch": 1, "ssrc": 8, "why": "ssrc"}},
	}
	r.Write(b)
	res, _ := seal(t, r)
	for _, name := range []string{recorder.ManifestName, recorder.EventsName} {
		got, err := os.ReadFile(filepath.Join(res.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(golden, got, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), string(got)); d != "" {
			t.Errorf("%s (-update rewrites it):\n%s", name, d)
		}
	}
}
