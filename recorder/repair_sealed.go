package recorder

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"filippo.io/age"
)

// isEncrypted tells whether a folder has encrypted audio, whatever its manifest says.
func (s *Store) isEncrypted(folder string) bool {
	_, err := s.root.Lstat(inDay(folder, HeadName))
	return err == nil
}

// completeSegments says what the segments that a crash left hold, and has the header say it too. It can't read them, and deletes nothing: age gives
// all whole chunks of a file that was cut off, and those are counted.
func (s *Store) completeSegments(folder string, m *Manifest) (l wavLayout, samples int64, err error) {
	if m.Encryption == nil { // the manifest could not be read
		m.Encryption = &Encryption{Scheme: schemeAge, Key: path.Join(keysDir, strings.TrimSuffix(folder, partialSuffix)) + ".age", Recipients: []string{}, SegmentSamples: segmentSamples}
	}
	u, err := unseal(s.root, folder, m.Encryption.SegmentSamples, nil)
	if err != nil {
		return l, 0, err
	}
	if u.data == 0 { // else all was written, and only the manifest was not
		if u.data, err = u.octetsLeft(); err != nil {
			return l, 0, err
		}
	}
	l, samples = u.layout, u.data/u.layout.block()
	if samples == 0 {
		return l, 0, nil
	}
	m.Encryption.Segments = nil
	for n := 1; n <= u.segments(); n++ {
		m.Encryption.Segments = append(m.Encryption.Segments, u.describe(n))
	}
	b := u.head
	if err := l.patch(writerAt(b), samples); err != nil {
		return l, 0, err
	}
	return l, samples, s.putFile(inDay(folder, HeadName), b, true)
}

// octetsLeft is how many octets of samples the segments hold without a hole.
func (u *unsealed) octetsLeft() (octets int64, err error) {
	for n := 1; ; n++ {
		got, err := u.octetsOf(n)
		if errors.Is(err, fs.ErrNotExist) {
			return octets, nil
		}
		if err != nil {
			return 0, err
		}
		if octets += got; got < u.per {
			return octets, nil
		}
	}
}

// octetsOf is how many octets can be decrypted of a segment that may be cut off, or is being written.
func (u *unsealed) octetsOf(n int) (int64, error) {
	f, err := openFile(u.root, path.Join(u.folder, u.name(n)))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	head, err := age.ExtractHeader(bufio.NewReader(f))
	if err != nil { // cut off in it
		return 0, nil //nolint:nilerr // there is nothing to be had
	}
	const nonce = 16
	payload := st.Size() - int64(len(head)) - nonce
	if payload >= ciphertextBytes(u.per) {
		return u.per, nil
	}
	return max(0, payload/chunkBytes) * feedBytes, nil
}

// writerAt is octets in memory that are written over.
type writerAt []byte

func (b writerAt) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 || off > int64(len(b)) {
		return 0, fmt.Errorf("write at %d of %d", off, len(b))
	}
	if n := copy(b[off:], p); n < len(p) {
		return n, io.ErrShortWrite
	}
	return len(p), nil
}
