package recorder

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"time"
)

// MovedName is the file in a recording's folder that says where its audio is, once that was moved to the vault.
const MovedName = "moved.json"

const movedVersion = 1

// ErrMoved is why audio can't be read here.
var ErrMoved = errors.New("its audio was moved to the vault")

// Place is where a recording lies in a vault.
type Place struct {
	Endpoint string `json:"endpoint"`
	Bucket   string `json:"bucket"`
	Prefix   string `json:"prefix"` // of its objects' keys, without the last slash
	// Objects are the recording's files there; of a Moved only those that are not here.
	Objects []PlacedFile `json:"objects"`
}

// PlacedFile is a file of a recording in a vault.
type PlacedFile struct {
	File    string `json:"file"` // its name in the folder
	Key     string `json:"key"`
	Version string `json:"version,omitempty"`
	SHA256  string `json:"sha256"` // hex, as the manifest says
	Bytes   int64  `json:"bytes"`
}

// Moved is moved.json. The evidence log names its hash.
type Moved struct {
	Version  int       `json:"version"`
	Folder   string    `json:"folder"`
	Call     string    `json:"call"`
	Time     time.Time `json:"time"`
	Manifest string    `json:"manifest_sha256"`
	Place
}

// String names the place for people.
func (p *Place) String() string {
	return fmt.Sprintf("bucket %s at %s, %s", p.Bucket, p.Endpoint, p.Prefix)
}

// of gives the object that holds a file as it was sealed.
func (p *Place) of(f File) (PlacedFile, bool) {
	i := slices.IndexFunc(p.Objects, func(o PlacedFile) bool { return o.File == f.File && o.SHA256 == f.SHA256 && o.Bytes == f.Bytes })
	if i < 0 {
		return PlacedFile{}, false
	}
	return p.Objects[i], true
}

// ParseMoved reads the octets of a moved.json.
func ParseMoved(b []byte) (*Moved, error) {
	m := new(Moved)
	if err := json.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("%s: %w", MovedName, err)
	}
	switch {
	case m.Version != movedVersion:
		return nil, fmt.Errorf("%s: version: got %d, want %d", MovedName, m.Version, movedVersion)
	case !isFolder(m.Folder):
		return nil, fmt.Errorf("%s: folder: got %q, want a recording's", MovedName, m.Folder)
	case m.Endpoint == "" || m.Bucket == "" || m.Prefix == "":
		return nil, fmt.Errorf("%s: want endpoint, bucket and prefix", MovedName)
	}
	for _, o := range m.Objects {
		sum, err := hex.DecodeString(o.SHA256)
		if err != nil || len(sum) != 32 || o.Bytes < 0 || o.Key == "" || o.File != path.Base(o.File) || o.File == "." || o.File == ".." {
			return nil, fmt.Errorf("%s: %q is no object of a recording's file", MovedName, o.File)
		}
	}
	return m, nil
}

// readMoved reads a folder's moved.json; nil: there is none.
func readMoved(root *os.Root, folder string) (*Moved, error) {
	f, err := openFile(root, path.Join(folder, MovedName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", MovedName, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSmallBytes))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", MovedName, err)
	}
	return ParseMoved(b)
}

// audioFiles are the files of a sealed recording that hold sound, encrypted or not.
func (m *Manifest) audioFiles() []File {
	sound := map[string]bool{}
	if m.Audio != nil {
		sound[m.Audio.File] = true
	}
	for _, t := range m.Tracks {
		if t.OctetsFile != nil {
			sound[t.OctetsFile.File] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(m.OnDisk()), func(f File) bool {
		_, _, segment := isSegment(f.File)
		return !sound[f.File] && (m.Encryption == nil || !segment)
	})
}

// here is nil where a folder has its recording's audio, and ErrMoved, with where that is, where it was moved.
func (m *Manifest) here(root *os.Root) error {
	away, err := readMoved(root, ".")
	if away == nil || err != nil {
		return err
	}
	for _, f := range m.audioFiles() {
		if _, err := root.Lstat(f.File); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w (%s) at %s", ErrMoved, away, away.Time.UTC().Format(time.RFC3339))
		}
	}
	return nil
}
