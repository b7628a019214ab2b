package supervise

import (
	"sort"
	"time"
)

// Status is what a Supervisor does at a moment, for people.
type Status struct {
	LoggedIn bool // all logins are
	Logins   []LoginStatus
	Devices  []DeviceStatus
	Waiting  int // calls that the pool has no room for at present
	Agents   int
	Calls    []CallStatus // oldest first
	LastLook time.Time    // the newest complete look at presence
	Feed     FeedStatus
	Errors   []string // what fails at present, with hints
}

// LoginStatus is one supervisor of the pool.
type LoginStatus struct {
	Extension string // short number; empty: not known yet
	LoggedIn  bool
	Covers    int // agents that it may listen to; -1: not known
}

// DeviceStatus is one device of the pool.
type DeviceStatus struct {
	Device  Device // as last looked at; zero before
	Login   int    // index into Status.Logins
	Dialogs int    // that are up or asked for
	Limit   int    // of dialogs, as configured or learned; 0: none known
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
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Status{LoggedIn: true, Agents: s.core.agents.size(), LastLook: s.core.lastLook, Waiting: s.core.lacking}
	for i, l := range s.logins {
		ls := LoginStatus{Extension: l.number, LoggedIn: l.client.auth.good(now), Covers: -1}
		if covers := s.core.logins[i].covers; covers != nil {
			ls.Covers = len(covers)
		}
		st.LoggedIn = st.LoggedIn && ls.LoggedIn
		st.Logins = append(st.Logins, ls)
	}
	for i, d := range s.devices {
		ds := DeviceStatus{Device: d.device, Login: d.login}
		ds.Dialogs, ds.Limit = s.core.lent(now, i)
		st.Devices = append(st.Devices, ds)
	}
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
