package recorder

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/earshot/earshot/call"
)

// The files of a recording's folder.
const (
	AudioName    = "audio.wav"
	ManifestName = "recording.json"
	EventsName   = "events.jsonl"
)

const (
	manifestVersion = 1
	// maxManifestBytes bounds what is read as a manifest: some ten tracks with maxSpans each.
	maxManifestBytes = 64 << 20
	// indentSpans is up to where a manifest is laid out for people.
	indentSpans = 1000
)

// Manifest is recording.json. Keys are added, never renamed; readers skip what they don't know.
type Manifest struct {
	Version  int          `json:"version"`
	Software string       `json:"software"`
	Call     ManifestCall `json:"call"`
	Part     int          `json:"part"` // from 1
	Previous *Previous    `json:"previous,omitempty"`
	State    State        `json:"state"`
	// Cause says why State is not recorded; of a recorded call, why it ended. Empty while the call lives.
	Cause     call.Code `json:"cause"`
	CauseText string    `json:"cause_text,omitempty"`
	// Unannounced: it was found unfinished, and the evidence log does not say that it was begun.
	Unannounced bool        `json:"unannounced,omitempty"`
	EndCause    *call.Cause `json:"end_cause,omitempty"` // why the call ended
	Started     time.Time   `json:"started"`             // sample 0
	Ended       *time.Time  `json:"ended"`               // null while the call lives
	Anchor      *ClockPoint `json:"anchor,omitempty"`
	Rate        int         `json:"rate"`           // Hz
	Samples     int64       `json:"samples"`        // of each channel
	Channels    []string    `json:"channels"`       // roles, left first
	Fill        string      `json:"fill,omitempty"` // conceal: lost runs are no silence
	Missing     []Missing   `json:"missing,omitempty"`
	// Gaps are stretches of a channel in which there was nothing to hear: nothing is missing there.
	Gaps []Missing `json:"gaps,omitempty"`
	// Consent is the ground on which the call was recorded, as the user stated it.
	Consent *Consent `json:"consent,omitempty"`
	// Masks are the stretches whose audio was held back, by whose word each.
	Masks []Mask `json:"masks,omitempty"`
	// Late is what went unheard before sample 0.
	Late  *Late  `json:"late,omitempty"`
	Audio *Audio `json:"audio,omitempty"` // only when sealed, and only if there is one
	// Retention is how long the recording is to be kept, as the configuration was when it was sealed; absent: for ever.
	Retention *Kept `json:"retention,omitempty"`
	// Encryption is there where the audio is encrypted.
	Encryption *Encryption `json:"encryption,omitempty"`
	// Files are the folder's other files, when sealed.
	Files  []File  `json:"files,omitempty"`
	Tracks []Track `json:"tracks"`
}

// ManifestCall is who was recorded.
type ManifestCall struct {
	ID         string       `json:"id"`
	Sessions   []string     `json:"sessions"`
	SIPCallIDs []string     `json:"sip_call_ids"`
	Agent      string       `json:"agent,omitempty"`
	Mode       string       `json:"mode,omitempty"`
	Direction  string       `json:"direction,omitempty"` // inbound or outbound, as the agent sees it
	Queues     []string     `json:"queues,omitempty"`    // call queues that it came through, numbers and ids
	Masked     string       `json:"masked,omitempty"`    // on whose word the audio is held back; empty: it is not
	Expected   []call.Party `json:"expected,omitempty"`
	Earlier    []string     `json:"earlier,omitempty"` // calls that this one goes on from, recorded apart
}

// Previous names the part before: SHA256 is of its recording.json.
type Previous struct {
	Folder string `json:"folder"`
	SHA256 string `json:"sha256,omitempty"`
	Text   string `json:"text,omitempty"` // why another part began, other than a restart
}

// ClockPoint ties the media engine's clock to the wall.
type ClockPoint struct {
	Wall   time.Time `json:"wall"`
	MonoNS int64     `json:"mono_ns"`
}

// Missing is one thing that a partial recording lacks.
type Missing struct {
	What    string    `json:"what"` // stream, track, overlap, samples, mask, gap, tail, octets
	Channel *int      `json:"channel,omitempty"`
	Track   uint32    `json:"track,omitempty"`
	Pos     int64     `json:"pos,omitempty"` // of a gap: its index in audio.wav
	Samples int64     `json:"samples,omitempty"`
	Cause   call.Code `json:"cause"`
	Text    string    `json:"text,omitempty"`
}

// OnDisk names the files of a sealed recording's folder, but for recording.json and its signature.
func (m *Manifest) OnDisk() []File {
	if m.Audio == nil || m.Encryption != nil { // then the segments stand among the files
		return m.Files
	}
	return append([]File{{m.Audio.File, m.Audio.SHA256, m.Audio.Bytes}}, m.Files...)
}

