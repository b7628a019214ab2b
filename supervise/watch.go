package supervise

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"time"

	"github.com/earshot/earshot/call"
)

// maxWatched bounds what is kept for one who watches a call: a call that is asked for again and again.
const maxWatched = 64

// Asked is one supervise request as it went out, and RingCentral's answer.
type Asked struct {
	Session, Party string // Party is empty for the session form
	Method, Path   string
	Body           json.RawMessage
	Own            string // the supervisor's party, as the answer names it
	Err            error
}

// watch collects what becomes of one session for somebody who waits for it.
type watch struct {
	session string

	// The Supervisor's mu guards the fields below.
	asked  []Asked
	failed []actFailed
	gone   bool
}

// ask sends a supervise request and tells who watches.
func (c *client) ask(ctx context.Context, r request, raw *json.RawMessage) error {
	err := c.do(ctx, r, raw)
	if c.asked == nil {
		return err
	}
	a := Asked{Session: r.ids[0], Method: operations[r.op].verb.String(), Err: err}
	if len(r.ids) > 1 {
		a.Party = r.ids[1]
	}
	a.Path, _ = r.op.path(r.ids) // an id that can't be a path has failed above
	a.Body, _ = json.Marshal(r.body)
	if err == nil {
		a.Own = parseSupervised(*raw)
	}
	c.asked(a)
	return err
}

// watching begins to collect; stop ends it.
func (s *Supervisor) watching(session string) (w *watch, stop func()) {
	w = &watch{session: session}
	s.mu.Lock()
	s.watches[w] = struct{}{}
	s.mu.Unlock()
	return w, func() {
		s.mu.Lock()
		delete(s.watches, w)
		s.mu.Unlock()
	}
}

func (s *Supervisor) noteAsked(a Asked) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.watches {
		if w.session == a.Session && len(w.asked) < maxWatched {
			w.asked = append(w.asked, a)
		}
	}
}

// observe keeps an action for those who watch its session.
func (s *Supervisor) observe(a action) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.watches {
		switch a := a.(type) {
		case actFailed:
			if a.session == w.session && !a.look && len(w.failed) < maxWatched {
				w.failed = append(w.failed, a)
			}
		case actGone:
			w.gone = w.gone || a.session == w.session
		}
	}
}

// take gives what has come since the last time.
func (s *Supervisor) take(w *watch) (asked []Asked, failed []actFailed, gone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked, failed, gone = w.asked, w.failed, w.gone
	w.asked, w.failed = nil, nil
	return asked, failed, gone
}

// standing is where a session stands, for one who waits for it.
type standing struct {
	known     bool // the core has it
	joins     []joinStanding
	joined    bool // all that was planned is heard
	occupied  bool // a human listens, as something newer than the question tells
	held      bool
	confirmed bool // presence or events have shown all our parties
	cause     call.Cause
}

// joinStanding is one stream of it.
type joinStanding struct {
	party   call.Party
	own     string
	heard   bool
	pending bool // a request, an INVITE or a dialog is under way
}

// standing tells where a session stands, for a question asked at since.
func (s *Supervisor) standing(session string, since time.Time) standing {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.core.sessions[session]
	if x == nil {
		return standing{}
	}
	st := standing{known: true, joined: x.joined(), occupied: x.occupied && !x.reading && x.freshAt.After(since), held: x.held,
		confirmed: x.confirmed, cause: x.cause}
	for _, j := range x.joins {
		if j.extra {
			continue
		}
		st.joined = st.joined && !j.inFlight
		st.joins = append(st.joins, joinStanding{party: j.party, own: j.own, heard: j.state == stateJoined && !j.inFlight,
			pending: j.alive() && (j.state != stateJoined || j.inFlight)})
	}
	return st
}

// own are our parties that are heard.
func (st standing) own() (own []string) {
	for _, j := range st.joins {
		if j.heard {
			own = append(own, j.own)
		}
	}
	slices.Sort(own)
	return own
}

// tellPlace logs and hands on what becomes of the place of a released call.
func (s *Supervisor) tellPlace(a action) {
	switch a := a.(type) {
	case actReleased:
		s.cfg.Log.Info("call released", slog.String("call", a.session), slog.String("agent", a.agent))
		if s.cfg.Handler != nil {
			s.cfg.Handler.Failed(a.session, a.cause, nil)
		}
	case actHanded:
		if a.ours {
			s.cfg.Log.Info("call free again", slog.String("call", a.session), slog.String("agent", a.agent))
		} else {
			s.cfg.Log.Info("call taken by a human", slog.String("call", a.session), slog.String("agent", a.agent))
		}
	}
}

// byHand says whether there is a call that a user wants by hand.
func (s *Supervisor) byHand() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.core.forcing()
}
