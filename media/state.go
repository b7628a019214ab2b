package media

import (
	"time"

	"github.com/earshot/earshot/call"
)

// How a track's offset was found; stands in the manifest as offset_method.
const (
	OffsetArrival = "arrival" // minimum transit over the first 500 ms
	OffsetRTCP    = "rtcp"    // sender reports on a common clock
)

// TrackState is what is known of one track at a sweep: plain data, copied freely.
type TrackState struct {
	ID   TrackID
	Law  Law  // of the newest audio packet; LawNone before the first
	SRTP bool // keys were agreed
	// Placed tells that Offset is fixed; until then a sink that needs it keeps the frames (at most 500 ms and a
	// live wait of them come before).
	Placed bool
	Ended  bool
	// Part is the part of the call that the track belongs to, as Plan and Move said. A track that moved belongs to it from
	// position From on; Before is its state when it moved, and nobody changes it.
	Part   uint16
	From   int64
	Before *TrackState
	// Length is the number of samples from Pos 0 to the end of what was given out.
	Length int64
	// Offset is where Pos 0 lies on the call's timeline, in samples from the timeline's start; never negative, never
	// moved once Placed. Pos + Offset is the index in the recording.
	Offset int64
	// Heard is the engine's time of the newest packet that was taken as the track's, of whatever payload type; 0 before
	// the first.
	Heard time.Duration
	// EpochCount is how many epochs there were: where it is more than len(Epochs) the list is cut.
	EpochCount int
	Counts     Counts
	Leg        string // SIP Call-ID of its dialog
	Line       int    // index of its m= line
	Party      call.Party
	// OpenedAt is when the track became live, since the engine's start.
	OpenedAt time.Duration
	// OffsetMethod is one of the Offset constants.
	OffsetMethod string
	// OffsetEstimate is the newest estimate of Offset, and DriftPPM the track's rate error, for the manifest: those of the
	// first epoch, and of the newest.
	OffsetEstimate int64
	DriftPPM       float64
	// Epochs are the stretches under one SSRC and timestamp base: none before the first packet, and the first 256 of them.
	Epochs  []Epoch
	Quality Quality
}

// Epoch is a stretch of a track under one SSRC and one timestamp base.
type Epoch struct {
	SSRC uint32
	// Pos is where the epoch begins on the track; Timestamp is the RTP timestamp of that sample.
	Pos       int64
	Timestamp uint32
	// Why is "first", "ssrc", or "jump".
	Why string
	// Estimated tells that the newest estimates are known: by them the sample at p of the epoch lies at
	// Pos + OffsetEstimate + (p - Pos) / (1 + DriftPPM / 1e6) on the call's timeline.
	Estimated      bool
	OffsetEstimate int64
	DriftPPM       float64
}

// Counts are a track's counters. Samples by kind sum to the track's Length, Late being a part of what was Lost before.
type Counts struct {
	Packets           int64 // datagrams that were taken as RTP of this track
	Octets            int64 // of payload
	ReceivedSamples   int64 // received and late
	StrayPackets      int64 // packets from a source that is not the track's
	LateSamples       int64 // of these, came late
	LostSamples       int64 // never came, or after Final, or can't be decoded
	GapSamples        int64
	MaskedSamples     int64
	DuplicatePackets  int64
	ReorderedPackets  int64
	LostPackets       int64
	LatePackets       int64
	TooLatePackets    int64 // came after Final: not in the recording
	AuthFailedPackets int64 // SRTP did not verify, or a replay
	MalformedPackets  int64 // not RTP, or a payload that can't be G.711
	UnknownPTPackets  int64 // payload type that was not agreed: came and can't be decoded, so their time is lost
	OverlapPackets    int64 // began before the end of the one before: only what is new was placed
	// ImplausiblePackets have an SSRC, sequence number or timestamp that fits nothing, and no second packet bore
	// them out.
	ImplausiblePackets int64
	EventPackets       int64 // telephone-event
	ComfortPackets     int64 // comfort noise
	RTCPPackets        int64
	// RTCPRefusedPackets are no RTCP, or not the far side's.
	RTCPRefusedPackets int64
	RTCPSentPackets    int64 // our reports
	SSRCChanges        int64
	JitterSamples      float64 // RFC 3550 appendix A.8, over the newest epoch
	SentPackets        int64   // our silence
}
