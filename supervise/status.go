package supervise

import (
	"sort"
	"time"
)

// Status is what a Supervisor does at a moment, for people.
type Status struct {
	LoggedIn bool
	Device   Device // as last looked at; zero before
	Agents   int
	Calls    []CallStatus // oldest first
	LastLook time.Time    // the newest complete look at presence
	Feed     FeedStatus
	Errors   []string // what fails at present, with hints
}

// CallStatus is one wanted call.
type CallStatus struct {
	Session   string
	Agent     string // extension number
	Mode      string
	State     string // excused, released; else wanted, asking, asked, joined, failed: of the join that is furthest behind
	Confirmed bool   // presence shows all our parties
	Cause     string // the newest failure; empty if none
	Since     time.Time
}

// Status tells what is heard, what not and why.
func (s *Supervisor) Status() Status {
	in := s.client.auth.good(time.Now())
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Status{LoggedIn: in, Device: s.device, Agents: s.core.agents.size(), LastLook: s.core.lastLook}
	st.Feed = s.feedStatus
	st.Feed.Events, st.Feed.Stale, st.Feed.LastEvent, st.Feed.Unread = s.core.feed.events, s.core.feed.stale, s.core.feed.last, s.feedUnread
	for _, c := range s.core.sorted() {
		cs := CallStatus{Session: c.id, Agent: c.agent.Extension, Mode: c.mode, State: c.stateText(), Confirmed: c.confirmed, Since: c.since}
		if c.cause.Code != "" {
			cs.Cause = c.cause.String()
		}
		if c.verdict == verdictExcused {
			cs.Cause = "policy: " + c.rule
		}
		st.Calls = append(st.Calls, cs)
	}
	for what, text := range s.errs {
		st.Errors = append(st.Errors, what+": "+text)
	}
	sort.Strings(st.Errors)
	return st
}

// progress orders the states by how far they are from being heard.
var progress = [stateCount]int{stateFailed: 0, stateWanted: 1, stateAsking: 2, stateAsked: 3, stateJoined: 4}

func (s *session) stateText() string {
	if s.released && !s.alive() {
		return "released"
	}
	if s.verdict == verdictExcused {
		return "excused"
	}
	return s.state().String()
}

// state is that of the join that is furthest behind.
func (s *session) state() joinState {
	if len(s.joins) == 0 {
		return stateWanted
	}
	worst := s.joins[0].state
	for _, j := range s.joins {
		if progress[j.state] < progress[worst] {
			worst = j.state
		}
	}
	return worst
}

// size counts the agents: before they are resolved each stands in both maps.
func (a agentSet) size() int {
	n := len(a.ids)
	for number := range a.numbers {
		if !a.ids[number] {
			n++
		}
	}
	return n
}
