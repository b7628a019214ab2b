package recorder

import (
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
)

const (
	// segmentSeconds is how long a segment is: what lies under one age stream, and is lost together if somebody changes an octet of its header.
	segmentSeconds = 60
	segmentSamples = segmentSeconds * rate
	// maxSegmentSamples bounds what a reader of ours holds in memory: ten minutes.
	maxSegmentSamples = 10 * segmentSamples
	// openSeconds is how much audio that is not final is held at most: the longest archive window is 30 s. What lies
	// further back becomes final whatever is said.
	openSeconds = 40
	// openLeast is what then stays open.
	openLeast = 34 * rate
	// feedBytes is how much is encrypted at a time: a chunk of age, so that no more than two wait for a disk.
	feedBytes = 64 << 10
	// chunkBytes is such a chunk as it lies in the file.
	chunkBytes = feedBytes + 16
)

// HeadName is the header of audio.wav, when the audio is encrypted: it holds no sound. The segments follow it.
const HeadName = "audio.head"

// segmentName names a segment, from 1. In order of their names they are in order of time.
func segmentName(format string, n int) string {
	kind := map[string]string{FormatWAV: "pcm", FormatMulaw: "ulaw", FormatAlaw: "alaw"}[format]
	return fmt.Sprintf("audio-%06d.%s.age", n, kind)
}

// isSegment tells whether a file's name is a segment's, and which.
func isSegment(name string) (n int, format string, ok bool) {
	for _, format := range [...]string{FormatWAV, FormatMulaw, FormatAlaw} {
		var n int
		if _, err := fmt.Sscanf(name, "audio-%d.", &n); err == nil && n > 0 && name == segmentName(format, n) {
			return n, format, true
		}
	}
	return 0, "", false
}

// errFinal: the place of these samples was encrypted, and can't be changed.
var errFinal = errors.New("came after its place was encrypted")

// sealedFile is audio.wav to an image, and segments of ciphertext on disk. What may still change is in memory; only what is final is
// encrypted, in order, and written. What the disk doesn't take is kept, up to a bound: then WriteAt fails as that of a file
// would. It is owned by the worker that is busy with the recording.
//
// Invariant: base <= final <= size.
type sealedFile struct {
	// Set at its making, then constant.
	layout  wavLayout
	to      age.Recipient
	create  func(name string) (blockFile, error)
	putHead func([]byte) error
	waiting int64 // octets that may wait for the disk

	// In octets of samples: what is encrypted, what may be, and the file's length.
	base, final, size int64
	tail              []byte // from base on; behind its end is silence
	head              []byte
	err               error // of the disk, the newest
	// The segment that is being written: what enc makes goes to f from at on, and what the disk doesn't take to pending.
	n       int
	enc     io.WriteCloser
	left    int64 // octets until it is full
	pending []byte
	f       blockFile
	at      int64
	dirty   bool  // f has octets that are not durable
	safe    int64 // up to where it is durable, by its own Datasync
	// doubtful: a Datasync failed. The kernel tells of that once, and then takes for written what it was; so it is given all again.
	doubtful bool
	done     bool // all is on disk
}

// ReadAt gives what may still change; before that it gives silence, which the image never writes back.
func (s *sealedFile) ReadAt(b []byte, off int64) (int, error) {
	off -= s.layout.dataAt
	if off < 0 || off+int64(len(b)) > s.size {
		return 0, io.ErrUnexpectedEOF
	}
	clear(b)
	if skip := s.base - off; skip > 0 {
		b = b[min(skip, int64(len(b))):]
		off = s.base
	}
	if from := off - s.base; from < int64(len(s.tail)) {
		copy(b, s.tail[from:])
	}
	return len(b), nil
}

// WriteAt takes all or nothing.
func (s *sealedFile) WriteAt(b []byte, off int64) (int, error) {
	if off == 0 {
		s.head = append(s.head[:0], b...)
		return len(b), nil
	}
	off -= s.layout.dataAt
	stop := off + int64(len(b))
	if off < s.final {
		return 0, errFinal
	}
	if err := s.room(stop); err != nil {
		return 0, err
	}
	s.reach(stop)
	copy(s.tail[off-s.base:], b)
	s.size = max(s.size, stop)
	return len(b), nil
}

// room tells whether memory up to stop may be held, and makes it.
func (s *sealedFile) room(stop int64) error {
	most := openSeconds * rate * s.layout.block()
	if s.final-s.base > s.waiting && s.advance() != nil {
		return s.err
	}
	if stop-s.base <= most {
		return nil
	}
	s.final = max(s.final, stop-openLeast*s.layout.block())
	s.size = max(s.size, s.final)
	return s.advance()
}

// reach makes the tail at least so long, with silence.
func (s *sealedFile) reach(stop int64) {
	n, had := int(stop-s.base), len(s.tail)
	if n <= had {
		return
	}
	if n <= cap(s.tail) {
		s.tail = s.tail[:n]
		s.hush(s.tail[had:])
		return
	}
	grown := make([]byte, n, n+n/2)
	copy(grown, s.tail)
	s.hush(grown[had:])
	s.tail = grown
}

func (s *sealedFile) hush(b []byte) {
	quiet := byte(0)
	switch s.layout.tag {
	case tagMulaw:
		quiet = silenceUlaw
	case tagAlaw:
		quiet = silenceAlaw
	}
	for i := range b {
		b[i] = quiet
	}
}

// Truncate makes the file so long at least: what it is longer by is silence that takes no memory. There is nothing to be cut, as nothing is written by half.
func (s *sealedFile) Truncate(size int64) error {
	s.size = max(s.size, size-s.layout.dataAt)
	return nil
}

