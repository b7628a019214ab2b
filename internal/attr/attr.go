package attr

import (
	"fmt"
	"log/slog"
)

// The keys, each with its one meaning.
const (
	keyCall   = "call"
	keyLeg    = "leg"
	keyTrack  = "track"
	keyParty  = "party"
	keyAgent  = "agent"
	keySSRC   = "ssrc"
	keyPos    = "pos"
	keyRemote = "remote"
	keySink   = "sink"
	keyCause  = "cause"
	keyReason = "reason"
	keyErr    = "err"
)

// Call names a call by its id.
func Call(id string) slog.Attr { return slog.String(keyCall, id) }

// Leg names a leg by its SIP Call-ID.
func Leg(id string) slog.Attr { return slog.String(keyLeg, id) }

// Track names a track of a call; media.TrackID fits.
func Track[T ~uint32](id T) slog.Attr { return slog.Uint64(keyTrack, uint64(id)) }

// Party names a party by RingCentral's id; never a name or number of a person.
func Party(id string) slog.Attr { return slog.String(keyParty, id) }

// Agent names the monitored agent by extension number or id.
func Agent(extension string) slog.Attr { return slog.String(keyAgent, extension) }

// SSRC is an RTP source in the usual hexadecimal form.
func SSRC(ssrc uint32) slog.Attr { return slog.String(keySSRC, fmt.Sprintf("%08x", ssrc)) }

// Pos is a position on a track, in samples.
func Pos(samples int64) slog.Attr { return slog.Int64(keyPos, samples) }

// Remote is an address of the far side: a string, netip.AddrPort or net.Addr.
func Remote(addr any) slog.Attr { return slog.String(keyRemote, fmt.Sprint(addr)) }

// Sink names what takes a call's batches, such as a stream consumer.
func Sink(name string) slog.Attr { return slog.String(keySink, name) }

// Cause is why a call or leg changed state; call.Cause fits.
func Cause(cause fmt.Stringer) slog.Attr { return slog.String(keyCause, cause.String()) }

// Reason is why an input was refused or dropped.
func Reason[T ~string](reason T) slog.Attr { return slog.String(keyReason, string(reason)) }

// Err is an error; nil gives an empty attribute, which handlers leave out.
func Err(err error) slog.Attr {
	if err == nil {
		return slog.Attr{}
	}
	return slog.String(keyErr, err.Error())
}
