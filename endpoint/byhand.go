package endpoint

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/who"
	"github.com/earshot/earshot/sip"
	"github.com/earshot/earshot/supervise"
)

// ErrNoSupervisor says that there is nobody to ask RingCentral.
var ErrNoSupervisor = errors.New("no ringcentral is configured: calls come by themselves")

// errDraining: the end comes with the last call.
var errDraining = errors.New("this daemon drains: it takes no new calls")

// byeWithin bounds the ending of a released call's dialogs.
const byeWithin = 5 * time.Second

// Supervise joins an agent's call by hand, whatever policy says, and shows each step; see supervise.Supervisor.Supervise. It
// gives the call's id.
func (e *Endpoint) Supervise(ctx context.Context, w supervise.Wish, show func(supervise.Step)) (string, error) {
	p := e.supervising(w.Agent)
	switch {
	case p == nil:
		return "", ErrNoSupervisor
	case e.shift.draining.Load():
		return "", errDraining
	}
	e.Note(ctx, actSupervise, About{Why: because("agent "+w.Agent, who.Why(ctx))})
	session, err := p.sup.Supervise(ctx, w, func(st supervise.Step) {
		if st.Name == "invite" && st.OK {
			if st.Dialog = e.dialogOf(joinKey{st.Session, st.Party}); st.Dialog != "" {
				st.Text += ", in dialog " + st.Dialog
			}
		}
		show(st)
	})
	if c := e.ofSession(session); c != nil {
		session = c.id
	}
	return session, err
}

// supervising gives the pool that is to hear an agent: the one that hears that agent already, else the first; nil: none.
func (e *Endpoint) supervising(agent string) *pool {
	for _, p := range e.pools {
		for _, c := range p.sup.Status().Calls {
			if c.Agent == agent {
				return p
			}
		}
	}
	if len(e.pools) == 0 {
		return nil
	}
	return e.pools[0]
}

// dialogOf gives the SIP Call-ID of the dialog that answers a join.
func (e *Endpoint) dialogOf(k joinKey) string {
	for _, c := range e.live() {
		c.mu.Lock()
		legs := slices.Clone(c.legs)
		c.mu.Unlock()
		for _, l := range legs {
			if slices.Contains(l.joins, k) {
				return l.id
			}
		}
	}
	return ""
}

// AwaitEnd waits until a call has ended and its recording is sealed, or ctx ends.
func (e *Endpoint) AwaitEnd(ctx context.Context, id string) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		e.mu.Lock()
		_, live := e.calls[id]
		e.mu.Unlock()
		if !live {
			return
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// Released is a call whose place was given up.
type Released struct {
	Call  string `json:"call"`
	Agent string `json:"agent,omitempty"`
	Heard bool   `json:"heard"` // its dialogs were ended
}

// Release gives the supervisor's place of a call, or of an agent's calls, to a human: BYE to each dialog, the recording is
// sealed as it stands, and nothing is asked for until the human has left. ErrNoCall: there is no such call.
func (e *Endpoint) Release(ctx context.Context, id, agent string) ([]Released, error) {
	var out []Released
	var heard []*Call
	for _, p := range e.pools {
		calls := p.sup.Status().Calls
		for _, session := range p.sup.Release(id, agent) {
			done := Released{Call: session}
			for _, c := range calls {
				if c.Session == session {
					done.Agent = c.Agent
				}
			}
			c := e.ofSession(session)
			if c != nil {
				done.Call, done.Heard = c.id, true
				if !slices.Contains(heard, c) {
					heard = append(heard, c)
				}
			}
			if !slices.Contains(out, done) {
				out = append(out, done)
			}
		}
	}
	if len(out) == 0 {
		if o := e.olderStatus(); o != nil && slices.Contains(o.Calls, id) {
			return nil, fmt.Errorf("%s: the older process %d hears this call until it ends: %w here", id, o.PID, ErrNoCall)
		}
		if agent != "" {
			return nil, fmt.Errorf("agent %s: %w", agent, ErrNoCall)
		}
		return nil, fmt.Errorf("%s: %w", id, ErrNoCall)
	}
	for _, r := range out {
		e.Note(ctx, actRelease, About{Call: r.Call})
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), byeWithin)
	defer cancel()
	var wg sync.WaitGroup
	for _, c := range heard {
		wg.Go(func() { c.hangUp(limited, releasedByHand) })
	}
	wg.Wait()
	return out, nil
}

// hangUp ends all dialogs of the call, also one that is being made: it can be ended once it is acknowledged.
func (c *Call) hangUp(ctx context.Context, cause call.Cause) {
	var byes sync.WaitGroup
	defer byes.Wait()
	tick := time.NewTicker(lookEvery / 4)
	defer tick.Stop()
	ending := map[*leg]bool{}
	for !c.lonely() && ctx.Err() == nil {
		c.mu.Lock()
		legs := slices.Clone(c.legs)
		c.mu.Unlock()
		for _, l := range legs {
			if !ending[l] && l.up() {
				ending[l] = true
				byes.Go(func() { _ = l.bye(ctx, cause) }) // it ends all the same
			}
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// up tells whether the leg's dialog is established.
func (l *leg) up() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dialog != nil
}

// releasedByHand is why a released call's dialogs and recording end.
var releasedByHand = call.Cause{Code: call.CodeReleased, Text: "given to a human by hand"} //nolint:gochecknoglobals // constant

// givenUp tells whether a user has given up the call that these joins are of.
func (r *ear) givenUp(joins []joinKey) bool {
	return slices.ContainsFunc(joins, func(k joinKey) bool { return r.sup != nil && r.sup.Released(k.session) })
}

// refuse says no to an INVITE of a call that a user has given up since it was asked for.
func (r *ear) refuse(inv *sip.Invitation, p plan) error {
	r.log.Info("invite of a released call refused", "call", p.info.ID, "leg", inv.CallID)
	for _, k := range p.joins {
		r.sup.Ended(k.session, k.party, releasedByHand)
	}
	return &sip.Refusal{Code: 486, Reason: "Busy Here"}
}
