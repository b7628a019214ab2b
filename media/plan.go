package media

import (
	"net/netip"

	"github.com/earshot/earshot/call"
)

// Plan names a track before its ports are bound: one m= line of one dialog.
type Plan struct {
	Leg   string // SIP Call-ID
	Line  int    // index of the m= line
	Party call.Party
	// Part is which part of the call the track belongs to: a number of the caller's, which its sinks find in TrackState.
	Part uint16
	// IPv6 asks for a socket of that family.
	IPv6 bool
	// Toward is where packets will go, as far as it is known: with a zero Config.ListenIP the address of the route to it
	// is bound. It may be the far side's signalling address (late offer). Nothing is sent there by Open.
	Toward netip.Addr
	// Remote is where the far side's RTP will come from, if the offer names it. Tracks whose Remote is known and different
	// may share a local port.
	Remote netip.AddrPort
	// Secure: the offer has keys (SRTP).
	Secure bool
	// Mux: RTCP shares the RTP port (RFC 5761), so one socket is enough.
	Mux bool
}

// Codec is what a payload type carries.
type Codec uint8

// The codecs that a track understands.
const (
	CodecPCMU  Codec = iota + 1
	CodecPCMA        //
	CodecEvent       // telephone-event, RFC 4733
	CodecNoise       // comfort noise, RFC 3389
)

// Payload binds a payload type number to a codec, as the offer/answer exchange agreed.
type Payload struct {
	Number uint8
	Codec  Codec
}

// Suite is an SDES crypto suite by its name in a=crypto, such as AES_CM_128_HMAC_SHA1_80 (RFC 4568 section 6.2).
type Suite string

// The suites that a track understands.
const (
	SuiteAESCM128SHA1x80 Suite = "AES_CM_128_HMAC_SHA1_80"
	SuiteAESCM128SHA1x32 Suite = "AES_CM_128_HMAC_SHA1_32"
	SuiteAESCM256SHA1x80 Suite = "AES_256_CM_HMAC_SHA1_80"
	SuiteAESCM256SHA1x32 Suite = "AES_256_CM_HMAC_SHA1_32"
	SuiteAEADAES128GCM   Suite = "AEAD_AES_128_GCM"
	SuiteAEADAES256GCM   Suite = "AEAD_AES_256_GCM"
)

// Key is an SRTP master key with its salt. It prints as *** everywhere.
type Key struct {
	Suite  Suite
	Master []byte // octets: 16 or 32
	Salt   []byte // octets: 14, or 12 for GCM
	MKI    []byte // empty: none
}

// Params is what an offer/answer exchange agreed for a track. It replaces the track's earlier Params as a whole.
type Params struct {
	// Remote is where the far side wants RTP, from c= and m=; zero while unknown (late offer). An unspecified address
	// (c=0.0.0.0) is hold: nothing is sent there.
	Remote netip.AddrPort
	// RemoteRTCP is where it wants RTCP: a=rtcp, else Remote's port plus 1, or Remote with Mux.
	RemoteRTCP netip.AddrPort
	Mux        bool
	Payloads   []Payload
	// SilencePT is the payload type of what we send: PCMU or PCMA of Payloads.
	SilencePT uint8
	// RecvKey opens what comes, SendKey protects what we send; both nil: plain RTP.
	RecvKey, SendKey *Key
	// Receive: the far side may send audio (its direction is sendrecv or sendonly). Keep-alive packets go out in any case
	// but inactive. Inactive without Payloads: the line was taken away (port 0 in the offer): nothing is sent, and what
	// still comes is taken for 2 s, then it is a stray.
	Receive  bool
	Inactive bool
}
