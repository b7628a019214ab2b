package trunk

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Invite is a call to a device.
type Invite struct {
	UserName         string // whose binding is called
	FromUser         string // user of From and Contact: an extension, a number, anonymous
	FromName         string // display name of From, may be empty
	ToUser           string // user of To; default UserName. RingCentral's To need not be the address of record.
	CallID           string // default random
	Headers          []Header
	Lines            []Line        // m= lines; none means one plain line with a pattern
	SRTP             bool          // RTP/SAVP with SDES keys
	Late             bool          // no SDP in the INVITE, the answer goes with the ACK
	SessionExpires   time.Duration // default 14400 s, negative means none
	Refresher        string        // default uac: the trunk refreshes
	RefreshByUpdate  bool          // the trunk's refresh is an UPDATE, not a re-INVITE
	Supported        string        // default "replaces, timer, diversion, histinfo"
	WithholdACKs     int           // so many 200s are left without ACK: the device must repeat them
	AnswerWithin     time.Duration // default Config.AnswerWithin
	FirstCSeq        uint32        // default a number of its own for each dialog
	InactivityBye    time.Duration // default Config.InactivityBye
	RingingIsRefusal bool          // a 180 breaks auto-answer and is a violation
}

// Header is one header field as it goes out.
type Header struct{ Name, Value string }

// RefusedError says that the device refused, or that its answer is one that RingCentral would not take: then Code is 488
// and the dialog was ended with a BYE.
type RefusedError struct {
	Code   int
	Reason string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("invite: refused: %d %s", e.Code, e.Reason)
}

// What Invite and the dialog's requests may fail with besides RefusedError.
var (
	ErrNoBinding = errors.New("invite: device is not registered")
	ErrNoAnswer  = errors.New("invite: no answer in time")
	ErrClosed    = errors.New("trunk: not running")
	ErrNoFlow    = errors.New("dialog: the device's flow is gone")
	ErrEnded     = errors.New("dialog: ended")
)

// Invite calls the newest binding of a device on the flow it registered over and returns when the answer was
// acknowledged. The INVITE is cancelled after AnswerWithin, and when ctx ends.
func (t *Trunk) Invite(ctx context.Context, in Invite) (*Dialog, error) {
	return nil, errors.ErrUnsupported
}