// Audio is audio.wav as it was sealed. Where it is encrypted there is no such file, and it is what the segments make when they are joined; its hash is then
// unknown after a crash, as nobody on that machine can read them.
type Audio struct {
	File   string `json:"file,omitempty"`
	Format string `json:"format"` // wav (PCM16), mulaw or alaw
	SHA256 string `json:"sha256,omitempty"`
	Bytes  int64  `json:"bytes"`
	// Segments are the hashes of the file's pieces.
	Segments *Segments `json:"segments,omitempty"`
}

// Track is one party's audio. Positions are on the track; pos + OffsetSamples is the index in audio.wav.
type Track struct {
	ID             uint32    `json:"id"`
	Leg            string    `json:"leg,omitempty"` // SIP Call-ID
	Line           int       `json:"line"`          // of its m= line
	PartyID        string    `json:"party_id"`
	Role           call.Role `json:"role"`
	IdentifiedBy   string    `json:"identified_by"`
	Name           string    `json:"name,omitempty"`
	Number         string    `json:"number,omitempty"`
	Extension      string    `json:"extension,omitempty"`
	Channel        int       `json:"channel"` // 0 left or mono, 1 right, -1 not in the audio
	Codec          string    `json:"codec"`
	SRTP           bool      `json:"srtp"`
	OffsetSamples  int64     `json:"offset_samples"`
	OffsetMethod   string    `json:"offset_method"`   // empty: nothing came
	OffsetEstimate int64     `json:"offset_estimate"` // the newest knowledge, of the first epoch; OffsetSamples stays as it was
	DriftPPM       float64   `json:"drift_ppm"`
	Samples        int64     `json:"samples"` // from pos 0 to the track's end
	Ended          bool      `json:"ended"`
	Epochs         []Epoch   `json:"epochs"`
	// EpochCount is how many there were, where Epochs does not list them all.
	EpochCount int    `json:"epoch_count,omitempty"`
	Counts     Counts `json:"counts"`
	// Quality is absent where nothing of it was measured.
	Quality *Quality `json:"quality,omitempty"`
	Spans   []Span   `json:"spans"` // all that is not received, in order
	// SpansFile has the spans before those; SpansUntil is where Spans ends for their number's sake. With either, SpanTotals says
	// what there was in all.
	SpansFile  *SpansFile       `json:"spans_file,omitempty"`
	SpansUntil *int64           `json:"spans_until,omitempty"`
	SpanTotals map[string]int64 `json:"span_totals,omitempty"`
	Overlaps   []Overlap        `json:"overlaps,omitempty"`
	// OctetsFile has what came in another law than audio.wav's, as it came.
	OctetsFile *OctetsFile `json:"octets_file,omitempty"`
}

// Epoch is a stretch under one SSRC and timestamp base.
type Epoch struct {
	Pos       int64  `json:"pos"`
	SSRC      uint32 `json:"ssrc"`
	Timestamp uint32 `json:"timestamp"`
	Why       string `json:"why"`
	// OffsetEstimate and DriftPPM are there where they are known: by them the sample at p lies at
	// Pos + OffsetEstimate + (p - Pos) / (1 + DriftPPM/1e6) of the call's timeline.
	OffsetEstimate *int64   `json:"offset_estimate,omitempty"`
	DriftPPM       *float64 `json:"drift_ppm,omitempty"`
}

// Span is a run of samples that were not received in time: late, lost, gap, masked, disk or unknown.
type Span struct {
	Kind    string `json:"kind"`
	Pos     int64  `json:"pos"`
	Samples int64  `json:"samples"`
}

// Overlap is a run of a track that is not heard because a newer track has the channel at that time.
type Overlap struct {
	By      uint32 `json:"by"`
	Pos     int64  `json:"pos"`
	Samples int64  `json:"samples"`
}

// Counts are a track's counters, as media kept them.
type Counts struct {
	Packets           int64   `json:"packets"`
	Octets            int64   `json:"octets"`
	ReceivedSamples   int64   `json:"received_samples"`
	LateSamples       int64   `json:"late_samples"`
	LostSamples       int64   `json:"lost_samples"`
	GapSamples        int64   `json:"gap_samples"`
	MaskedSamples     int64   `json:"masked_samples"`
	DiskSamples       int64   `json:"disk_samples"`
	DuplicatePackets  int64   `json:"duplicate_packets"`
	ReorderedPackets  int64   `json:"reordered_packets"`
	LostPackets       int64   `json:"lost_packets"`
	LatePackets       int64   `json:"late_packets"`
	TooLatePackets    int64   `json:"too_late_packets"`
	AuthFailedPackets int64   `json:"auth_failed_packets"`
	StrayPackets      int64   `json:"stray_packets"`
	MalformedPackets  int64   `json:"malformed_packets"`
	UnknownPTPackets  int64   `json:"unknown_pt_packets"`
	EventPackets      int64   `json:"event_packets"`
	ComfortPackets    int64   `json:"comfort_packets"`
	SSRCChanges       int64   `json:"ssrc_changes"`
	JitterSamples     float64 `json:"jitter_samples"`
	SentPackets       int64   `json:"sent_packets"`
	RTCPPackets       int64   `json:"rtcp_packets"`
	RTCPRefused       int64   `json:"rtcp_refused_packets"` // no RTCP, or not the far side's
	RTCPSent          int64   `json:"rtcp_sent_packets"`
}

