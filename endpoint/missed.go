package endpoint

import (
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/recorder"
)

const (
	maxMissed = 64   // records of missed calls that may wait to be written
	maxFailed = 4096 // calls whose failure is remembered until RingCentral shows them no more
)

// missedCall is a call that was wanted and never heard.
type missedCall struct {
	session string
	cause   call.Cause
}

// recordMissed leaves a record without audio, so that no wanted call is silently missing.
func (e *Endpoint) recordMissed(m missedCall) {
	e.log.Error("call missed", "call", m.session, "cause", m.cause.String())
	e.mu.Lock()
	e.ended[m.cause.Code]++
	e.mu.Unlock()
	if e.store == nil {
		return
	}
	now := time.Now()
	info := call.Info{ID: m.session, Sessions: []string{m.session}, Started: now.UTC()}
	rec, err := e.store.Open(info, recorder.Anchor{Wall: now, Mono: e.engine.Now()})
	if err != nil {
		e.log.Error("record of a missed call not written", "call", m.session, "err", err)
		return
	}
	rec.End(m.cause)
}
