package call

import "time"

// Consent is on what ground a call's audio is kept, as the user states it. earshot judges nothing of it.
type Consent struct {
	Mode  string // "assumed", "required"; empty: not stated
	Basis string // the ground, in the user's words
	// State of a call that needs consent: "waiting", "given", "refused".
	State string
	// At is when, By who gave or refused it, Evidence where that can be looked up; of a call that needs it.
	At           time.Time
	By, Evidence string
}

// The states of consent.
const (
	ConsentWaiting = "waiting"
	ConsentGiven   = "given"
	ConsentRefused = "refused"
)
