package vcon

import (
	"encoding/json"
	"time"
)

// syntax is the version that readers of earlier drafts look for; the draft calls the key deprecated.
const syntax = "0.4.0"

// MediaType is that of a vCon.
const MediaType = "application/vcon"

// VCon is the unsigned form.
type VCon struct {
	VCon        string       `json:"vcon"`
	UUID        string       `json:"uuid"`
	Extensions  []string     `json:"extensions"`
	CreatedAt   time.Time    `json:"created_at"`
	Parties     []Party      `json:"parties"`
	Dialog      []Dialog     `json:"dialog"`
	Analysis    []Analysis   `json:"analysis,omitempty"`
	Attachments []Attachment `json:"attachments"`
}

// Party is one who took part. Role is of the contact centre extension.
type Party struct {
	Tel  string `json:"tel,omitempty"`
	Name string `json:"name,omitempty"`
	UUID string `json:"uuid,omitempty"` // RingCentral's party id
	Type string `json:"type,omitempty"`
	Role string `json:"role,omitempty"`
}

// Dialog is the recording. Parties has an entry for each channel: a party's index, several, or nil.
type Dialog struct {
	Type          string    `json:"type"` // recording, or incomplete where there was no media
	Start         time.Time `json:"start"`
	Duration      *float64  `json:"duration,omitempty"` // seconds
	Parties       []any     `json:"parties"`
	MediaType     string    `json:"mediatype,omitempty"`
	Filename      string    `json:"filename,omitempty"`
	Body          string    `json:"body,omitempty"`
	Encoding      string    `json:"encoding,omitempty"`
	URL           string    `json:"url,omitempty"`
	ContentHash   string    `json:"content_hash,omitempty"`
	Disposition   string    `json:"disposition,omitempty"`
	InteractionID string    `json:"interaction_id,omitempty"`
	PartyHistory  []History `json:"party_history,omitempty"`
}

// History is what became of a party: join, drop, hold, unhold, mute, unmute. Muted is who is masked.
type History struct {
	Party int       `json:"party"`
	Time  time.Time `json:"time"`
	Event string    `json:"event"`
}

// Analysis is what was made of the recording: its transcript.
type Analysis struct {
	Type        string `json:"type"`
	Dialog      int    `json:"dialog"`
	MediaType   string `json:"mediatype"`
	Filename    string `json:"filename"`
	Vendor      string `json:"vendor"`
	Product     string `json:"product,omitempty"`
	Schema      string `json:"schema"`
	ContentHash string `json:"content_hash"`
}

// Attachment is what else is known.
type Attachment struct {
	Purpose   string          `json:"purpose"`
	Start     time.Time       `json:"start"`
	Party     int             `json:"party"`
	Dialog    int             `json:"dialog"`
	MediaType string          `json:"mediatype"`
	Encoding  string          `json:"encoding"`
	Body      json.RawMessage `json:"body"`
}
