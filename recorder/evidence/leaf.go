package evidence

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"
)

// What a leaf tells of.
const (
	LeafOpened     = "opened"     // a part was begun: its folder is there
	LeafRecording  = "recording"  // a part was sealed
	LeafErased     = "erased"     // a part was erased on purpose
	LeafMoved      = "moved"      // a part's audio is in a vault, and goes from here
	LeafTranscript = "transcript" // what was heard in a part was written down, after it was sealed
	LeafAct        = "act"        // somebody did something: listen, export, verify, release, ...
	LeafLog        = "log"        // this log goes on from another one
)

const leafVersion = 1

// Leaf is one line of a log. Keys are added, never renamed.
type Leaf struct {
	Version int       `json:"v"`
	Type    string    `json:"type"`
	Time    time.Time `json:"time"`
	// Folder is the recording's, in the directory of recordings, with slashes.
	Folder string `json:"folder,omitempty"`
	Call   string `json:"call,omitempty"`
	Part   int    `json:"part,omitempty"`
	// Ended is when the recording ended; Time is when it was sealed.
	Ended time.Time `json:"ended,omitzero"`
	// Manifest is the SHA-256 of recording.json, hex.
	Manifest string `json:"manifest_sha256,omitempty"`
	// File is what a transcript's leaf names in the folder, and SHA256 its hash, hex.
	File   string `json:"file,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
	// Unannounced: the part was found unfinished, and this log does not say that it was begun.
	Unannounced bool `json:"unannounced,omitempty"`
	// Of an act, or of an erasure: who, by which way they are known, what, and why.
	Who string `json:"who,omitempty"`
	Act string `json:"act,omitempty"`
	Why string `json:"why,omitempty"`
	// Matter names a legal hold, of which a recording may have several.
	Matter string `json:"matter,omitempty"`
	// To is where the audio is that was moved.
	To *Elsewhere `json:"to,omitempty"`
	// Previous is the log that this one goes on from.
	Previous *PreviousLog `json:"previous,omitempty"`
}

// Elsewhere names where a recording's audio was moved to: below a prefix of a bucket. SHA256, hex, is of the file in the recording's folder that names each object, with its hash.
type Elsewhere struct {
	Endpoint string `json:"endpoint"`
	Bucket   string `json:"bucket"`
	Prefix   string `json:"prefix"`
	Files    int    `json:"files"`
	Bytes    int64  `json:"bytes"`
	SHA256   string `json:"sha256"`
}

// PreviousLog names a log that has ended.
type PreviousLog struct {
	Dir        string `json:"dir"`
	Checkpoint string `json:"checkpoint,omitempty"` // its last, as far as it could be read
}

func (l Leaf) encode() ([]byte, error) {
	l.Version = leafVersion
	l.Time = l.Time.UTC()
	b, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("evidence log: %w", err)
	}
	if len(b) > MaxLeafOctets {
		return nil, errLeaf
	}
	return b, nil
}

// ParseLeaf reads a leaf of any version that we know.
func ParseLeaf(b []byte) (Leaf, error) {
	var l Leaf
	if err := json.Unmarshal(b, &l); err != nil {
		return l, fmt.Errorf("leaf: %w", err)
	}
	if l.Version != leafVersion {
		return l, fmt.Errorf("leaf: version: got %d, want %d", l.Version, leafVersion)
	}
	return l, nil
}

// Head is the checkpoint's state, nil where it could not be read. Its signature is not looked at: the log that names it signs for it.
func (p *PreviousLog) Head() *Checkpoint {
	body, _, _ := strings.Cut(p.Checkpoint, "\n\n")
	c, err := parseHead(body + "\n")
	if err != nil {
		return nil
	}
	return c
}

// PreviousOf gives the log from which the one in a folder (evidence/log, say) of a directory of recordings goes on; nil: it is the first.
func PreviousOf(dir, name string) (*PreviousLog, error) {
	f, err := openPlain(filepath.Join(dir, filepath.FromSlash(name), leavesName))
	if err != nil {
		return nil, fmt.Errorf("evidence log: %w", err)
	}
	defer f.Close()
	line, err := bufio.NewReader(io.LimitReader(f, MaxLeafOctets+1)).ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("evidence log: %w", err)
	}
	l, err := ParseLeaf(bytes.TrimSuffix(line, []byte("\n")))
	if err != nil || l.Type != LeafLog {
		return nil, err
	}
	return l.Previous, nil
}
