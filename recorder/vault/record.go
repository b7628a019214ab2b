package vault

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/earshot/earshot/recorder"
)

// maxFiles bounds what a manifest may name.
const maxFiles = 65_536

// record is a sealed recording on the disk.
type record struct {
	name     string // of its folder
	root     *os.Root
	manifest *recorder.Manifest
	sum      string // SHA-256 of recording.json, hex
	files    []part // in the order in which they go up: recording.json is last
}

// part is one file of a recording.
type part struct {
	name string
	sum  string // hex, as the manifest says
	size int64
}

func cutName(name string) (started time.Time, id string, ok bool) {
	s, id, ok := strings.Cut(name, "_")
	if !ok {
		return time.Time{}, "", false
	}
	started, err := time.Parse(stamp, s)
	return started, id, err == nil
}

// load reads what a recording consists of: what its manifest names, the signature, and the manifest itself.
func (v *Vault) load(name string) (*record, error) {
	folder := filepath.Join(v.cfg.Dir, filepath.FromSlash(folderOf(name)))
	root, err := os.OpenRoot(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, trouble(CauseLocal, "%s is gone before it was in the vault", folderOf(name))
	}
	if err != nil {
		return nil, trouble(CauseLocal, "%w", err)
	}
	r := &record{name: name, root: root}
	if err := r.read(); err != nil {
		r.close()
		return nil, trouble(CauseLocal, "%s: %w", folderOf(name), err)
	}
	return r, nil
}

func (r *record) close() { _ = r.root.Close() } // it was only read

func (r *record) read() error {
	raw, err := r.small(recorder.ManifestName)
	if err != nil {
		return err
	}
	if r.manifest, err = recorder.ParseManifest(raw); err != nil {
		return err
	}
	r.sum = sumOf(raw)
	for _, f := range r.manifest.OnDisk() {
		r.files = append(r.files, part{f.File, f.SHA256, f.Bytes})
	}
	if len(r.files) > maxFiles {
		return fmt.Errorf("%s names %d files", recorder.ManifestName, len(r.files))
	}
	for _, f := range r.files {
		if f.name != path.Base(f.name) || f.name == "." || f.name == ".." || f.name == recorder.ManifestName || f.name == recorder.SignatureName || strings.HasPrefix(f.name, recorder.TranscriptName) {
			return fmt.Errorf("%s names %q, which is no file of a recording", recorder.ManifestName, f.name)
		}
	}
	for _, name := range []string{recorder.TranscriptName, recorder.TranscriptName + recorder.EncryptedSuffix} { // came after the manifest; the evidence log names it
		b, err := r.small(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		r.files = append(r.files, part{name, sumOf(b), int64(len(b))})
	}
	sig, err := r.small(recorder.SignatureName)
	switch {
	case err == nil:
		r.files = append(r.files, part{recorder.SignatureName, sumOf(sig), int64(len(sig))})
	case !errors.Is(err, fs.ErrNotExist): // record.sign: false has none
		return err
	}
	r.files = append(r.files, part{recorder.ManifestName, r.sum, int64(len(raw))})
	return nil
}

// maxSmall bounds what is read into memory; recorder's own manifests stay below.
const maxSmall = 64 << 20

func (r *record) small(name string) ([]byte, error) {
	f, err := r.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	return io.ReadAll(io.LimitReader(f, maxSmall))
}

// open opens a file, but nothing that would hold us up or lead elsewhere.
func (r *record) open(name string) (*os.File, error) {
	fi, err := r.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no plain file", name)
	}
	return r.root.Open(name)
}

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// ended is when the recording ended: what its time under lock is counted from.
func (r *record) ended() time.Time {
	if e := r.manifest.Ended; e != nil {
		return *e
	}
	return r.manifest.Started
}

// entry is a line of the ledger: a recording that is whole in the vault, or was erased from it.
type entry struct {
	Folder   string     `json:"folder"`
	Call     string     `json:"call,omitempty"`
	Part     int        `json:"part,omitempty"`
	Vaulted  *time.Time `json:"vaulted,omitempty"`
	Erased   *time.Time `json:"erased,omitempty"`
	Endpoint string     `json:"endpoint,omitempty"`
	Bucket   string     `json:"bucket,omitempty"`
	Prefix   string     `json:"prefix,omitempty"`
	Manifest string     `json:"manifest,omitempty"` // SHA-256, hex
	Bytes    int64      `json:"bytes,omitempty"`
	Until    *time.Time `json:"locked_until,omitempty"`
	Objects  []Object   `json:"objects,omitempty"`
}

// Object is one file of a recording in the vault.
type Object struct {
	Key     string `json:"key"`
	Version string `json:"version,omitempty"`
	SHA256  string `json:"sha256"`
	Bytes   int64  `json:"bytes"`
}

// Vaulted is what Config.Vaulted is told.
type Vaulted struct {
	Folder   string // below the folder of recordings, with slashes
	Call     string
	Part     int
	Bucket   string
	Prefix   string // of its objects' keys, without the last slash
	Manifest string // SHA-256 of recording.json, hex
	Bytes    int64
	Until    time.Time // locked until; zero: not
}

// last gives the newest entry of a recording; one without Folder: there is none.
func (v *Vault) last(name string) (out entry, err error) {
	folder := folderOf(name)
	err = v.done.Read(dayOf(name), func(line []byte) {
		var e entry
		if !bytes.Contains(line, []byte(name)) {
			return
		}
		if json.Unmarshal(line, &e) == nil && e.Folder == folder {
			out = e
		}
	})
	return out, err
}
