package recorder

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// windowSamples is how much of a file is changed in memory at a time, per channel.
const windowSamples = 1 << 14

// blockFile is what an image needs of a file; tests put a slow or a full disk behind it.
type blockFile interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
	Sync() error     // data and metadata
	Datasync() error // data and its length
	Close() error
}

// piece is a run of a track's samples on its way into the file.
type piece struct {
	t      *track
	kind   kind
	pos, n int64 // on the track
	idx    int64 // in the file
}

// image lays runs of samples into audio.wav at their places. It holds a window of the file only while it is being
// changed: the file is the memory, and the kernel's page cache makes that cheap.
type image struct {
	f      blockFile   // nil until the first sample comes
	sealed *sealedFile // f, where audio is encrypted; else nil
	layout wavLayout
	// length is how many samples of each channel the file holds.
	length int64
	// win is borrowed from a worker for the time of a drain.
	win      []byte
	loaded   bool
	w0       int64 // index of the window's first sample
	filled   int64 // up to where it holds what the file does, or shall
	dlo, dhi int64 // what of it differs from the file
	pieces   []piece
	// lowest is the lowest index that the present drain is known to touch.
	lowest int64
	// done takes each piece, or a part of one, once it is in the file or could not be written.
	done func(p piece, err error)
	// unsynced: written since the last Datasync. stale: the header's sizes are behind.
	unsynced, stale bool
	// ragged: a write failed midway, so there may be a part of a sample behind length.
	ragged bool
	// headed is the length that the header names. settled is what was written by settledAt: as durable as the file system was
	// after that.
	headed, settled int64
	settledAt       time.Time
}

// put lays a run at its place on channel ch; an empty payload is silence.
func (m *image) put(ch int, p piece, audio payload) {
	top := m.layout.maxSamples()
	if stop := p.idx + p.n; stop > top {
		keep := max(0, top-p.idx)
		m.done(piece{p.t, p.kind, p.pos + keep, p.n - keep, p.idx + keep}, errTooLong)
		p.n = keep
	}
	if before := min(m.floor()-p.idx, p.n); before > 0 {
		m.tooLate(p.part(0, before), audio)
		p, audio = p.part(before, p.n-before), audio.sub(before, p.n-before)
	}
	for at := int64(0); at < p.n; {
		idx := p.idx + at
		if audio.data == nil && idx >= m.edge() {
			// Behind the end all is silence already: a pause of an hour costs nothing.
			m.done(piece{p.t, p.kind, p.pos + at, p.n - at, idx}, nil)
			return
		}
		if err := m.seek(idx); err != nil {
			n := min(p.n-at, windowSamples)
			m.done(piece{p.t, p.kind, p.pos + at, n, idx}, err)
			at += n
			continue
		}
		n := min(p.n-at, m.w0+windowSamples-idx)
		m.lay(ch, piece{p.t, p.kind, p.pos + at, n, idx}, audio, at)
		at += n
	}
}

// floor is the index before which nothing can be changed: it is encrypted.
func (m *image) floor() int64 {
	if m.sealed == nil {
		return 0
	}
	return m.sealed.final / m.layout.block()
}

// tooLate is what becomes of a part whose place can't be changed: silence is there where nothing was laid.
func (m *image) tooLate(p piece, audio payload) {
	if audio.data == nil && p.kind != kindMasked {
		m.done(p, nil)
		return
	}
	m.done(p, errFinal)
}

// encrypt has what lies before an index encrypted and written, if audio is.
func (m *image) encrypt(to int64) error {
	if m.sealed == nil {
		return nil
	}
	err := m.sealed.settled(to)
	m.unsynced = m.unsynced || m.sealed.dirty
	return err
}

var errTooLong = errors.New("audio.wav: longer than a RIFF header can name")

// edge is where the file ends, what is in the window included.
func (m *image) edge() int64 {
	if m.loaded {
		return max(m.length, m.dhi)
	}
	return m.length
}

// lay puts a part that fits the window into it.
func (m *image) lay(ch int, p piece, audio payload, at int64) {
	width := m.layout.bits / 8
	block := int(m.layout.block())
	m.fill(p.idx + p.n)
	from := int(p.idx-m.w0)*block + ch*width
	dst := m.win[from : int(p.idx+p.n-m.w0)*block]
	switch {
	case audio.data == nil:
		for i := range int(p.n) {
			m.hush(dst[i*block : i*block+width])
		}
	case m.layout.tag == tagMulaw:
		audio.part(at, p.n).toUlaw(dst, block)
	default:
		audio.part(at, p.n).toPCM(dst, block)
	}
	if m.dlo == m.dhi {
		m.dlo, m.dhi = p.idx, p.idx+p.n
	} else {
		m.dlo, m.dhi = min(m.dlo, p.idx), max(m.dhi, p.idx+p.n)
	}
	m.pieces = append(m.pieces, p)
}

// hush makes b silence.
func (m *image) hush(b []byte) {
	if m.layout.tag != tagMulaw {
		clear(b)
		return
	}
	for i := range b {
		b[i] = silenceOctet
	}
}

// fill makes silence of what the window holds nothing of yet, up to an index.
func (m *image) fill(to int64) {
	if to <= m.filled {
		return
	}
	block := m.layout.block()
	m.hush(m.win[(m.filled-m.w0)*block : (to-m.w0)*block])
	m.filled = to
}

// behind is how far before the sample that it is moved for a window begins: the other channel may be that late.
const behind = 2048

