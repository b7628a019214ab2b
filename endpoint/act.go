package endpoint

import (
	"context"

	"github.com/earshot/earshot/internal/who"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/recorder/evidence"
)

// The acts that the evidence log names.
const (
	actListen    = "listen"
	actStream    = "stream"
	actRelease   = "release"
	actSupervise = "supervise"
	actConsent   = "consent"
	actMask      = "mask"
	actUnmask    = "unmask"
)

// Note has the evidence log name an act: of whom the context tells, see package who. It does not wait; what it gives tells, once, when
// the log has it durably, or why not. Without signed recordings there is no log: nil.
func (e *Endpoint) Note(ctx context.Context, act string, about About) <-chan error {
	if e.store == nil {
		done := make(chan error, 1)
		done <- nil
		return done
	}
	why := about.Why
	if why == "" {
		why = who.Why(ctx)
	}
	return e.store.Act(evidence.Leaf{Act: act, Who: who.From(ctx), Why: why, Call: about.Call, Folder: about.Folder})
}

// About is what an act was done with.
type About struct {
	Call, Folder string
	Why          string // empty: what the context says
}

// because puts a reason behind what an act is about.
func because(about, why string) string {
	if why == "" {
		return about
	}
	return about + ": " + why
}

// Store is what the recordings are written by; nil: nothing is recorded.
func (e *Endpoint) Store() *recorder.Store { return e.store }
