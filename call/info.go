package call

import "time"

// Info is what is known of a call when its media begins. It is copied, never shared.
type Info struct {
	// ID names the call everywhere: the first telephony session's id, else the SIP Call-ID; as received, not cleaned.
	ID string
	// Sessions are RingCentral's telephony session ids, oldest first; empty on a plain registrar.
	Sessions []string
	// SIPCallIDs are the Call-IDs of the dialogs known so far.
	SIPCallIDs []string
	// Started is the wall time of the first answer, UTC; sample 0 of the recording.
	Started time.Time
	// Expected are the streams that the plan or the offer promises, in channel order where roles are unknown. Two or
	// more make a stereo recording; a promised one that never comes is a silent channel.
	Expected []Party
	// Earlier are calls that this one goes on from, where that was known too late to make one call of both.
	Earlier []string
	// Part is which part of the call this is, from 1: the number of its folder. 0 is not known.
	Part int
	// Agent is the monitored agent's extension number, empty on a plain registrar.
	Agent string
	// AgentID is the agent's extension id, and Groups its call monitoring groups, by id and name, of those that supervise.groups names.
	AgentID string
	Groups  []string
	// Direction is Inbound or Outbound as the agent sees it, and Queues the call queues, by number and id, that it came through; empty: not known, or none.
	Direction string
	Queues    []string
	// Mode is how RingCentral was asked: "party", "session", or "" on a plain registrar.
	Mode string
	// Talks is since when RingCentral shows the agent on the line, zero where that is not known; Obstacle what kept the call
	// from being heard at once, empty where nothing did.
	Talks    time.Time
	Obstacle string
	// Consent is the ground on which it is recorded.
	Consent Consent
	// Masked says on whose word the audio is held back from the first sample on, such as "hook"; empty: it is not.
	Masked string
	// Masks are those that last when the part begins.
	Masks []Mask
}

// The directions of a call, as the agent sees it.
const (
	Inbound  = "inbound"
	Outbound = "outbound"
)
