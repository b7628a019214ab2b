package stream

import (
	"context"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

// session is a connection to a consumer, in the consumer's dialect. One goroutine calls write and finish; close comes from anywhere.
type session interface {
	// write sends samples, in the consumer's format, that begin at a position in call time (8000 Hz). It ends within pace.write.
	write(pos int64, b []byte) error
	// finish says that the call has ended, awaits the far side's end for a moment, and closes.
	finish(ctx context.Context) error
	// gone is closed when the far side has left; nil: only a write tells.
	gone() <-chan struct{}
	// ended is err, or the reason that the far side gave.
	ended(err error) error
	// close ends the connection at once; safe twice.
	close()
}

// dialer connects to a consumer, within the context's time.
type dialer func(ctx context.Context, l *link) (session, error)

const (
	connectWithin = 5 * time.Second
	// sendBuffer bounds what stands in the kernel: what a consumer that hangs will never read. 64 KiB are 4 s of 16 bit mono.
	sendBuffer = 64 << 10
)

// about is what a dialect tells a consumer of the audio.
type about struct {
	facts
	Stream string // the same for all connections of one outlet
	from   string // position of the first sample that a connection is given, at 8000 Hz
	Role   string
	Party  string
	Name   string
}

// aboutOf gathers it; track is nil for one per call.
func aboutOf(c *Consumer, info call.Info, track *media.TrackState, channels int) about {
	a := about{facts: factsFor(c, info, track, channels), Name: c.Name}
	a.Role = call.RoleMix.String()
	if channels == 2 {
		a.Role = call.RoleCustomer.String() + "," + call.RoleAgent.String()
	}
	if track != nil {
		a.Role, a.Party = track.Party.Role.String(), track.Party.ID
	}
	return a
}