// ReadManifest reads the manifest of a recording's folder, sealed or not.
func ReadManifest(dir string) (*Manifest, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	defer root.Close()
	return readManifest(root, ManifestName)
}

func readManifest(root *os.Root, name string) (*Manifest, error) {
	b, err := manifestOctets(root, name)
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	m, err := ParseManifest(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return m, nil
}

// ManifestHash is the SHA-256 of a folder's recording.json, hex: what the evidence log names.
func ManifestHash(dir string) (string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", fmt.Errorf("manifest: %w", err)
	}
	defer root.Close()
	return manifestHash(root, ".")
}

func manifestHash(root *os.Root, folder string) (string, error) {
	b, err := manifestOctets(root, inDay(folder, ManifestName))
	if err != nil {
		return "", fmt.Errorf("manifest: %w", err)
	}
	return sumOf(b), nil
}

// manifestOctets reads a file that may be a manifest; of one that is too large to be one, enough to tell.
func manifestOctets(root *os.Root, name string) ([]byte, error) {
	f, err := openFile(root, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxManifestBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return b, nil
}

// ParseManifest reads the octets of a recording.json of any version that we know. Numbers that count samples are never
// negative in what it returns.
func ParseManifest(b []byte) (*Manifest, error) {
	if len(b) > maxManifestBytes {
		return nil, fmt.Errorf("manifest: more than %d octets", maxManifestBytes)
	}
	m := new(Manifest)
	if err := json.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	if m.Version != manifestVersion {
		return nil, fmt.Errorf("manifest: version: got %d, want %d", m.Version, manifestVersion)
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	return m, nil
}

var errNegative = errors.New("negative, or too large")

func (m *Manifest) check() error {
	switch m.State {
	case StateRecorded, StatePartial, StateNoMedia:
	default:
		return fmt.Errorf("state: got %q, want recorded, partial or no_media", m.State)
	}
	if m.Samples < 0 || m.Part < 0 {
		return fmt.Errorf("samples or part: %w", errNegative)
	}
	if m.Encryption != nil {
		if err := m.Encryption.check(); err != nil {
			return err
		}
	}
	for _, t := range m.Tracks {
		if t.OffsetSamples < 0 || t.Samples < 0 || t.OffsetSamples+t.Samples < 0 {
			return fmt.Errorf("track %d: offset or samples: %w", t.ID, errNegative)
		}
		if f := t.SpansFile; f != nil && (f.Spans < 0 || f.Until < 0 || f.Bytes < 0) {
			return fmt.Errorf("track %d: spans_file: %w", t.ID, errNegative)
		}
		pos := int64(0)
		for _, e := range t.Epochs {
			if e.Pos < pos || t.OffsetSamples+e.Pos < 0 {
				return fmt.Errorf("track %d: epoch at %d: out of order, or too large", t.ID, e.Pos)
			}
			pos = e.Pos
		}
		for _, s := range t.Spans {
			if s.Pos < 0 || s.Samples < 0 || s.Pos+s.Samples < 0 {
				return fmt.Errorf("track %d: span at %d: %w", t.ID, s.Pos, errNegative)
			}
		}
	}
	return nil
}

// encode gives the file's octets; every list is there, if empty.
func (m *Manifest) encode() ([]byte, error) {
	spans := 0
	m.Call.Sessions, m.Call.SIPCallIDs = full(m.Call.Sessions), full(m.Call.SIPCallIDs)
	m.Channels, m.Tracks = full(m.Channels), full(m.Tracks)
	for i := range m.Tracks {
		t := &m.Tracks[i]
		t.Epochs, t.Spans = full(t.Epochs), full(t.Spans)
		spans += len(t.Spans)
	}
	var b []byte
	var err error
	if spans <= indentSpans {
		b, err = json.MarshalIndent(m, "", "  ")
	} else {
		b, err = json.Marshal(m)
	}
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	return append(b, '\n'), nil
}

func full[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
