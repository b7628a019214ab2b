package recorder

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/earshot/earshot/recorder/evidence"
)

// SignatureName is the signature of recording.json: base64 of Ed25519 (RFC 8032).
const SignatureName = "recording.sig"

// segmentBytes is how much of audio.wav stands under one hash besides the whole file's: 60 s of stereo PCM.
const segmentBytes = 1_920_000

// File is another file of a sealed recording, but for recording.json and its signature.
type File struct {
	File   string `json:"file"`
	SHA256 string `json:"sha256"`
	Bytes  int64  `json:"bytes"`
}

// Segments are the hashes of a file's pieces of Bytes octets each, the last one shorter: they tell where it was changed.
type Segments struct {
	Bytes  int64    `json:"bytes"`
	SHA256 []string `json:"sha256"`
}

// sumOf is the SHA-256 of octets, hex.
func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// digester hashes a file as a whole and in pieces.
type digester struct {
	left   int // of the piece
	n      int64
	pieces []string
}

func (d *digester) read(r io.Reader) (whole string, err error) {
	all, piece := sha256.New(), sha256.New()
	buf := make([]byte, 256<<10)
	d.left = segmentBytes
	for {
		n, err := r.Read(buf)
		d.n += int64(n)
		all.Write(buf[:n])
		for b := buf[:n]; len(b) > 0; {
			k := min(len(b), d.left)
			piece.Write(b[:k])
			b = b[k:]
			if d.left -= k; d.left == 0 {
				d.pieces = append(d.pieces, hex.EncodeToString(piece.Sum(nil)))
				piece.Reset()
				d.left = segmentBytes
			}
		}
		if err == io.EOF { //nolint:errorlint // io.Reader gives it unwrapped
			break
		}
		if err != nil {
			return "", err
		}
	}
	if d.left < segmentBytes {
		d.pieces = append(d.pieces, hex.EncodeToString(piece.Sum(nil)))
	}
	return hex.EncodeToString(all.Sum(nil)), nil
}

// listFiles names what else lies in a folder that is about to be sealed.
func (s *Store) listFiles(folder string) (files []File, err error) {
	names, err := s.names(folder)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	slices.Sort(names)
	for _, name := range names {
		if name == AudioName || name == ManifestName || name == SignatureName || strings.HasSuffix(name, tempSuffix) {
			continue
		}
		if fi, err := s.root.Lstat(inDay(folder, name)); err != nil || !fi.Mode().IsRegular() {
			continue // not ours: Verify names it
		}
		f, err := openFile(s.root, inDay(folder, name))
		if err != nil {
			return nil, fmt.Errorf("seal: %w", err)
		}
		var d digester
		sum, err := d.read(f)
		if e := f.Close(); err == nil {
			err = e
		}
		if err != nil {
			return nil, fmt.Errorf("seal: hash %s: %w", name, err)
		}
		files = append(files, File{name, sum, d.n})
	}
	return files, nil
}

// attest signs the final manifest of a folder. With it durable, testify tells the log.
func (s *Store) attest(folder string, m *Manifest) error {
	if s.book == nil {
		return nil
	}
	b, err := m.encode()
	if err != nil {
		return err
	}
	return s.putFile(inDay(folder, SignatureName), s.book.Sign(b), true)
}

// testify adds a recording to the evidence log, under its final name, behind what is to be said before; again: it may be there already.
func (s *Store) testify(final string, m *Manifest, again bool, before ...evidence.Leaf) error {
	if s.book == nil {
		return nil
	}
	b, err := m.encode()
	if err != nil {
		return err
	}
	leaf := evidence.Leaf{Type: evidence.LeafRecording, Folder: path.Clean(final), Call: m.Call.ID, Part: m.Part, Manifest: sumOf(b), Unannounced: m.Unannounced}
	if m.Ended != nil {
		leaf.Ended = m.Ended.UTC()
	}
	if again {
		return s.book.Ensure(leaf, before...)
	}
	return s.book.Write(append(before, leaf)...)
}
