package recorder

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"

	"filippo.io/age"
)

// keysDir is where the data keys lie, below the store's folder and outside the recordings' own: whoever erases a recording's key has erased
// the audio of every copy of its folder, also of one that can't be deleted.
const keysDir = "keys"

// maxRecipientsFile bounds what is read as a file of recipients or identities.
const maxRecipientsFile = 1 << 20

// schemeAge is the only scheme: age-encryption.org/v1.
const schemeAge = "age"

// Encryption says how the audio of a recording is encrypted. The segments, decrypted and joined behind HeadName, are audio.wav.
type Encryption struct {
	Scheme string `json:"scheme"` // age
	// Key is the file with the data key, encrypted to Recipients; from the folder of recordings, with slashes.
	Key string `json:"key"`
	// Recipients are who can read it: an X25519 recipient as it is, of a longer one sha256: and the digest of its text.
	Recipients []string `json:"recipients"`
	// SegmentSamples is how much of each channel a segment holds, but for the last: segment i begins at i * SegmentSamples.
	SegmentSamples int64           `json:"segment_samples"`
	Segments       []SealedSegment `json:"segments,omitempty"` // when sealed
}

// SealedSegment is one encrypted file of a recording. The hash of the file itself stands with the folder's other files.
type SealedSegment struct {
	File    string `json:"file"`
	First   int64  `json:"first"`   // index of its first sample in audio.wav
	Samples int64  `json:"samples"` // of each channel that can be decrypted
	SHA256  string `json:"sha256,omitempty"`
}

// recipients is to whom a store encrypts.
type recipients struct {
	list  []age.Recipient
	names []string // as in the manifest
}

// Recipients gives to whom audio is encrypted by these settings, as manifests name them; both may be empty. The error says which one is bad.
func Recipients(list []string, file string) ([]string, error) {
	to, err := parseRecipients(list, file)
	if to == nil {
		return nil, err
	}
	return to.names, nil
}

func parseRecipients(list []string, file string) (*recipients, error) {
	var out recipients
	for i, text := range list {
		if err := out.add(text); err != nil {
			return nil, fmt.Errorf("recipients[%d]: %w", i, err)
		}
	}
	if file != "" {
		b, err := readSmall(file)
		if err != nil {
			return nil, fmt.Errorf("recipients_file: %w", err)
		}
		for i, line := range strings.Split(string(b), "\n") {
			if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
				continue
			}
			if err := out.add(line); err != nil {
				return nil, fmt.Errorf("recipients_file: %s:%d: %w", file, i+1, err)
			}
		}
		if len(out.list) == 0 {
			return nil, fmt.Errorf("recipients_file: %s: no recipient in it: want lines such as age1...", file)
		}
	}
	if len(out.list) == 0 {
		return nil, nil
	}
	// age refuses some that are good alone: one that a quantum computer could read beside those that it could not.
	if _, err := age.Encrypt(io.Discard, out.list...); err != nil {
		return nil, fmt.Errorf("recipients: %w: name only age1pq1..., or none of them", err)
	}
	return &out, nil
}

// shownRecipient is how much of what is no recipient an error repeats.
const shownRecipient = 24

func (r *recipients) add(text string) error {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(strings.ToUpper(text), "AGE-SECRET-KEY-") { // and it is not repeated
		return errors.New("this is a private key: want its public half, age1... (age-keygen -y prints it); take the private one off this machine")
	}
	rs, err := age.ParseRecipients(strings.NewReader(text))
	if err != nil || len(rs) != 1 {
		shown := text
		if len(shown) > shownRecipient {
			shown = shown[:shownRecipient] + "..."
		}
		return fmt.Errorf("%q is no age recipient: want age1... or age1pq1..., as age-keygen prints it", shown)
	}
	r.list = append(r.list, rs[0])
	name := text
	if _, classic := rs[0].(*age.X25519Recipient); !classic {
		name = "sha256:" + sumOf([]byte(text))
	}
	r.names = append(r.names, name)
	return nil
}

