package trunk

import "time"

// Law is one of G.711's two companding laws.
type Law uint8

// The laws, with the payload types of RFC 3551 section 6.
const (
	PCMU Law = 0
	PCMA Law = 8
)

// Silence is the octet that is digital silence in that law.
func (l Law) Silence() byte {
	if l == PCMA {
		return 0xD5
	}
	return 0xFF
}

func (l Law) String() string {
	if l == PCMA {
		return "PCMA"
	}
	return "PCMU"
}

// Line is one m= line of an INVITE.
type Line struct {
	Title     string // i=, for example "<session> party-id=<party>"
	Direction string // sendrecv (default), sendonly, recvonly, inactive
	// Laws among the formats offered, in that order; nil means PCMU, PCMA; empty but not nil means Opus and others only.
	Laws   []Law
	Source Source // default Pattern(0)
	Plan   Impairment
	// Begin is when index 0 of the source is said, so that two parties of one call stay in step; zero means with the
	// stream's first packet.
	Begin time.Time
	// Refused offers the line with port 0.
	Refused bool
}

// Impairment is what the way does to a stream. The zero value does nothing.
type Impairment struct {
	Loss, Reorder, Duplicate float64 // probability per packet, 0 to 1; a reordered one comes 1 to 3 packets later
	Seed                     int64   // of the random numbers; zero means 1
	// StartSeq and StartTimestamp are random where zero, unless Fixed.
	StartSeq       uint16
	StartTimestamp uint32
	Fixed          bool
	Pauses         []Pause
	// SSRCChangeAfter is when the stream goes on with a new SSRC, sequence and timestamp base; zero means never.
	SSRCChangeAfter time.Duration
	Ptime           time.Duration // a multiple of 10 ms up to 100 ms; default 20 ms
	StopAfter       int           // packets after which nothing more is sent; zero means never
	// RTCP is the time between two sender reports, on the RTP port (a=rtcp-mux); zero means none, as at RingCentral.
	RTCP time.Duration
}

// Pause is a time in which nothing is sent while timestamps, and the index on the source, go on.
type Pause struct{ After, For time.Duration }
