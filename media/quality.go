package media

// Quality says how well a track came through the network: all of it but the newest archive window, which may still change.
// A late packet counts as received, for it is in the recording.
type Quality struct {
	ExpectedPackets int64 // by their sequence numbers
	LostPackets     int64 // of these, never came, or after Final
	LossRuns        int64 // stretches of lost packets in a row
	// LongestRunPackets is the longest of them, and LongestRunSamples its time at the packet length of that moment.
	LongestRunPackets, LongestRunSamples int64
	// JitterMaxSamples and JitterMeanSamples are the highest and the mean of RFC 3550's jitter, as it stood at each packet.
	JitterMaxSamples, JitterMeanSamples float64
	Rating                              // of all of it
	// Recent is the newest 10 s, Worst the 10 s with the lowest R: with less than 10 s, all there is.
	Recent, Worst Window
}

// Window is a stretch of a track and what came of it.
type Window struct {
	Pos, Samples                 int64
	ExpectedPackets, LostPackets int64 // zero: nothing was measured yet
	Rating
}

// Rating is the E-model's word (ITU-T G.107) as far as a listener can know it. Left out are delay and echo (Id is 0: nobody tells
// us the way from mouth to ear), noise and level (at their defaults), and what was done to the speech before it came to us.
type Rating struct {
	// BurstRatio is BurstR: the mean length of the loss runs, against that which random loss of the same rate has; at least 1.
	BurstRatio float64
	R          float64 // 93.2 at best
	MOS        float64 // estimated by R, 4.41 at best
}

// Of the E-model: R0 - Is at the defaults of ITU-T G.107 table 3, and of G.711 with packet loss concealment, as our live
// listeners have it (ITU-T G.113 appendix I, table I.4).
const (
	bestR        = 93.2
	lossRobustly = 25.1 // Bpl; Ie of G.711 is 0
	// maxImpairment is what R falls to where nothing comes (ITU-T G.107 equation 7-29).
	maxImpairment = 95
)

// rate gives the rating of a loss.
func rate(expected, lost, runs int64) Rating {
	r := Rating{BurstRatio: 1, R: bestR}
	if expected > 0 && lost > 0 {
		share := float64(lost) / float64(expected)
		if runs > 0 {
			r.BurstRatio = max(1, float64(lost)/float64(runs)*(1-share))
		}
		percent := 100 * share
		r.R = max(0, bestR-maxImpairment*percent/(percent/r.BurstRatio+lossRobustly))
	}
	r.MOS = 1 // ITU-T G.107 annex B
	if r.R > 0 {
		r.MOS = max(1, 1+0.035*r.R+r.R*(r.R-60)*(100-r.R)*7e-6)
	}
	return r
}
