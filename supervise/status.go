package supervise

import "time"

// Status is what a Supervisor does at a moment, for people.
type Status struct {
	LoggedIn bool
	Device   Device // as last looked at; zero before
	Agents   int
	Calls    []CallStatus // oldest first
	LastLook time.Time    // the newest complete look at presence
	Errors   []string     // what fails at present, with hints
}

// CallStatus is one wanted call.
type CallStatus struct {
	Session   string
	Agent     string // extension number
	Mode      string
	State     string // wanted, asking, asked, joined, failed
	Confirmed bool   // presence shows all our parties
	Cause     string // the newest failure; empty if none
	Since     time.Time
}

// Status tells what is heard, what not and why.
func (s *Supervisor) Status() Status { return Status{} }
