package recorder

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"strings"
	"time"

	"filippo.io/age"
)

// ErrNoTranscript is returned for a recording in which nobody heard words, or not yet.
var ErrNoTranscript = errors.New("the recording has no transcript: no consumer with answers heard words in it, or they are still at it")

// maxTranscriptFile bounds what is read of a transcript, in octets; maxTranscript of text and what stands beside it stays far below.
const maxTranscriptFile = 64 << 20

// ReadTranscript reads the transcript of a sealed recording's folder, by time. ids are who may read it, of an encrypted one.
func ReadTranscript(dir string, ids []Identity) ([]Line, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("transcript: %w", err)
	}
	defer root.Close()
	r, done, err := openTranscript(root, dir, ids)
	if err != nil {
		return nil, err
	}
	defer done()
	lines, err := parseLines(io.LimitReader(r, maxTranscriptFile))
	if err != nil {
		return nil, fmt.Errorf("transcript: %w", err)
	}
	return lines, nil
}

// openTranscript opens the file, or what it decrypts to.
func openTranscript(root *os.Root, dir string, ids []Identity) (r io.Reader, done func(), err error) {
	f, err := openFile(root, TranscriptName)
	if err == nil {
		return f, func() { _ = f.Close() }, nil // it was only read
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("transcript: %w", err)
	}
	if f, err = openFile(root, TranscriptName+EncryptedSuffix); errors.Is(err, fs.ErrNotExist) {
		return nil, nil, ErrNoTranscript
	}
	if err != nil {
		return nil, nil, fmt.Errorf("transcript: %w", err)
	}
	m, err := readManifest(root, ManifestName)
	if err == nil && m.Encryption == nil {
		err = fmt.Errorf("%s: it names no key", ManifestName)
	}
	var id Identity
	if err == nil {
		id, err = folderKey(dir, m.Encryption, ids)
	}
	if err == nil {
		r, err = age.Decrypt(f, id)
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("transcript: %w", err), f.Close())
	}
	return r, func() { _ = f.Close() }, nil
}

// parseLines reads lines of a transcript; keys that we don't know are passed over.
func parseLines(r io.Reader) (lines []Line, err error) {
	in := bufio.NewScanner(r)
	in.Buffer(nil, maxLineBytes)
	for n := 1; in.Scan(); n++ {
		if len(bytes.TrimSpace(in.Bytes())) == 0 {
			continue
		}
		var l Line
		if err := json.Unmarshal(in.Bytes(), &l); err != nil {
			return lines, fmt.Errorf("line %d: it is no line of a transcript", n) // its own words are not repeated
		}
		if l.Version != lineVersion {
			return lines, fmt.Errorf("line %d: version %d, want %d", n, l.Version, lineVersion)
		}
		if !(l.Start >= 0) || !(l.End >= l.Start) || l.End > maxVTT.Seconds() {
			return lines, fmt.Errorf("line %d: its times are no times", n)
		}
		lines = append(lines, l)
	}
	return lines, in.Err()
}

const (
	// maxVTT is longer than any recording.
	maxVTT = 10_000 * time.Hour
	// leastCue is how long a cue is shown whose words took no time.
	leastCue = 500 * time.Millisecond
)

// WriteVTT writes lines as WebVTT (W3C), a cue each, with who speaks as its voice.
func WriteVTT(w io.Writer, lines []Line) error {
	out := bufio.NewWriter(w)
	fmt.Fprint(out, "WEBVTT\n")
	for _, l := range lines {
		from, to := vttTime(l.Start), vttTime(max(l.End, l.Start+leastCue.Seconds()))
		fmt.Fprintf(out, "\n%s --> %s\n<v %s>%s\n", from, to, vttName(l), vttEscape.Replace(oneLine(l.Text)))
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("vtt: %w", err)
	}
	return nil
}

// vttEscape keeps text from being read as a tag, or as the arrow between two times.
var vttEscape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// vttName is who speaks: the role, and where several parties may have it the party too.
func vttName(l Line) string {
	name := l.Role
	if l.Party != "" && l.Role != "customer" && l.Role != "agent" {
		name += " " + l.Party
	}
	return vttEscape.Replace(oneLine(name))
}

// oneLine keeps what stands in a cue from ending it.
func oneLine(s string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))), " ")
}

func vttTime(seconds float64) string {
	ms := int64(math.Round(seconds * 1000))
	return fmt.Sprintf("%02d:%02d:%02d.%03d", ms/3_600_000, ms/60_000%60, ms/1000%60, ms%1000)
}
