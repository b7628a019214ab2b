package recorder

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"filippo.io/age"

	"github.com/earshot/earshot/internal/attr"
)

// TranscriptName is what consumers heard, in a sealed recording's folder: a Line of JSON each, by time. It comes after the folder is sealed, so the manifest does not name it:
// it has a leaf of its own in the evidence log. Of an encrypted recording it is encrypted with the same key, as TranscriptName + EncryptedSuffix.
const TranscriptName = "transcript.jsonl"

// EncryptedSuffix is added to the name of what is encrypted.
const EncryptedSuffix = ".age"

// TranscriptsName is where transcripts of calls that go on lie, below the store's folder, until their recordings are sealed and their consumers have ended.
const TranscriptsName = "transcripts"

const (
	// maxLines and maxTranscript bound a recording's transcript, in lines and in octets of text: a day of speech.
	maxLines      = 50_000
	maxTranscript = 8 << 20
	lineVersion   = 1
)

// Line is what one consumer heard one party say, as it stands in TranscriptName. Times are the recording's: FromSamples is an index in audio.wav, Start and End are in seconds.
type Line struct {
	Version     int     `json:"v"`
	FromSamples int64   `json:"from_samples"`
	Samples     int64   `json:"samples"`
	Start       float64 `json:"start"`
	End         float64 `json:"end"`
	Track       uint32  `json:"track,omitempty"` // 0: of the whole call
	Party       string  `json:"party,omitempty"`
	Role        string  `json:"role"`
	Consumer    string  `json:"consumer"`
	Text        string  `json:"text"`
	Confidence  float64 `json:"confidence,omitempty"` // 0 to 1; 0: not told
}

// words is a recording's transcript while it grows.
type words struct {
	// mu guards the fields below. It is held for copying only.
	mu      sync.Mutex
	lines   []Line
	octets  int
	full    bool // a line was not taken
	awaited bool // AwaitWords was called, and EndWords was not
	over    bool // nothing is taken any more
	changed bool // since it was last written
	revoked bool // and lines were taken out
	sealed  time.Time
	// Set where who keeps the recording is to be told when the transcript is there.
	owed bool
	res  Result
}

// AwaitWords says that lines may come until EndWords, also after the recording is sealed: then it is told of (Config.Sealed) when the last one is there:
// seconds later, or minutes where a consumer catches up.
func (r *Recording) AwaitWords() {
	r.words.mu.Lock()
	r.words.awaited = !r.words.over
	r.words.mu.Unlock()
	r.s.transcribes(r)
}

// EndWords says that no line comes any more.
func (r *Recording) EndWords() {
	r.words.mu.Lock()
	defer r.words.mu.Unlock()
	r.words.awaited = false
}

// Hear adds a line to the transcript; Version, Start and End are filled in. False: it comes too late, or is one too many, which is counted, and told of the first. It never waits
// for the disk.
func (r *Recording) Hear(l Line) bool {
	kept, first := r.words.add(l)
	if kept {
		return true
	}
	r.s.count.lostLines.Add(1)
	if first {
		r.s.log.Warn("words not in the transcript: they came too late, or it is full", attr.Call(r.opened.Call), attr.Sink(l.Consumer))
	}
	return false
}

// add takes a line; first: it is the first that is not taken.
func (w *words) add(l Line) (kept, first bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over || !w.awaited || len(w.lines) >= maxLines || w.octets+len(l.Text) > maxTranscript {
		first = !w.full
		w.full = true
		return false, first
	}
	l.Version = lineVersion
	l.Start, l.End = float64(l.FromSamples)/rate, float64(l.FromSamples+l.Samples)/rate
	w.lines, w.octets, w.changed = append(w.lines, l), w.octets+len(l.Text), true
	return true, false
}

// Unhear takes out what a consumer heard in a range of the recording, and gives how many lines that were. Once the transcript is finished nothing can be taken out, and
// no mask reaches back so far.
func (r *Recording) Unhear(consumer string, track uint32, from, samples int64) (lines int) {
	w := &r.words
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return 0
	}
	before := len(w.lines)
	w.lines = slices.DeleteFunc(w.lines, func(l Line) bool {
		out := l.Consumer == consumer && l.Track == track && l.FromSamples < from+samples && l.FromSamples+l.Samples > from
		if out {
			w.octets -= len(l.Text)
		}
		return out
	})
	lines = before - len(w.lines)
	if lines > 0 {
		w.changed, w.revoked = true, true
	}
	return lines
}

// take gives what is to be written, in the order of time, and whether that is anything else than before, and less.
func (w *words) take() (lines []Line, changed, revoked bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	changed, revoked = w.changed, w.revoked
	w.changed, w.revoked = false, false
	lines = slices.Clone(w.lines)
	slices.SortStableFunc(lines, func(a, b Line) int { return cmp.Compare(a.FromSamples, b.FromSamples) })
	return lines, changed, revoked
}

// encodeLines writes lines as they stand in the file; with a key, encrypted.
func encodeLines(lines []Line, key *dataKey) ([]byte, error) {
	var out bytes.Buffer
	to := io.WriteCloser(plainEnd{&out})
	if key != nil {
		var err error
		if to, err = age.Encrypt(&out, key.id.Recipient()); err != nil {
			return nil, fmt.Errorf("%s: %w", TranscriptName, err)
		}
	}
	e := json.NewEncoder(to)
	e.SetEscapeHTML(false)
	for _, l := range lines {
		if err := e.Encode(l); err != nil {
			return nil, fmt.Errorf("%s: %w", TranscriptName, err)
		}
	}
	if err := to.Close(); err != nil {
		return nil, fmt.Errorf("%s: %w", TranscriptName, err)
	}
	return out.Bytes(), nil
}

// plainEnd is a buffer that is closed.
type plainEnd struct{ *bytes.Buffer }

func (plainEnd) Close() error { return nil }

// pendingName is where the transcript of a folder lies until it is finished.
func pendingName(folder string, encrypted bool) string {
	return path.Join(TranscriptsName, folder) + path.Ext(TranscriptName) + suffixOf(encrypted)
}

// TranscriptPending tells whether the transcript of a folder, below the root of recordings, is still to come into it.
func TranscriptPending(root *os.Root, folder string) bool {
	for _, encrypted := range []bool{false, true} {
		if _, err := root.Lstat(pendingName(folder, encrypted)); err == nil {
			return true
		}
	}
	return false
}

// folderOfPending gives the folder that a file below TranscriptsName is for.
func folderOfPending(name string) (folder string, encrypted, ok bool) {
	name, encrypted = strings.CutSuffix(name, EncryptedSuffix)
	folder, ok = strings.CutSuffix(strings.TrimPrefix(name, TranscriptsName+"/"), path.Ext(TranscriptName))
	return folder, encrypted, ok && isFolder(folder)
}

func suffixOf(encrypted bool) string {
	if encrypted {
		return EncryptedSuffix
	}
	return ""
}
