package recorder

import (
	"math"

	"github.com/earshot/earshot/media"
)

// Quality is how a track came through the network. A late packet is in the recording, so it is no lost one.
type Quality struct {
	ReceivedPackets  int64   `json:"received_packets"` // of the expected
	ExpectedPackets  int64   `json:"expected_packets"` // by their sequence numbers
	LostPackets      int64   `json:"lost_packets"`
	LostPercent      float64 `json:"lost_percent"`
	LatePackets      int64   `json:"late_packets"`
	DuplicatePackets int64   `json:"duplicate_packets"`
	ReorderedPackets int64   `json:"reordered_packets"`
	// DiscardedPackets came and were not taken, or not as they came, by cause.
	DiscardedPackets Discarded    `json:"discarded_packets"`
	LossRuns         int64        `json:"loss_runs"` // stretches of lost packets in a row
	LongestRun       LossRun      `json:"longest_run"`
	JitterMS         float64      `json:"jitter_ms"` // RFC 3550 appendix A.8, at the end
	JitterMeanMS     float64      `json:"jitter_mean_ms"`
	JitterMaxMS      float64      `json:"jitter_max_ms"` // of all packets
	DriftPPM         float64      `json:"drift_ppm"`
	BurstRatio       float64      `json:"burst_ratio"` // ITU-T G.107: 1 is random loss
	R                float64      `json:"r"`           // E-model
	MOS              float64      `json:"mos"`
	RatingModel      string       `json:"rating_model"` // what r and mos are made of, and what is left out
	Worst10s         *WorstWindow `json:"worst_10s,omitempty"`
}

// Discarded are packets that came and are not in the audio, by cause.
type Discarded struct {
	TooLate     int64 `json:"too_late"`
	AuthFailed  int64 `json:"auth_failed"`
	Stray       int64 `json:"stray"`
	Malformed   int64 `json:"malformed"`
	UnknownPT   int64 `json:"unknown_payload_type"`
	Overlap     int64 `json:"overlap"` // only what was new of them was taken
	Implausible int64 `json:"implausible"`
}

// LossRun is a stretch of lost packets in a row.
type LossRun struct {
	Packets int64   `json:"packets"`
	MS      float64 `json:"ms"`
}

// ratingModel says beside each rating what it is: a recording is read years later, and alone.
const ratingModel = "ITU-T G.107 by packet loss alone, for G.711 with concealment; without delay, echo, level and noise"

// WorstWindow is the 10 s with the lowest R; Pos is on the track, AudioSeconds where that is in audio.wav.
type WorstWindow struct {
	Pos             int64   `json:"pos"`
	AudioSeconds    float64 `json:"audio_seconds"`
	Samples         int64   `json:"samples"`
	ExpectedPackets int64   `json:"expected_packets"`
	LostPackets     int64   `json:"lost_packets"`
	R               float64 `json:"r"`
	MOS             float64 `json:"mos"`
}

// quality tells a track's, whose Pos 0 lies at offset in the audio; nil where nothing of it was measured.
func quality(st *media.TrackState, offset int64) *Quality {
	q, c := &st.Quality, &st.Counts
	if q.ExpectedPackets == 0 {
		return nil
	}
	out := &Quality{
		ReceivedPackets: q.ExpectedPackets - q.LostPackets, ExpectedPackets: q.ExpectedPackets, LostPackets: q.LostPackets,
		LostPercent: places(100*float64(q.LostPackets)/float64(q.ExpectedPackets), 2),
		LatePackets: c.LatePackets, DuplicatePackets: c.DuplicatePackets, ReorderedPackets: c.ReorderedPackets,
		DiscardedPackets: Discarded{
			TooLate: c.TooLatePackets, AuthFailed: c.AuthFailedPackets, Stray: c.StrayPackets, Malformed: c.MalformedPackets,
			UnknownPT: c.UnknownPTPackets, Overlap: c.OverlapPackets, Implausible: c.ImplausiblePackets,
		},
		LossRuns: q.LossRuns, LongestRun: LossRun{q.LongestRunPackets, millis(float64(q.LongestRunSamples))},
		JitterMS: millis(c.JitterSamples), JitterMeanMS: millis(q.JitterMeanSamples), JitterMaxMS: millis(q.JitterMaxSamples),
		DriftPPM:   places(st.DriftPPM, 1),
		BurstRatio: places(q.BurstRatio, 2), R: places(q.R, 1), MOS: places(q.MOS, 2), RatingModel: ratingModel,
	}
	if w := q.Worst; w.ExpectedPackets > 0 {
		out.Worst10s = &WorstWindow{w.Pos, places(float64(w.Pos+offset)/rate, 1), w.Samples, w.ExpectedPackets, w.LostPackets, places(w.R, 1), places(w.MOS, 2)}
	}
	return out
}

func millis(samples float64) float64 { return places(samples*1000/rate, 2) }

// places rounds to what a measurement is good for.
func places(x float64, n int) float64 {
	p := math.Pow10(n)
	return math.Round(x*p) / p
}
