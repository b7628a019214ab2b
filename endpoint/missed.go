package endpoint

import (
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/attr"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/supervise"
)

const (
	maxMissed = 64   // missed calls that may wait for Run's loop
	maxWanted = 4096 // calls that are asked for at once; of more, a missed one is only logged
	maxOwed   = 4096 // records of missed calls that may wait for a disk with room
	// storeRetry is how often a recording that could not be opened is tried again.
	storeRetry = 5 * time.Second
)

// wanted is a call that supervise asks for.
type wanted struct {
	call  supervise.Call
	pool  *pool
	heard bool       // it became a Call
	cause call.Cause // why the newest try failed
}

// missedCall is a call that was wanted and never heard.
type missedCall struct {
	call  supervise.Call
	cause call.Cause
	// plain is all that is known of a call that nobody asked for, and caller what its INVITE says; nil: RingCentral knows the call.
	plain  *call.Info
	caller map[string]any
}

// miss hands a missed call to Run's loop.
func (e *Endpoint) miss(m missedCall) {
	select {
	case e.missed <- m:
	default:
		e.log.Error("call missed, and not recorded as such", attr.Call(m.call.Session), attr.Cause(m.cause))
	}
}

// recordMissed leaves a record without audio, so that no wanted call is silently missing.
func (e *Endpoint) recordMissed(m missedCall) {
	if m.cause.Code == call.CodeReleased {
		e.log.Info("call not heard", attr.Call(m.call.Session), attr.Agent(m.call.Agent.Extension), attr.Cause(m.cause)) // as a user wanted
	} else {
		e.log.Error("call missed", attr.Call(m.call.Session), attr.Agent(m.call.Agent.Extension), attr.Cause(m.cause))
	}
	e.mu.Lock()
	e.ended[m.cause.Code]++
	e.mu.Unlock()
	if e.store != nil && !e.writeMissed(m) {
		e.mu.Lock()
		defer e.mu.Unlock()
		if len(e.owed) < maxOwed {
			e.owed = append(e.owed, m)
		}
	}
}

// recordOwed tries again what the disk did not take.
func (e *Endpoint) recordOwed() {
	e.mu.Lock()
	owed := e.owed
	e.owed = nil
	e.mu.Unlock()
	for i, m := range owed {
		if !e.writeMissed(m) {
			e.mu.Lock()
			e.owed = append(e.owed, owed[i:]...)
			e.mu.Unlock()
			return
		}
	}
}

// writeMissed writes a missed call's record; false: the disk did not take it.
func (e *Endpoint) writeMissed(m missedCall) bool {
	began := m.call.Since
	if began.IsZero() {
		began = time.Now()
	}
	info := call.Info{
		ID: m.call.Session, Sessions: []string{m.call.Session}, Started: began.UTC(), Agent: m.call.Agent.Extension, Mode: m.call.Mode,
		Expected: []call.Party{{Role: call.RoleMix}},
	}
	if m.call.Mode == supervise.ModeParty {
		agent := call.Party{Role: call.RoleAgent, Extension: m.call.Agent.Extension, Name: m.call.Agent.Name}
		info.Expected = []call.Party{m.call.Customer, agent}
		info.Expected[0].Role = call.RoleCustomer
	}
	started := map[string]any{"agent": info.Agent, "mode": info.Mode}
	if m.plain != nil {
		info, started = *m.plain, m.caller
		info.Started = began.UTC()
	}
	rec, err := e.store.Open(info, recorder.Anchor{Wall: info.Started, Mono: e.engine.Now() - time.Since(began)})
	if err != nil {
		e.log.Error("record of a missed call not written", attr.Err(err), "hint", diskHint)
		return false
	}
	id, cause := m.call.Session, map[string]any{"cause": string(m.cause.Code), "text": m.cause.Text}
	events := []call.Event{
		{Time: info.Started, Type: call.EventCallStarted, Facts: started},
		failed(call.Party{}, m.cause), {Type: call.EventCallEnded, Facts: cause},
	}
	for i := range events {
		if events[i].Call = id; events[i].Time.IsZero() {
			events[i].Time = time.Now().UTC()
		}
	}
	now := e.engine.Now()
	rec.Write(&media.Batch{Now: now, Final: now, Events: events})
	rec.End(m.cause)
	return true
}
