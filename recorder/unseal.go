package recorder

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"filippo.io/age"

	"github.com/earshot/earshot/recorder/evidence"
)

// Identity is the private half of a recipient.
type Identity = age.Identity

// LoadIdentities reads a file of identities, as age-keygen writes it.
func LoadIdentities(file string) ([]Identity, error) {
	b, err := readSmall(file)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	ids, err := age.ParseIdentities(bytes.NewReader(b))
	if err != nil { // its error may hold what it read
		return nil, fmt.Errorf("identity: %s: no age identities: want lines AGE-SECRET-KEY-1..., as age-keygen writes them", file)
	}
	return ids, nil
}

// ErrEncrypted is returned for a recording whose audio can't be read without an identity.
var ErrEncrypted = errors.New("the audio is encrypted, and no identity was named")

// openKey decrypts a data key. Where it is not there, it was erased, or somebody took the folder away without it.
func openKey(f io.Reader, ids []Identity) (Identity, error) {
	var none *age.NoIdentityMatchError
	r, err := age.Decrypt(io.LimitReader(f, maxRecipientsFile), ids...)
	if errors.As(err, &none) {
		return nil, errors.New("it is encrypted to none of these identities")
	}
	if err != nil {
		return nil, err
	}
	key, err := age.ParseIdentities(io.LimitReader(r, maxRecipientsFile))
	if err != nil || len(key) != 1 {
		return nil, errors.New("there is no data key in it")
	}
	return key[0], nil
}

// unsealed is audio.wav, decrypted as it is read. It is not safe for concurrent use.
type unsealed struct {
	root   *os.Root // of the recording's folder, or one above
	folder string   // in it
	id     Identity
	layout wavLayout
	head   []byte
	data   int64 // octets of samples, by the header
	// per is how many a segment holds but for the last.
	per  int64
	held [2]plainSegment // the newest two: two tracks may be read a little apart
	turn int
}

type plainSegment struct {
	n int // 0: none
	b []byte
}

// unseal opens encrypted audio. id may be nil where only sizes are asked for.
func unseal(root *os.Root, folder string, segment int64, id Identity) (*unsealed, error) {
	f, err := openFile(root, path.Join(folder, HeadName))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	u := &unsealed{root: root, folder: folder, id: id}
	if u.head, err = io.ReadAll(io.LimitReader(f, 1<<10)); err != nil {
		return nil, err
	}
	if u.layout, err = parseWAV(bytes.NewReader(u.head), int64(len(u.head))); err != nil {
		return nil, fmt.Errorf("%s: %w", HeadName, err)
	}
	if int64(len(u.head)) != u.layout.dataAt {
		return nil, fmt.Errorf("%s: %d octets, want %d", HeadName, len(u.head), u.layout.dataAt)
	}
	u.data, u.per = u.layout.dataBytes, segment*u.layout.block()
	return u, nil
}

// size is that of audio.wav, with the pad byte of an odd length.
func (u *unsealed) size() int64 { return u.layout.dataAt + u.data + u.data&1 }

// segments is how many there are.
func (u *unsealed) segments() int { return int((u.data + u.data&1 + u.per - 1) / u.per) }

// want is how many octets a segment holds, from 1.
func (u *unsealed) want(n int) int64 { return min(u.per, u.data+u.data&1-int64(n-1)*u.per) }

func (u *unsealed) name(n int) string { return segmentName(u.layout.format(), n) }

// segment decrypts one.
func (u *unsealed) segment(n int) ([]byte, error) {
	for i := range u.held {
		if u.held[i].n == n {
			return u.held[i].b, nil
		}
	}
	h := &u.held[u.turn]
	u.turn = 1 - u.turn
	h.n = 0
	f, err := openFile(u.root, path.Join(u.folder, u.name(n)))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := age.Decrypt(f, u.id)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", u.name(n), err)
	}
	want := u.want(n)
	if int64(cap(h.b)) < want {
		h.b = make([]byte, u.per)
	}
	h.b = h.b[:want]
	if got, err := io.ReadFull(r, h.b); err != nil {
		return nil, fmt.Errorf("%s: octets from %d on of %d can't be decrypted: %w", u.name(n), got, want, err)
	}
	h.n = n
	return h.b, nil
}

// ReadAt decrypts what it needs.
func (u *unsealed) ReadAt(b []byte, off int64) (int, error) {
	if off < 0 || off+int64(len(b)) > u.size() {
		return 0, io.ErrUnexpectedEOF
	}
	n := 0
	if off < u.layout.dataAt {
		n = copy(b, u.head[off:])
	}
	for n < len(b) {
		at := off + int64(n) - u.layout.dataAt
		s, err := u.segment(int(at/u.per) + 1)
		if err != nil {
			return n, err
		}
		n += copy(b[n:], s[at%u.per:])
	}
	return n, nil
}

// Close lets go of the folder.
func (u *unsealed) Close() error { return u.root.Close() }

// digest decrypts everything, and hashes it as a whole and by segments.
func (u *unsealed) digest() (*Audio, []SealedSegment, error) {
	all := sha256.New()
	all.Write(u.head)
	var out []SealedSegment
	for n := 1; n <= u.segments(); n++ {
		b, err := u.segment(n)
		if err != nil {
			return nil, nil, err
		}
		all.Write(b)
		s := u.describe(n)
		s.SHA256 = sumOf(b)
		out = append(out, s)
	}
	a := u.layout.joined(u.data / u.layout.block())
	a.SHA256 = hex.EncodeToString(all.Sum(nil))
	return a, out, nil
}

