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

// diagnoseEvery is the least time between two diagnoses of refusals that nobody waits for: each costs three requests.
const diagnoseEvery = 30 * time.Second

// looked stands before what was seen, in the text of a cause.
const looked = "; looked: "

// refusalText says what there is to see of a refusal that RingCentral's code does not explain.
func (s *Supervisor) refusalText(ctx context.Context, a actFailed) string {
	s.mu.Lock()
	x, due := s.core.sessions[a.session], time.Since(s.diagnosed) >= diagnoseEvery
	var agent Agent
	if x != nil {
		agent = x.agent
	}
	if due && x != nil {
		s.diagnosed = time.Now()
	}
	s.mu.Unlock()
	if !due || x == nil {
		return ""
	}
	return looked + strings.Join(s.diagnose(ctx, agent, a.session), "; ")
}

// explained tells a failure, with what was seen of it.
func (c *core) explained(a actFailed) {
	if s := c.sessions[a.session]; s != nil && s.cause.Code == a.cause.Code {
		s.cause = a.cause
	}
	c.emit(a)
}

// diagnose looks at what a refusal may be due to: the device's status and owner, the monitoring groups, and the session.
func (s *Supervisor) diagnose(ctx context.Context, agent Agent, session string) []string {
	var seen []string
	say := func(format string, args ...any) { seen = append(seen, fmt.Sprintf(format, args...)) }
	place, d, _ := s.deviceFor(agent, session)
	if newest, err := s.Device(ctx, place); err != nil {
		say("device: %v", err)
	} else {
		d = newest
		say("device %s of extension %s is %s", d.ID, d.Extension, d.Status)
	}
	login := s.logins[s.devices[place].login]
	switch covers, err := login.client.covers(ctx, d.ExtensionID, login.groups); {
	case err != nil:
		say("groups: %v", err)
	case covers[agent.ID]:
		say("a call monitoring group lets extension %s monitor agent %s", d.Extension, agent.Extension)
	default:
		say("no call monitoring group lets extension %s monitor agent %s: add both to one", d.Extension, agent.Extension)
	}
	parties, err := s.readSession(ctx, session)
	if err != nil {
		say("session: %v", err)
	}
	for _, p := range parties {
		switch {
		case p.Supervising && live(p) && p.ExtensionID != d.ExtensionID:
			say("extension id %s supervises this call, and RingCentral allows one supervisor", p.ExtensionID)
		case p.ExtensionID == agent.ID && !p.Supervising:
			say("the agent's party %s is %s", p.ID, or(p.Status, "in no state"))
		}
	}
	return seen
}
