package vcon

import (
	"encoding/json"
	"fmt"
	"time"
)

// manifest is what is read of recording.json, as docs/format/recording.md has it.
type manifest struct {
	Version  int
	Software string
	Call     struct {
		ID         string
		Sessions   []string
		SIPCallIDs []string `json:"sip_call_ids"`
		Earlier    []string
		Expected   []person
	}
	Part     int
	Previous json.RawMessage
	State    string
	Started  time.Time
	Ended    *time.Time
	Rate     int
	Samples  int64
	Channels []string
	Audio    *struct{ File, Format string }
	Missing  json.RawMessage
	Gaps     json.RawMessage
	Late     json.RawMessage
	Consent  json.RawMessage
	Tracks   []track
}

type person struct {
	ID, Role, Name, Number, Extension string
}

type track struct {
	ID            uint32
	Leg           string
	PartyID       string `json:"party_id"`
	Role          string
	Name          string
	Number        string
	Extension     string
	Channel       int
	OffsetSamples int64 `json:"offset_samples"`
	Samples       int64
	Spans         json.RawMessage
	SpansFile     json.RawMessage  `json:"spans_file"`
	SpanTotals    map[string]int64 `json:"span_totals"`
	Quality       json.RawMessage
}

func (t track) person() person { return person{t.PartyID, t.Role, t.Name, t.Number, t.Extension} }

// event is what is read of a line of events.jsonl.
type event struct {
	Time    time.Time
	Type    string
	Track   uint32
	PartyID string `json:"party_id"`
}

func parse(b []byte) (*manifest, error) {
	m := new(manifest)
	if err := json.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("vcon: recording.json: %w", err)
	}
	if m.Version != 1 {
		return nil, fmt.Errorf("vcon: recording.json: version: got %d, want 1", m.Version)
	}
	if m.Rate <= 0 {
		return nil, fmt.Errorf("vcon: recording.json: rate: got %d", m.Rate)
	}
	return m, nil
}