// seek brings the window to where idx is in it. It begins where the drain does, so that what was written before is read
// back only where it must be.
func (m *image) seek(idx int64) error {
	if m.loaded && idx >= m.w0 && idx < m.w0+windowSamples {
		return nil
	}
	m.flush()
	w0 := max(0, idx-behind)
	if m.lowest >= 0 && m.lowest <= idx && m.lowest > idx-windowSamples/2 {
		w0 = m.lowest
	}
	block := m.layout.block()
	have := min(max(m.length-w0, 0), windowSamples)
	m.win = m.win[:windowSamples*block]
	if have > 0 {
		if err := readFull(m.f, m.win[:have*block], m.layout.dataAt+w0*block); err != nil {
			return fmt.Errorf("audio.wav: read at %d: %w", w0, err)
		}
	}
	m.w0, m.filled, m.dlo, m.dhi, m.loaded = w0, w0+have, idx, idx, true
	return nil
}

// flush writes the window's changes; every piece in it is done after that, well or not.
func (m *image) flush() {
	if !m.loaded {
		return
	}
	m.loaded = false
	good, err := m.dlo, error(nil)
	m.fill(m.dhi)
	if m.dhi > m.dlo {
		if err = m.extend(m.dlo); err == nil {
			block := m.layout.block()
			var n int
			n, err = m.f.WriteAt(m.win[(m.dlo-m.w0)*block:(m.dhi-m.w0)*block], m.layout.dataAt+m.dlo*block)
			good += int64(n) / block
			m.length = max(m.length, good)
			m.unsynced, m.stale, m.ragged = true, true, err != nil
		}
	}
	for _, p := range m.pieces {
		well := p.n
		if err != nil {
			well = min(max(good-p.idx, 0), p.n)
		}
		if well > 0 {
			m.done(piece{p.t, p.kind, p.pos, well, p.idx}, nil)
		}
		if well < p.n {
			m.done(piece{p.t, p.kind, p.pos + well, p.n - well, p.idx + well}, err)
		}
	}
	m.pieces = m.pieces[:0]
}

// extend makes the file at least to samples long, with silence. Zeros are silence in PCM, so that is a hole in the file
// that takes no room; mu-law has to write it.
func (m *image) extend(to int64) error {
	if m.ragged {
		if err := m.f.Truncate(m.layout.dataAt + m.length*m.layout.block()); err != nil {
			return fmt.Errorf("audio.wav: cut at %d: %w", m.length, err)
		}
		m.ragged = false
	}
	if to <= m.length {
		return nil
	}
	block := m.layout.block()
	m.unsynced, m.stale = true, true
	if m.layout.tag != tagMulaw {
		if err := m.f.Truncate(m.layout.dataAt + to*block); err != nil {
			return fmt.Errorf("audio.wav: extend to %d: %w", to, err)
		}
		m.length = to
		return nil
	}
	quiet := make([]byte, min(to-m.length, windowSamples)*block)
	m.hush(quiet)
	for m.length < to {
		n, err := m.f.WriteAt(quiet[:min(to-m.length, windowSamples)*block], m.layout.dataAt+m.length*block)
		m.length += int64(n) / block
		if err != nil {
			m.ragged = true
			return fmt.Errorf("audio.wav: extend to %d: %w", to, err)
		}
	}
	return nil
}

// sizes brings the header's sizes up to what a Datasync has made durable: samples of each channel.
func (m *image) sizes(samples int64) error {
	if m.layout.block()&1 == 1 {
		samples &^= 1 // RIFF: chunks are of even length; the last one comes with the pad byte at the end
	}
	if _, err := m.f.WriteAt(m.layout.header(samples, false), 0); err != nil {
		return fmt.Errorf("audio.wav: header: %w", err)
	}
	m.unsynced, m.headed = true, samples
	return nil
}

// settle names in the header what was written before the file system was made durable, which began at since.
func (m *image) settle(since time.Time) error {
	if m.f == nil {
		return nil
	}
	if m.settled > m.headed && m.settledAt.Before(since) {
		if err := m.sizes(m.settled); err != nil {
			return err
		}
	}
	m.settled, m.settledAt = m.length, time.Now()
	return nil
}

// sync makes what is written durable first, then names it in the header: a header never promises what a power loss
// would take.
func (m *image) sync() error {
	if m.f == nil || !m.unsynced && !m.stale {
		return nil
	}
	length := m.length
	if err := m.f.Datasync(); err != nil {
		return fmt.Errorf("audio.wav: sync: %w", err)
	}
	m.unsynced = false
	if !m.stale {
		return nil
	}
	m.stale = false
	if err := m.sizes(length); err != nil {
		m.stale = true
		return err
	}
	return nil
}

// close makes the file exactly that many samples long, durable, and shut. The file is shut in any case, unless memory holds some of it.
func (m *image) close(samples int64) error {
	err := m.finish(samples)
	if err != nil && m.sealed != nil {
		return err
	}
	if e := m.f.Close(); err == nil && e != nil {
		err = fmt.Errorf("audio.wav: close: %w", e)
	}
	m.f = nil
	return err
}

func (m *image) finish(samples int64) error {
	if err := m.extend(samples); err != nil {
		return err
	}
	bytes := samples * m.layout.block()
	if bytes&1 == 1 && m.sealed == nil {
		if _, err := m.f.WriteAt([]byte{0}, m.layout.dataAt+bytes); err != nil {
			return fmt.Errorf("audio.wav: pad byte: %w", err)
		}
	}
	if err := m.f.Datasync(); err != nil {
		return fmt.Errorf("audio.wav: sync: %w", err)
	}
	if _, err := m.f.WriteAt(m.layout.header(samples, true), 0); err != nil {
		return fmt.Errorf("audio.wav: header: %w", err)
	}
	if err := m.f.Sync(); err != nil {
		return fmt.Errorf("audio.wav: sync: %w", err)
	}
	return nil
}
