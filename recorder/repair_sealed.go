package recorder

import (
	"bufio"
	"bytes"
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
		_, err := u.root.Lstat(path.Join(u.folder, u.name(n+1)))
		got, err := u.octetsOf(n, err != nil)
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

// octetsOf is how many octets can be decrypted of a segment. The last one may be cut off, or is being written; the others were durable before the next was begun.
func (u *unsealed) octetsOf(n int, last bool) (int64, error) {
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
	size := st.Size()
	if last {
		if size, err = intact(f, size); err != nil {
			return 0, err
		}
	}
	payload := size - int64(len(head)) - nonce
	if payload >= ciphertextBytes(u.per) {
		return u.per, nil
	}
	return max(0, payload/chunkBytes) * feedBytes, nil
}

// intact is up to where a file of ciphertext has what was written to it. A power loss may leave holes in what was not durable, as zeros, with good sectors behind them; nobody here can
// decrypt what would tell, but ciphertext has leastHole of them in a row by chance in one of 2^64 sectors.
func intact(f io.ReaderAt, size int64) (int64, error) {
	buf := make([]byte, chunkBytes/sectorBytes*sectorBytes)
	for at := int64(0); at < size; at += int64(len(buf)) {
		b := buf[:min(int64(len(buf)), size-at)]
		if err := readFull(f, b, at); err != nil {
			return 0, err
		}
		for from := 0; from < len(b); from += sectorBytes {
			sector := b[from:min(from+sectorBytes, len(b))]
			if there := len(bytes.TrimRight(sector, "\x00")); len(sector)-there >= min(leastHole, len(sector)) {
				return at + int64(from+there), nil
			}
		}
	}
	return size, nil
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
