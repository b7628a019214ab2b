package vcon

import (
	"crypto/sha1" //nolint:gosec // a name's hash, as the draft has it; nothing is trusted to it
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"
)

// Options are what recording.json doesn't say.
type Options struct {
	// SHA512 is the hash of the audio file, 64 octets; nil: there is none, or Inline has it.
	SHA512 []byte
	// URL is where the audio can be had, https; empty: it is the file of that name beside the vCon.
	URL string
	// Inline is the audio itself; nil: it is not in the vCon.
	Inline []byte
	// TranscriptSHA512 is the hash of transcript.jsonl beside the vCon, 64 octets; nil: there is none.
	TranscriptSHA512 []byte
	// Created is when the vCon was made; zero: when the recording ended, else when it began.
	Created time.Time
}

// transcriptSchema names the form of a transcript's lines.
const transcriptSchema = "https://github.com/earshot/earshot/docs/format/transcript.schema.json"

// builder makes a vCon of a manifest.
type builder struct {
	m       *manifest
	out     *VCon
	parties map[string]int // by what tells a party
	tracks  map[uint32]int // party by track
}

// Build makes a vCon of the octets of recording.json, and of what events.jsonl has.
func Build(recording []byte, events io.Reader, o Options) (*VCon, error) {
	m, err := parse(recording)
	if err != nil {
		return nil, err
	}
	for _, h := range [...][]byte{o.SHA512, o.TranscriptSHA512} {
		if len(h) != 0 && len(h) != 64 {
			return nil, fmt.Errorf("vcon: SHA-512: got %d octets, want 64", len(h))
		}
	}
	if u, err := url.Parse(o.URL); o.URL != "" && (err != nil || u.Scheme != "https" || u.Host == "") {
		return nil, errors.New("vcon: url: want one such as https://records.example.com/audio.wav")
	}
	b := &builder{m: m, parties: map[string]int{}, tracks: map[uint32]int{}}
	b.out = &VCon{VCon: syntax, UUID: b.uuid(), Extensions: []string{"CC"}, CreatedAt: o.Created.UTC()}
	if o.Created.IsZero() {
		b.out.CreatedAt = m.Started.UTC()
		if m.Ended != nil {
			b.out.CreatedAt = m.Ended.UTC()
		}
	}
	d := b.dialog(o)
	if d.PartyHistory, err = b.history(events); err != nil {
		return nil, err
	}
	b.out.Dialog = []Dialog{d}
	if len(o.TranscriptSHA512) > 0 {
		b.out.Analysis = []Analysis{{
			Type: "transcript", MediaType: "application/jsonl", Filename: "transcript.jsonl", Vendor: "earshot", Product: m.Software, Schema: transcriptSchema,
			ContentHash: contentHash(o.TranscriptSHA512),
		}}
	}
	if err := b.attach(); err != nil {
		return nil, err
	}
	return b.out, nil
}

