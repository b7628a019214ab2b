package supervise

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Why a call is not heard without a refusal.
var (
	errOverByHand = errors.New("the call ended before it could be heard")
	errStopped    = errors.New("stopped before it was heard")
	errHeld       = errors.New("the agent holds the call; it is asked for when it is taken up again")
)

// join is steps 4 and 5: the requests with their answers, and the INVITEs that came and were answered.
func (g *guide) join(ctx context.Context) error {
	w, stop := g.s.watching(g.call.session)
	defer stop()
	g.since = time.Now()
	if st := g.s.standing(g.call.session, g.since); st.joined {
		g.show(Step{N: 4, Name: "request", OK: true, Session: g.call.session, OwnParty: strings.Join(st.own(), " "), Text: "heard already: nothing is asked for"})
		g.showDialogs(st)
		return nil
	}
	g.s.change(func(now time.Time) { g.s.core.force(now, g.call, g.wish.Mode) })
	g.s.hurry()
	g.s.refilter()
	limited, cancel := context.WithCancel(ctx)
	if !g.wish.Wait {
		limited, cancel = context.WithTimeout(ctx, handWithin)
	}
	defer cancel()
	for {
		st := g.s.standing(g.call.session, g.since) // before the requests are taken: a dialog is shown after its request
		asked, failed, gone := g.s.take(w)
		for _, a := range asked {
			g.showAsked(a)
		}
		g.showDialogs(st)
		switch err := g.over(st, failed, gone); {
		case err != nil:
			return g.refused(ctx, err)
		case st.joined:
			return nil
		}
		if !rest(limited, handLook) {
			if ctx.Err() != nil {
				return g.fail(Step{N: 5, Name: "invite", Session: g.call.session}, errStopped, "")
			}
			return g.refused(ctx, fmt.Errorf("not heard within %s", handWithin))
		}
	}
}

// over says why the call will not be heard, or not now; nil: it goes on, or is heard.
func (g *guide) over(st standing, failed []actFailed, gone bool) error {
	switch {
	case st.joined:
		return nil
	case gone && !st.known:
		return errOverByHand
	case st.occupied:
		return errors.New(st.cause.String())
	case st.held && !g.wish.Wait:
		return errHeld
	}
	if len(failed) > 0 {
		f := failed[len(failed)-1]
		if f.err != nil {
			g.last = f.err
		} else {
			g.last = errors.New(f.cause.String())
		}
	}
	if g.last == nil {
		return nil
	}
	for _, j := range st.joins { // another stream may be on its way yet
		if j.pending {
			return nil
		}
	}
	return g.last
}

// showAsked is step 4: one request.
func (g *guide) showAsked(a Asked) {
	st := Step{N: 4, Name: "request", Session: a.Session, Party: a.Party, Method: a.Method, Path: a.Path, Body: a.Body, OwnParty: a.Own}
	if a.Err != nil {
		_ = g.fail(st, a.Err, "") // what comes of it the core decides: it may ask again
		return
	}
	st.OK, st.Text = true, "granted: the supervisor's party is "+a.Own
	if a.Own == "" {
		st.Text = "granted; the answer names no party"
	}
	g.show(st)
}

// showDialogs is step 5: the dialogs that are up.
func (g *guide) showDialogs(st standing) {
	for _, j := range st.joins {
		if !j.heard || g.told[j.party.ID] {
			continue
		}
		g.told[j.party.ID] = true
		who := "all parties"
		if j.party.ID != "" {
			who = j.party.Role.String() + " " + j.party.ID
		}
		g.show(Step{N: 5, Name: "invite", OK: true, Session: g.call.session, Party: j.party.ID, Role: j.party.Role.String(), OwnParty: j.own,
			Text: fmt.Sprintf("INVITE came and was answered: %s hears %s", or(j.own, "the supervisor"), who)})
	}
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// refused tells why the call is not heard, with what there is to see of device, groups and session: RingCentral's codes don't
// say.
func (g *guide) refused(ctx context.Context, err error) error {
	st := Step{N: 5, Name: "invite", Session: g.call.session}
	hint := hintOf(err)
	if ctx.Err() == nil && !errors.Is(err, errOverByHand) {
		hint = strings.Join(g.s.diagnose(ctx, g.agent, g.call.session), "; ")
	}
	return g.fail(st, err, hint)
}
