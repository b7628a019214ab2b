package sip

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/sip/offer"
)

// Handler decides about new calls.
type Handler interface {
	// Invited is called for each new INVITE, in a goroutine of its own. ctx ends when the caller gives up (CANCEL) or the
	// account stops. The Leg it returns gets Ended exactly once, also when ctx has ended meanwhile. An error refuses the
	// call: a *Refusal with its code, any other with 500.
	Invited(ctx context.Context, inv *Invitation) (Leg, error)
}

// Leg is the media side of one dialog. All calls come one at a time, in order; Ended is the last.
type Leg interface {
	// Prepare gets the streams of an answer before it goes out and says where each is received. commit is called once
	// the answer is on its way, undo if it never will be; exactly one of them, once. A late offer calls Prepare with
	// streams that have no Remote (commit with our 200), and again when the ACK brought the answer.
	Prepare(streams []offer.Stream) (local []offer.Local, commit, undo func(), err error)
	// Established says that the ACK to our first 200 came.
	Established(d *Dialog)
	// Digit is a DTMF digit that came as INFO.
	Digit(digit string, d time.Duration)
	// Silence is how long no packet of any of its tracks came, counted from the answer if none ever did. 0: media flows.
	Silence() time.Duration
	// Ended is called once, last, also for a call that was never established.
	Ended(c call.Cause)
}

// ErrNotAcceptable is what Prepare wraps when the offer asks for what this machine can't do, such as IPv6: the INVITE gets
// 488.
var ErrNotAcceptable = errors.New("not acceptable here")

// PartyRef is RingCentral's name of one party: p-rc-api-ids or p-rc-api-monitoring-ids.
type PartyRef struct {
	Session, Party string
}

// Invitation is a new call, as its INVITE tells. Texts are cleaned (no control characters) and cut to a length, and are
// what a stranger wrote: never a file name.
type Invitation struct {
	CallID     string
	From       string // the URI
	FromName   string // display name
	FromUser   string
	To         string
	RequestURI string
	Source     string // "ip:port" the INVITE came from
	// Own is our own party of p-rc-api-ids, Monitored the watched one of p-rc-api-monitoring-ids.
	Own, Monitored PartyRef
	// AutoAnswer: Alert-Info, Call-Info, Answer-Mode or the Request-URI ask for it.
	AutoAnswer bool
	// Identity is who else is named.
	Identity Identity
	// Replaces is the Call-ID of the dialog of ours whose place this one takes (RFC 3891); "" if there is none.
	Replaces string
	// Secure: it came on a TLS flow, so keys in its SDP were not to be read on the way.
	Secure bool
	// CallInfo is p-rc-api-call-info by key; nil without that header.
	CallInfo map[string]string
	// Offer is nil for a late offer: then ours goes out with the 200.
	Offer *offer.Offer
	// Lines are the streams that will be accepted, so that titles and parties are known before the answer.
	Lines []offer.Stream
}

// Refusal is a Handler's no.
type Refusal struct {
	Code       int           // SIP status, 300-699; else 500
	Reason     string        // reason phrase, empty: the usual one
	RetryAfter time.Duration // 0: none
	Cause      call.Cause    // what the log and the leg's Ended are told; zero: refused, with code and reason
}

// Error gives code and reason.
func (r *Refusal) Error() string { return "refused: " + r.text() }

func (r *Refusal) text() string {
	return fmt.Sprintf("%d %s", r.Code, cmp.Or(r.Reason, phrase(r.Code)))
}
