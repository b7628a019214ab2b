package call

import (
	"encoding/json"
	"fmt"
	"time"
)

// Type names an event; a closed set, so it may be a metric label.
type Type string

// The events that stand in events.jsonl, in the order in which a call usually meets them.
const (
	EventCallStarted   Type = "call_started"
	EventCallMoved     Type = "call_moved"    // goes on in another telephony session; facts: session
	EventCallMasked    Type = "call_masked"   // its audio is held back from now on, for good; facts: masked (on whose word)
	EventPartStarted   Type = "part_started"  // a folder more; facts: part, mode, streams, text
	EventPartEnded     Type = "part_ended"    // the part before takes nothing more; facts: part
	EventAgentTalks    Type = "agent_talks"   // a monitored agent took the call, or took it up again; facts: agent, party_id
	EventAgentHolds    Type = "agent_holds"   // RingCentral shows the agent's party on hold; facts: agent, party_id
	EventAgentLeft     Type = "agent_left"    // no monitored agent is in the call; facts: agent, party_id, reason
	EventJoinFailed    Type = "join_failed"   // a stream does not come, or not yet; facts: role, party_id, cause, text
	EventLegAnswered   Type = "leg_answered"  // our 200 went out; facts: sip_call_id, source
	EventTrackOpened   Type = "track_opened"  // facts: party_id, role, codec, srtp
	EventTrackStarted  Type = "track_started" // the first packet came
	EventTrackPlaced   Type = "track_placed"  // facts: offset_samples, offset_method
	EventTrackUpdated  Type = "track_updated" // re-offer took effect; facts: what changed
	EventTrackEpoch    Type = "track_epoch"   // new SSRC or timestamp base; facts: epoch, ssrc, why
	EventTrackStray    Type = "track_stray"   // packets from a source that is not the track's; facts: packets
	EventHold          Type = "hold"
	EventResume        Type = "resume"
	EventDTMF          Type = "dtmf" // facts: digit, duration_samples
	EventNoMedia       Type = "no_media"
	EventMaskOn        Type = "mask_on"   // audio is held back from then on; facts: by (pci, hook, hold, consent), why
	EventMaskOff       Type = "mask_off"  // facts: by; audio goes out again once nobody holds it back
	EventMaskOver      Type = "mask_over" // nobody ended a mask in its time, so it ended by itself; facts: by
	EventConsent       Type = "consent"   // facts: state (waiting, given, refused), basis, by, evidence
	EventLeave         Type = "leave"     // what waited in memory goes out; facts: by, kept_ms
	EventLegEnded      Type = "leg_ended" // facts: cause
	EventTrackEnded    Type = "track_ended"
	EventStreamStarted Type = "stream_started"
	EventStreamDropped Type = "stream_dropped" // a consumer was too slow; facts: samples
	EventRevoked       Type = "revoked"        // a mask took back what a consumer had; facts: consumer, from_samples, samples
	EventStreamEnded   Type = "stream_ended"
	// EventTranscript is what a consumer heard; it is told live and never stands in events.jsonl. Facts: consumer, role, party, from_samples, samples (call time), text, final, confidence.
	EventTranscript        Type = "transcript"
	EventTranscriptRevoked Type = "transcript_revoked" // a mask took back what was heard; facts: consumer, from_samples, samples (call time)
	EventDisk              Type = "disk"               // the disk did not take some audio; facts: state begun or over, samples, err
	EventDropped           Type = "events_dropped"     // a full mailbox; facts: events
	EventCallEnded         Type = "call_ended"         // facts: cause
)

// Event is one thing that happened to a call. Track is 0 where no track is meant; Pos is in samples on that track.
// Facts holds what else is known under JSON names; values are strings, numbers, booleans or lists of them, never secrets,
// and nobody changes the map after the event was handed on.
type Event struct {
	Time  time.Time
	Type  Type
	Call  string
	Leg   string // SIP Call-ID of the dialog
	Track uint32
	Pos   int64
	Facts map[string]any
}

// MarshalJSON writes the flat form of events.jsonl: {"time","type","call","leg","track","pos",...facts}. A fact can't
// take the place of one of these names.
func (e Event) MarshalJSON() ([]byte, error) {
	m := make(map[string]any, len(e.Facts)+6)
	for k, v := range e.Facts {
		m[k] = v
	}
	m["time"] = e.Time.UTC().Format(time.RFC3339Nano)
	m["type"] = e.Type
	m["call"] = e.Call
	if e.Leg != "" {
		m["leg"] = e.Leg
	}
	if e.Track != 0 {
		m["track"] = e.Track
		m["pos"] = e.Pos
	}
	b, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("event %s: %w", e.Type, err)
	}
	return b, nil
}