// uuid is of version 8: milliseconds, 12 and 62 bits of a hash.
func (b *builder) uuid() string {
	name := fmt.Sprintf("%s\n%d\n%s", b.m.Call.ID, b.m.Part, b.m.Started.UTC().Format(time.RFC3339Nano))
	h := sha1.Sum([]byte(name)) //nolint:gosec // see above
	var u [16]byte
	ms := uint64(b.m.Started.UnixMilli())
	for i := range 6 {
		u[i] = byte(ms >> (40 - 8*i))
	}
	u[6], u[7] = 0x80|h[18]&0x0F, h[19]
	copy(u[8:], h[:8])
	u[8] = 0x80 | u[8]>>2 // RFC 9562 section 4.1: the variant's two bits
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// party gives the index of a party, which it makes if it is new. Without an id each track's is one of its own.
func (b *builder) party(p person, key string) int {
	if p.ID != "" {
		key = "id " + p.ID
	}
	i, known := b.parties[key]
	if !known {
		i = len(b.out.Parties)
		b.parties[key] = i
		b.out.Parties = append(b.out.Parties, Party{UUID: p.ID, Role: p.Role})
	}
	x := &b.out.Parties[i]
	if x.Name == "" {
		x.Name = p.Name
	}
	if x.Name == "" && p.Extension != "" {
		x.Name = "extension " + p.Extension
	}
	if x.Tel == "" {
		x.Tel = tel(p.Number)
	}
	if x.Role == "unknown" || x.Role == "" {
		x.Role = p.Role
	}
	return i
}

// tel is a URL of RFC 3966 of a global number. A local one would need a context that nobody told us.
func tel(number string) string {
	digits, global := strings.CutPrefix(number, "+")
	digits = strings.Map(func(r rune) rune {
		if strings.ContainsRune(" -.()", r) {
			return -1
		}
		return r
	}, digits)
	if !global || digits == "" || len(digits) > 15 || strings.Trim(digits, "0123456789") != "" {
		return ""
	}
	return "tel:+" + digits
}

// dialog is the recording itself.
func (b *builder) dialog(o Options) Dialog {
	m := b.m
	d := Dialog{Type: "recording", Start: m.Started.UTC(), InteractionID: m.Call.ID, Parties: b.channels()}
	if m.State == "no_media" {
		d.Type, d.Disposition = "incomplete", "failed"
		return d
	}
	seconds := float64(m.Samples) / float64(m.Rate)
	d.Duration, d.MediaType, d.Filename = &seconds, "audio/x-wav", "audio.wav"
	if m.Audio != nil && m.Audio.File != "" {
		d.Filename = m.Audio.File
	}
	if o.Inline != nil {
		d.Body, d.Encoding = base64.RawURLEncoding.EncodeToString(o.Inline), "base64url"
		return d
	}
	d.URL = o.URL
	if len(o.SHA512) > 0 {
		d.ContentHash = contentHash(o.SHA512)
	}
	return d
}

// contentHash is a SHA-512 as the draft writes it.
func contentHash(sum []byte) string { return "sha512-" + base64.RawURLEncoding.EncodeToString(sum) }

// channels gives the parties of each channel, the silent ones too.
func (b *builder) channels() []any {
	on := make([][]int, len(b.m.Channels))
	for _, t := range b.m.Tracks {
		i := b.party(t.person(), fmt.Sprintf("track %d", t.ID))
		b.tracks[t.ID] = i
		if t.Channel >= 0 && t.Channel < len(on) && !has(on[t.Channel], i) {
			on[t.Channel] = append(on[t.Channel], i)
		}
	}
	for n, p := range b.m.Call.Expected {
		i := b.party(p, fmt.Sprintf("expected %d", n))
		for ch, role := range b.m.Channels {
			if role == p.Role && len(on[ch]) == 0 {
				on[ch] = []int{i}
			}
		}
	}
	out := make([]any, len(on))
	for ch, list := range on {
		switch len(list) {
		case 0:
		case 1:
			out[ch] = list[0]
		default:
			out[ch] = list
		}
	}
	return out
}

func has(list []int, i int) bool {
	for _, x := range list {
		if x == i {
			return true
		}
	}
	return false
}

// attach adds what else is known, by us: the draft wants who adds it to be a party.
func (b *builder) attach() error {
	m := b.m
	us := len(b.out.Parties)
	b.out.Parties = append(b.out.Parties, Party{Name: m.Software, Type: "software"})
	add := func(purpose string, body any) error {
		raw, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("vcon: %s: %w", purpose, err)
		}
		b.out.Attachments = append(b.out.Attachments, Attachment{
			Purpose: purpose, Start: b.out.CreatedAt, Party: us, MediaType: "application/json", Encoding: "json", Body: raw,
		})
		return nil
	}
	type lossTrack struct {
		ID            uint32           `json:"id"`
		Party         int              `json:"party"`
		Channel       int              `json:"channel"`
		OffsetSamples int64            `json:"offset_samples"`
		Samples       int64            `json:"samples"`
		Spans         json.RawMessage  `json:"spans"`
		SpansFile     json.RawMessage  `json:"spans_file,omitempty"`
		SpanTotals    map[string]int64 `json:"span_totals,omitempty"`
		Quality       json.RawMessage  `json:"quality,omitempty"`
	}
	loss := struct {
		State   string          `json:"state"`
		Rate    int             `json:"rate"`
		Tracks  []lossTrack     `json:"tracks"`
		Missing json.RawMessage `json:"missing,omitempty"`
		Gaps    json.RawMessage `json:"gaps,omitempty"`
		Late    json.RawMessage `json:"late,omitempty"`
	}{State: m.State, Rate: m.Rate, Tracks: []lossTrack{}, Missing: m.Missing, Gaps: m.Gaps, Late: m.Late}
	for _, t := range m.Tracks {
		spans := t.Spans
		if spans == nil {
			spans = json.RawMessage("[]")
		}
		loss.Tracks = append(loss.Tracks, lossTrack{t.ID, b.tracks[t.ID], t.Channel, t.OffsetSamples, t.Samples, spans, t.SpansFile, t.SpanTotals, t.Quality})
	}
	sessions := struct {
		CallID     string          `json:"call_id"`
		Part       int             `json:"part"`
		Previous   json.RawMessage `json:"previous,omitempty"`
		Sessions   []string        `json:"sessions"`
		SIPCallIDs []string        `json:"sip_call_ids"`
		Earlier    []string        `json:"earlier,omitempty"`
	}{m.Call.ID, m.Part, m.Previous, m.Call.Sessions, m.Call.SIPCallIDs, m.Call.Earlier}
	err := errors.Join(add("loss map", loss), add("session ids", sessions))
	if len(m.Consent) > 0 && string(m.Consent) != "null" {
		err = errors.Join(err, add("lawful basis", m.Consent))
	}
	return err
}
