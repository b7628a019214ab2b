package endpoint

import "time"

// ConsumerStatus is one consumer of a live call's audio, or of one of its tracks.
type ConsumerStatus struct {
	Name           string    `json:"name"`
	Role           string    `json:"role"`  // whose audio: agent, customer, mix, or customer,agent in stereo
	State          string    `json:"state"` // waiting, connected, given_up
	Since          time.Time `json:"since"` // of the state
	LagMillis      int64     `json:"lag_ms"`
	DroppedSamples int64     `json:"dropped_samples"`
	Reconnects     int64     `json:"reconnects"`
	SentOctets     int64     `json:"sent_octets"`
	Error          string    `json:"error,omitempty"` // why its newest connection ended, or was not made
}

// consumers gives those of live calls, by call.
func (e *Endpoint) consumers() map[string][]ConsumerStatus {
	out := map[string][]ConsumerStatus{}
	for _, l := range e.hub.Live() {
		out[l.Call] = append(out[l.Call], ConsumerStatus{
			Name: l.Consumer, Role: l.Role, State: l.State, Since: l.Since, LagMillis: l.Lag.Milliseconds(), DroppedSamples: l.DroppedSamples,
			Reconnects: l.Reconnects, SentOctets: l.SentOctets, Error: l.Error,
		})
	}
	return out
}
