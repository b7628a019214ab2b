package media

import (
	"time"

	"github.com/earshot/earshot/call"
)

// SampleRate is the only rate there is on the media path, in Hz: G.711 (RFC 3551 section 4.5.14).
const SampleRate = 8000

// TrackID names a track within its timeline, from 1; 0 is no track.
type TrackID uint32

// Kind says where a frame's samples come from, not how a hole is filled.
type Kind uint8

// The kinds. Per track, received, lost, gap and masked tile in Pos order without hole or overlap; late (replaces lost and gap) and
// masked (beats all) may lie behind, never before Final.
const (
	KindReceived Kind = iota + 1
	KindLate          // came after its place had been given out as lost, or as a gap where packets were missing
	KindLost          // sequence numbers are missing
	KindGap           // timestamps jump, no sequence number is missing: the sender was silent
	KindMasked        // held back by the valve
)

// String gives the kind's name as it stands in manifests and metrics.
func (k Kind) String() string {
	switch k {
	case KindReceived:
		return "received"
	case KindLate:
		return "late"
	case KindLost:
		return "lost"
	case KindGap:
		return "gap"
	case KindMasked:
		return "masked"
	}
	return "none"
}

// Law is the G.711 law of a frame's octets.
type Law uint8

// The laws, named as in SDP.
const (
	LawNone Law = iota
	LawPCMU
	LawPCMA
)

// String gives the SDP encoding name.
func (l Law) String() string {
	switch l {
	case LawPCMU:
		return "PCMU"
	case LawPCMA:
		return "PCMA"
	}
	return ""
}

// Frame is a run of samples of one track. Its slices belong to the shard and are valid only until Sink.Write returns.
type Frame struct {
	Track TrackID
	Kind  Kind
	Law   Law
	Epoch uint16
	// Pos is the index of the first sample on the track's own timeline, from 0.
	Pos int64
	// Samples is the length of the run; a gap may be long, so it is not len(PCM).
	Samples int64
	// Captured is the kernel's arrival time of the packet, since the engine's start; of lost, gap and masked frames
	// the time of the decision.
	Captured time.Duration
	// PCM holds Samples samples at 8000 Hz, nil for gap and masked, and of received and late ones where all sinks are [Coded].
	// In a lost frame it is silence: who wants more has a Concealer.
	PCM []int16
	// Octets are the G.711 octets as received; nil unless received or late.
	Octets []byte
}

// Batch is what one sweep brought for one call. It and all it points to belong to the shard and are valid only until
// Sink.Write returns.
type Batch struct {
	// Now is the sweep's time, since the engine's start.
	Now time.Duration
	// Final: nothing captured before it changes any more.
	Final time.Duration
	// Zero is the time of the timeline's sample 0, since the engine's start.
	Zero time.Duration
	// Frames of all tracks, each track's in the order of Kind's rules.
	Frames []Frame
	// Events in the order in which they happened.
	Events []call.Event
	// Tracks is the state of each track the timeline ever had, in TrackID order (Tracks[i].ID == i+1).
	Tracks []TrackState
}

// Sink takes a call's batches: one goroutine calls it, in one order. Write never blocks and never fails the call; it
// copies what it keeps. End is called once, last.
type Sink interface {
	Write(*Batch)
	End(call.Cause)
}
