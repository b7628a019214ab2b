package supervise

import (
	"encoding/json"
	"fmt"
	"time"
)

// sessionEvent is one telephony session event: normally the one party that changed.
type sessionEvent struct {
	session  string
	sequence int64 // counts within the session, over all its parties; 0: not given
	at       time.Time
	parties  []partyState
}

// parseEvent reads the body of a notification: the flat form, with the event in its own body. Notifications of another
// kind are no error and have no session.
func parseEvent(raw []byte) (sessionEvent, error) {
	var d struct {
		Body struct {
			Session  text           `json:"telephonySessionId"`
			Sequence text           `json:"sequence"`
			Time     text           `json:"eventTime"`
			Parties  list[partyDoc] `json:"parties"`
		} `json:"body"`
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		return sessionEvent{}, fmt.Errorf("event of %d octets: %w", len(raw), err)
	}
	if len(d.Body.Session) > maxIDOctets {
		return sessionEvent{}, fmt.Errorf("event: session's id of %d octets, want %d at most", len(d.Body.Session), maxIDOctets)
	}
	ev := sessionEvent{session: string(d.Body.Session), sequence: max(0, d.Body.Sequence.integer()), at: parseTime(string(d.Body.Time))}
	for _, p := range d.Body.Parties {
		if p.ID.id() != "" && len(ev.parties) < maxParties {
			ev.parties = append(ev.parties, p.state())
		}
	}
	return ev, nil
}

// maxParties bounds what is kept of one session; a conference has fewer.
const maxParties = 200