// settled makes final what lies before a sample, encrypts it, and writes as much as the disk takes.
func (s *sealedFile) settled(samples int64) error {
	s.final = max(s.final, min(samples*s.layout.block(), s.size))
	return s.advance()
}

// advance encrypts and writes up to final.
func (s *sealedFile) advance() error {
	s.err = s.write()
	return s.err
}

func (s *sealedFile) write() error {
	var quiet [4 << 10]byte
	s.hush(quiet[:])
	taken := 0 // of the tail
	defer func() {
		s.tail = s.tail[:copy(s.tail, s.tail[taken:])]
		if cap(s.tail) > keepBytes && cap(s.tail) > 4*len(s.tail) { // after a pause of hours, or a slow disk
			s.tail = append(make([]byte, 0, 2*len(s.tail)), s.tail...)
		}
	}()
	for {
		if err := s.flush(); err != nil {
			return err
		}
		if s.base >= s.final {
			return nil
		}
		if err := s.begin(); err != nil {
			return err
		}
		b := quiet[:]
		if taken < len(s.tail) {
			b = s.tail[taken:min(len(s.tail), taken+feedBytes)]
		}
		b = b[:min(int64(len(b)), s.left, s.final-s.base)]
		if _, err := s.enc.Write(b); err != nil {
			return fmt.Errorf("encrypt: %w", err)
		}
		taken = min(taken+len(b), len(s.tail))
		s.base += int64(len(b))
		if s.left -= int64(len(b)); s.left == 0 {
			if err := s.closeStream(); err != nil {
				return err
			}
		}
	}
}

// begin makes a segment's file and stream, if none is open.
func (s *sealedFile) begin() error {
	if s.f == nil {
		f, err := s.create(segmentName(s.layout.format(), s.n+1))
		if err != nil {
			return fmt.Errorf("audio segment: %w", err)
		}
		s.f, s.at, s.safe, s.doubtful = f, 0, 0, false
		s.n++
	}
	if s.enc == nil {
		enc, err := age.Encrypt((*ciphertext)(s), s.to)
		if err != nil {
			return fmt.Errorf("encrypt: %w", err)
		}
		s.enc, s.left = enc, segmentSamples*s.layout.block()
	}
	return nil
}

// closeStream ends the segment's stream: its last octets are in pending, and once they are on disk the file is shut.
func (s *sealedFile) closeStream() error {
	enc := s.enc
	s.enc = nil
	if err := enc.Close(); err != nil {
		return fmt.Errorf("encrypt: %w", err)
	}
	return nil
}

// flush writes what is encrypted, and shuts the file of a segment that is whole. What fails is done again.
func (s *sealedFile) flush() error {
	if s.f == nil {
		return nil
	}
	if len(s.pending) > 0 {
		n, err := s.put(s.pending)
		if s.pending = s.pending[n:]; err != nil {
			return err
		}
		s.pending = nil
	}
	if s.enc != nil || s.at == 0 {
		return nil
	}
	// The next one begins only when this one is durable: so a crash leaves only the last one torn.
	if err := s.Datasync(); err != nil {
		return fmt.Errorf("audio segment: sync: %w", err)
	}
	f := s.f
	s.f = nil
	if err := f.Close(); err != nil {
		return fmt.Errorf("audio segment: close: %w", err)
	}
	return nil
}

// put writes ciphertext.
func (s *sealedFile) put(b []byte) (int, error) {
	n, err := s.f.WriteAt(b, s.at)
	s.at += int64(n)
	s.dirty = s.dirty || n > 0
	if err != nil {
		return n, fmt.Errorf("audio segment: %w", err)
	}
	return n, nil
}

// ciphertext is where a stream of age writes to. It never fails, as such a stream can't go on after that: flush tells.
type ciphertext sealedFile

func (c *ciphertext) Write(b []byte) (int, error) {
	n := 0
	if s := (*sealedFile)(c); len(s.pending) == 0 {
		n, _ = s.put(b)
	}
	c.pending = append(c.pending, b[n:]...)
	return len(b), nil
}

// Datasync makes durable what is on disk of the newest segment; the others are.
func (s *sealedFile) Datasync() error {
	if s.f == nil || !s.dirty {
		return nil
	}
	if s.doubtful {
		b := make([]byte, s.at-s.safe)
		if err := readFull(s.f, b, s.safe); err != nil {
			return err
		}
		if _, err := s.f.WriteAt(b, s.safe); err != nil {
			return err
		}
	}
	if err := s.f.Datasync(); err != nil {
		s.doubtful = true
		return err
	}
	s.dirty, s.doubtful, s.safe = false, false, s.at
	return nil
}

// Sync ends the file: all of it is final, on disk and durable, the header last. It may be called again after an error.
func (s *sealedFile) Sync() error {
	if s.done {
		return nil
	}
	if s.size&1 == 1 { // RIFF: chunks are of even length
		s.reach(s.size + 1)
		s.size++
		s.tail[len(s.tail)-1] = 0
	}
	s.final = s.size
	if err := s.advance(); err != nil {
		return err
	}
	if s.enc != nil {
		if err := s.closeStream(); err != nil {
			return err
		}
	}
	if err := s.flush(); err != nil {
		return err
	}
	if err := s.putHead(s.head); err != nil {
		return err
	}
	s.done = true
	return nil
}

// Close lets go of the file. Without Sync what was in memory is lost.
func (s *sealedFile) Close() error {
	s.tail = nil
	if s.f == nil {
		return nil
	}
	f := s.f
	s.f = nil
	return f.Close()
}

// ciphertextBytes is how long an age payload of n octets is.
func ciphertextBytes(n int64) int64 {
	chunks := max(1, (n+feedBytes-1)/feedBytes)
	return n + 16*chunks
}
