package offer

import (
	"net/netip"

	"github.com/earshot/earshot/internal/secret"
)

// Direction is an m= line's direction as seen from its author (RFC 3264 section 5.1).
type Direction uint8

// The directions; SendRecv is the default of an offer that names none.
const (
	SendRecv Direction = iota
	SendOnly
	RecvOnly
	Inactive
)

// Codec is what a payload type carries, as far as we can take it.
type Codec uint8

// The codecs that we take.
const (
	PCMU Codec = iota + 1
	PCMA
	TelephoneEvent
	ComfortNoise
)

// Payload binds a payload type number to a codec.
type Payload struct {
	Number uint8
	Codec  Codec
}

// Key is one SDES key: of one direction of one stream (RFC 4568).
type Key struct {
	Suite  string      // canonical name, such as AES_CM_128_HMAC_SHA1_80
	Master secret.Text // raw octets: 16 or 32
	Salt   secret.Text // raw octets: 14, or 12 for GCM
	MKI    []byte      // empty: none
}

// Stream is one accepted m=audio line of an exchange: all that the media side needs, and no SDP.
type Stream struct {
	// Line is the index of the m= line among all m= lines of the description.
	Line int
	// Title is the line's i= text, cleaned; Session and Party are RingCentral's ids in it, if it has that form.
	Title, Session, Party string
	// Label is a=label (RFC 4574).
	Label string
	// Remote is where the far side receives RTP; zero when its answer is still to come (late offer). RemoteHost is set
	// instead of Remote's address when c= holds a host name; Remote's port stands then.
	Remote     netip.AddrPort
	RemoteRTCP netip.AddrPort
	RemoteHost string
	// Mux: RTCP shares the RTP port, offered and accepted.
	Mux bool
	// Theirs is the direction as the far side wrote it, Ours as we answer it. Hold is theirs sendonly, inactive, c=0.0.0.0
	// or a host in .invalid.
	Theirs, Ours Direction
	Hold         bool
	// Payloads are all payload types that may come, in the offer's order; Silence is the number for what we send.
	Payloads []Payload
	Silence  uint8
	// RecvKey opens what comes; SendKey, our own, protects what we send. Both nil: plain RTP.
	RecvKey, SendKey *Key
	// IPv6: the line's address family.
	IPv6 bool
}

// Local is where we receive a stream; the media side gives it.
type Local struct {
	RTP, RTCP netip.AddrPort
}
