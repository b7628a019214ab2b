package recorder

import (
	"time"

	"github.com/earshot/earshot/call"
)

// consentNotStated is the mode of a call whose ground nobody stated.
const consentNotStated = "not stated"

// Consent is the ground on which a call was recorded, as the user stated it.
type Consent struct {
	Mode  string `json:"mode"` // assumed, required, not stated
	Basis string `json:"basis,omitempty"`
	// State, of required: waiting (nobody said anything until the recording's end), given, refused.
	State    string     `json:"state,omitempty"`
	At       *time.Time `json:"at,omitempty"`
	By       string     `json:"by,omitempty"`
	Evidence string     `json:"evidence,omitempty"`
}

// consentIn gives it as a manifest has it.
func consentIn(c call.Consent) *Consent {
	out := &Consent{Mode: c.Mode, Basis: c.Basis, State: c.State, By: c.By, Evidence: c.Evidence}
	if c.Mode == "" {
		out.Mode = consentNotStated
	}
	if !c.At.IsZero() {
		at := c.At.UTC()
		out.At = &at
	}
	return out
}