func (u *unsealed) describe(n int) SealedSegment {
	first := int64(n-1) * u.per
	return SealedSegment{File: u.name(n), First: first / u.layout.block(), Samples: min(u.per, u.data-first) / u.layout.block()}
}

// joined is what the segments make behind their header.
func (l wavLayout) joined(samples int64) *Audio {
	bytes := samples * l.block()
	return &Audio{Format: l.format(), Bytes: l.dataAt + bytes + bytes&1}
}

// digest hashes the finished audio. What is encrypted is read back and decrypted for that: so what is sealed can be.
func (r *Recording) digest(m *Manifest) (*Audio, error) {
	if r.key == nil {
		return r.s.digest(r.file(AudioName), r.w.img.layout.format())
	}
	u, err := unseal(r.s.root, r.folder(), segmentSamples, r.key.id)
	if err != nil {
		return nil, fmt.Errorf("hash audio: %w", err)
	}
	a, segments, err := u.digest()
	if err != nil {
		return nil, fmt.Errorf("hash audio: %w", err)
	}
	m.Encryption.Segments = segments
	return a, nil
}

// unsealFolder opens the audio of a folder that lies anywhere, with its key where that is: in the store that the folder is part of.
func unsealFolder(root *os.Root, dir string, m *Manifest, ids []Identity) (*unsealed, error) {
	if m.Ended != nil && m.Audio == nil {
		return nil, ErrNoAudio
	}
	id, err := folderKey(dir, m.Encryption, ids)
	if err != nil {
		return nil, err
	}
	u, err := unseal(root, ".", m.Encryption.SegmentSamples, id)
	if err == nil && u.data == 0 { // the call lives: what is on disk of it
		u.data, err = u.octetsLeft()
	}
	return u, err
}

// folderKey opens the key of a folder that lies anywhere in its store.
func folderKey(dir string, e *Encryption, ids []Identity) (Identity, error) {
	if len(ids) == 0 {
		return nil, fmt.Errorf("%w: it can be read by %s", ErrEncrypted, strings.Join(e.Recipients, ", "))
	}
	store := filepath.Join(dir, "..", "..", "..", "..")
	f, err := os.Open(filepath.Join(store, filepath.FromSlash(e.Key)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the key %s is not there: it was erased, or the folder was taken away from it: %w", e.Key, err)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	id, err := openKey(f, ids)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Key, err)
	}
	return id, nil
}

// where says which minute a segment is.
func (e *Encryption) where(file string) string {
	if e == nil {
		return ""
	}
	n, _, ok := isSegment(file)
	if !ok {
		return ""
	}
	from, to := int64(n-1)*e.SegmentSamples/rate, int64(n)*e.SegmentSamples/rate
	return fmt.Sprintf("; in it, from %d:%02d to %d:%02d", from/60, from%60, to/60, to%60)
}

// encrypted checks that the key is there, and with an identity what it decrypts, unless that is elsewhere.
func (v *verifier) encrypted(folder string, m *Manifest, away bool) {
	if m.Audio == nil {
		return
	}
	f, err := v.open(m.Encryption.Key)
	if errors.Is(err, fs.ErrNotExist) {
		v.find(evidence.Removed, m.Encryption.Key, "the key to the audio of %s is not there: nobody can decrypt that", folder)
		return
	}
	if err != nil {
		v.unreadable(m.Encryption.Key, err)
		return
	}
	defer f.Close()
	if len(v.cfg.Identities) == 0 || away {
		return
	}
	id, err := openKey(f, v.cfg.Identities)
	if err != nil {
		v.find(evidence.Unreadable, m.Encryption.Key, "%v", err)
		return
	}
	u, err := unseal(v.c.root, folder, m.Encryption.SegmentSamples, id)
	if err != nil {
		v.find(evidence.Unreadable, path.Join(folder, HeadName), "%v", err)
		return
	}
	v.decrypted(folder, m, u)
}

// decrypted compares what a key decrypts with what was sealed. Of a recording that a crash ended only that it can be decrypted is known.
func (v *verifier) decrypted(folder string, m *Manifest, u *unsealed) {
	for n := 1; n <= u.segments(); n++ {
		b, err := u.segment(n)
		if err != nil {
			v.find(evidence.Unreadable, path.Join(folder, u.name(n)), "with the identity: %v", err)
			return
		}
		want := ""
		if n <= len(m.Encryption.Segments) {
			want = m.Encryption.Segments[n-1].SHA256
		}
		if want != "" && sumOf(b) != want {
			v.find(evidence.Changed, path.Join(folder, u.name(n)), "with the identity: it decrypts to other octets than those that were sealed")
		}
	}
	if m.Audio.SHA256 == "" {
		return
	}
	if a, _, err := u.digest(); err != nil || a.SHA256 != m.Audio.SHA256 {
		v.find(evidence.Changed, folder, "with the identity: the segments, decrypted and joined, are not %s as it was sealed", AudioName)
	}
}
