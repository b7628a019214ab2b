package offer

import (
	"net/netip"
	"slices"
	"strings"
)

// Policy is what we take and offer. The zero value takes both laws, plain or encrypted.
type Policy struct {
	// Codecs are the laws taken: PCMU, PCMA, or both (default). The order is that of our own offers; an answer keeps the
	// offer's.
	Codecs []Codec
	// MaxLines bounds the accepted m=audio lines of one description; default 8.
	MaxLines int
	// RequireSRTP refuses lines without a usable key.
	RequireSRTP bool
	// OfferSRTP makes our own offers RTP/SAVP in any case; see NewOffer.
	OfferSRTP bool
	// OfferLines is the number of m=audio lines of our own offers; default 1.
	OfferLines int
	// Address is the address in o=, for the whole dialog. Default: the first stream's, then 127.0.0.1.
	Address netip.Addr
}

// defaultMaxLines: RingCentral sends two lines at most, one a party.
const defaultMaxLines = 8

func (p Policy) takes(c Codec) bool { return len(p.Codecs) == 0 || slices.Contains(p.Codecs, c) }

func (p Policy) maxLines() int {
	if p.MaxLines <= 0 {
		return defaultMaxLines
	}
	return min(p.MaxLines, MaxLines)
}

// laws are the codecs of our own offers, in order.
func (p Policy) laws() []Codec {
	laws := slices.DeleteFunc(slices.Clone(p.Codecs), func(c Codec) bool { return !c.audio() })
	if len(laws) == 0 {
		return []Codec{PCMU, PCMA}
	}
	return laws
}

// The transports of an m= line (RFC 3551, 4585, 3711, 5124, 5764).
const (
	protoAVP  = "RTP/AVP"
	protoSAVP = "RTP/SAVP"
)

// knownProto says whether a line of this transport can be taken at all.
func knownProto(proto string) bool {
	return plainProto(proto) || secureProto(proto) || dtlsProto(proto)
}

func plainProto(proto string) bool {
	return strings.EqualFold(proto, protoAVP) || strings.EqualFold(proto, "RTP/AVPF")
}

func secureProto(proto string) bool {
	return strings.EqualFold(proto, protoSAVP) || strings.EqualFold(proto, "RTP/SAVPF")
}

// dtlsProto lines are taken only if SDES keys are there too.
func dtlsProto(proto string) bool {
	return strings.EqualFold(proto, "UDP/TLS/RTP/SAVP") || strings.EqualFold(proto, "UDP/TLS/RTP/SAVPF")
}