func readSmall(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxRecipientsFile+1))
	if err == nil && len(b) > maxRecipientsFile {
		err = fmt.Errorf("%s: more than %d octets", name, maxRecipientsFile)
	}
	return b, err
}

// dataKey is what one recording's audio is encrypted with. Its public half is written nowhere: so the audio is as safe as the recipients are, also
// against who could find a private half by the public one.
type dataKey struct {
	id     *age.X25519Identity
	file   string // from the store's directory
	folder string // whose it is

	// mu guards kept: the file is there, durably.
	mu   sync.Mutex
	kept bool
}

// newKey makes a recording's key; nothing is written before there is audio.
func (s *Store) newKey(day, base string) (*dataKey, error) {
	if s.to == nil {
		return nil, nil
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, fmt.Errorf("data key: %w", err)
	}
	k := &dataKey{id: id, folder: inDay(day, base)}
	for same := 1; same <= maxSameName; same++ {
		k.file = path.Join(keysDir, k.folder) + ".age"
		if same > 1 { // somebody took the recording away, and not its key
			k.file = fmt.Sprintf("%s_%d.age", path.Join(keysDir, k.folder), same)
		}
		if _, err := s.root.Lstat(k.file); errors.Is(err, fs.ErrNotExist) {
			return k, nil
		}
	}
	return nil, fmt.Errorf("data key: %s: %w", k.file, fs.ErrExist)
}

// keep writes the key, encrypted to the recipients, and makes it durable: audio without it would be lost.
func (s *Store) keep(k *dataKey) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.kept {
		return nil
	}
	var b bytes.Buffer
	w, err := age.Encrypt(&b, s.to.list...)
	if err == nil {
		_, err = fmt.Fprintf(w, "# earshot: the key to the audio of %s\n%s\n", k.folder, k.id)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return fmt.Errorf("data key: %w", err)
	}
	if err := s.root.MkdirAll(path.Dir(k.file), dirMode); err != nil {
		return fmt.Errorf("data key: %w", err)
	}
	if err := s.putFile(k.file, b.Bytes(), true); err != nil {
		return fmt.Errorf("data key: %w", err)
	}
	for dir := path.Dir(k.file); ; dir = path.Dir(dir) {
		if err := s.syncDir(dir); err != nil {
			return fmt.Errorf("data key: %w", err)
		}
		if dir == "." {
			break
		}
	}
	k.kept = true
	return nil
}

// encryption is what a manifest says of a recording that is encrypted; nil: this one is not.
func (r *Recording) encryption() *Encryption {
	if r.key == nil {
		return nil
	}
	return &Encryption{Scheme: schemeAge, Key: r.key.file, Recipients: r.s.to.names, SegmentSamples: segmentSamples}
}

// EraseKey erases the data key of a recording, durably: nobody can decrypt its audio from then on, wherever copies of the folder are. A
// recording that has none is no error.
func (s *Store) EraseKey(folder string) error {
	m, err := readManifest(s.root, inDay(folder, ManifestName))
	if err != nil {
		return fmt.Errorf("erase key: %w", err)
	}
	if m.Encryption == nil {
		return nil
	}
	return s.eraseKey(m.Encryption.Key)
}

func (s *Store) eraseKey(name string) error {
	if err := s.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("erase key: %w", err)
	}
	if err := s.syncDir(path.Dir(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("erase key: %w", err)
	}
	return nil
}

// checkEncryption looks at what a manifest says: its paths lead nowhere else.
func (e *Encryption) check() error {
	if e.Scheme != schemeAge {
		return fmt.Errorf("encryption: scheme: got %q, want %s", e.Scheme, schemeAge)
	}
	if !strings.HasPrefix(e.Key, keysDir+"/") || !fs.ValidPath(e.Key) {
		return fmt.Errorf("encryption: key: got %q, want a path in %s", e.Key, keysDir)
	}
	if e.SegmentSamples <= 0 || e.SegmentSamples > maxSegmentSamples {
		return fmt.Errorf("encryption: segment_samples: got %d, want 1 to %d", e.SegmentSamples, maxSegmentSamples)
	}
	return nil
}
