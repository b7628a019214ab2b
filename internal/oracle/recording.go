package oracle

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// TB is what the oracle needs of a testing.TB, so that it links no package testing.
type TB interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Manifest is a second reader of recording.json, by the contract alone.
type Manifest struct {
	Version  int `json:"version"`
	Part     int `json:"part"`
	Previous *struct {
		Folder string `json:"folder"`
		SHA256 string `json:"sha256"`
		Text   string `json:"text"`
	} `json:"previous"`
	State     string    `json:"state"`
	Cause     string    `json:"cause"`
	CauseText string    `json:"cause_text"`
	Started   time.Time `json:"started"`
	Ended     time.Time `json:"ended"`
	Rate      int       `json:"rate"`
	Samples   int64     `json:"samples"`
	Channels  []string  `json:"channels"`
	Call      struct {
		ID         string   `json:"id"`
		Sessions   []string `json:"sessions"`
		SIPCallIDs []string `json:"sip_call_ids"`
		Agent      string   `json:"agent"`
		Mode       string   `json:"mode"`
		Earlier    []string `json:"earlier"`
	} `json:"call"`
	Late *struct {
		Since   time.Time `json:"since"`
		Samples int64     `json:"samples"`
		Cause   string    `json:"cause"`
		Text    string    `json:"text"`
	} `json:"late"`
	Missing []Lack  `json:"missing"`
	Gaps    []Lack  `json:"gaps"`
	Tracks  []Track `json:"tracks"`
}

// Lack is a stretch of a channel without a track, or another thing that is missing.
type Lack struct {
	What    string `json:"what"`
	Channel *int   `json:"channel"`
	Track   uint32 `json:"track"`
	Pos     int64  `json:"pos"`
	Samples int64  `json:"samples"`
	Cause   string `json:"cause"`
	Text    string `json:"text"`
}

// Track is one party's audio; pos + Offset is the index in audio.wav.
type Track struct {
	ID      uint32  `json:"id"`
	Leg     string  `json:"leg"`
	PartyID string  `json:"party_id"`
	Role    string  `json:"role"`
	Channel int     `json:"channel"`
	Codec   string  `json:"codec"`
	SRTP    bool    `json:"srtp"`
	Offset  int64   `json:"offset_samples"`
	Samples int64   `json:"samples"`
	Epochs  []Epoch `json:"epochs"`
	Spans   []Span  `json:"spans"`
}

// Epoch is a stretch under one SSRC.
type Epoch struct {
	SSRC      uint32 `json:"ssrc"`
	Pos       int64  `json:"pos"`
	Timestamp uint32 `json:"timestamp"`
}

// Span is a run of samples that were not received in time.
type Span struct {
	Kind    string `json:"kind"`
	Pos     int64  `json:"pos"`
	Samples int64  `json:"samples"`
}

// Recording is one folder.
type Recording struct {
	Dir string
	Manifest
	PCM [][]int16 // by channel; nil where there is no audio
}

// partial ends the name of a folder that is not sealed.
const partial = ".partial"

// Folders lists the recordings below dir: the sealed ones, and those that are not.
func Folders(t TB, dir string) (sealed, unsealed []string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "[0-9]*", "[0-9]*", "[0-9]*", "*"))
	if err != nil {
		t.Fatalf("%s: %v", dir, err)
	}
	for _, f := range all {
		if strings.HasSuffix(f, partial) {
			unsealed = append(unsealed, f)
		} else {
			sealed = append(sealed, f)
		}
	}
	return sealed, unsealed
}

// All reads every recording below dir, in the order of the folders' names. One that is not sealed is an error.
func All(t TB, dir string) []Recording {
	t.Helper()
	sealed, unsealed := Folders(t, dir)
	for _, f := range unsealed {
		t.Errorf("%s: not sealed", f)
	}
	out := make([]Recording, 0, len(sealed))
	for _, f := range sealed {
		out = append(out, Read(t, f))
	}
	return out
}

// ByCall is All by call id, for calls of one part.
func ByCall(t TB, dir string) map[string]Recording {
	t.Helper()
	out := map[string]Recording{}
	for _, r := range All(t, dir) {
		if other, ok := out[r.Call.ID]; ok {
			t.Errorf("call %s: two recordings, %s and %s", r.Call.ID, other.Dir, r.Dir)
		}
		out[r.Call.ID] = r
	}
	return out
}

// ReadManifest reads what a sealed folder says of itself.
func ReadManifest(t TB, folder string) (m Manifest) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(folder, "recording.json"))
	if err != nil {
		t.Fatalf("%s: %v", folder, err)
	}
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatalf("%s: %v", folder, err)
	}
	return m
}

// Read reads one sealed folder, and holds its two files against each other.
func Read(t TB, folder string) Recording {
	t.Helper()
	r := Recording{Dir: folder, Manifest: ReadManifest(t, folder)}
	if r.Version != 1 || r.Rate != 8000 {
		t.Errorf("%s: version %d at %d Hz, want 1 at 8000", folder, r.Version, r.Rate)
	}
	audio := filepath.Join(folder, "audio.wav")
	if r.State == "no_media" {
		if _, err := os.Stat(audio); err == nil {
			t.Errorf("%s: no_media, and there is an audio.wav", folder)
		}
		return r
	}
	r.PCM = ReadWAV(t, audio)
	if len(r.PCM) != len(r.Channels) || int64(len(r.PCM[0])) != r.Samples {
		t.Errorf("%s: %d x %d samples in the file, manifest says %d x %d", folder, len(r.PCM), len(r.PCM[0]), len(r.Channels), r.Samples)
	}
	return r
}

// Eventually waits for a condition, never for a time.
func Eventually(t TB, limit time.Duration, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", limit, what)
		}
		<-tick.C
	}
}
