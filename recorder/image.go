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
	// unsynced: written since the last Datasync, from low on. stale: the header's sizes are behind.
	unsynced, stale bool
	low             int64
	// doubtful: a Datasync failed. The kernel tells of that once, and then takes for written what it was; so it is given all again.
	doubtful bool
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
	if m.sealed.dirty {
		m.touch(m.length)
	}
	return err
}

var errTooLong = errors.New("audio.wav: longer than a recording may be")

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
	case m.layout.tag == tagPCM:
		audio.part(at, p.n).toPCM(dst, block)
	default:
		audio.part(at, p.n).toLaw(m.layout.tag == tagAlaw, dst, block)
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
	quiet := byte(silenceUlaw)
	switch m.layout.tag {
	case tagPCM:
		clear(b)
		return
	case tagAlaw:
		quiet = silenceAlaw
	}
	for i := range b {
		b[i] = quiet
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
			m.touch(m.dlo)
			m.length = max(m.length, good)
			m.stale, m.ragged = true, err != nil
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
// that takes no room; octets of a law have to be written.
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
	m.touch(m.length)
	m.stale = true
	if m.layout.tag == tagPCM {
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

// touch notes that the file is written from an index on.
func (m *image) touch(from int64) {
	if !m.unsynced {
		m.low = from
	}
	m.unsynced, m.low = true, min(m.low, from)
}

// datasync makes durable what was written. What an earlier one failed at is read from the kernel's memory and written again first.
func (m *image) datasync() error {
	if m.doubtful && m.sealed == nil { // a sealed file does that itself
		if err := m.rewrite(); err != nil {
			return err
		}
	}
	if err := m.f.Datasync(); err != nil {
		m.doubtful = true
		return fmt.Errorf("audio.wav: sync: %w", err)
	}
	m.unsynced, m.doubtful = false, false
	return nil
}

// rewrite gives the kernel again what was written since the last Datasync that went well.
func (m *image) rewrite() error {
	block := m.layout.block()
	buf := make([]byte, windowSamples*block)
	for at := m.low; at < m.length; at += windowSamples {
		b := buf[:min(m.length-at, windowSamples)*block]
		if err := readFull(m.f, b, m.layout.dataAt+at*block); err != nil {
			return fmt.Errorf("audio.wav: read at %d: %w", at, err)
		}
		if _, err := m.f.WriteAt(b, m.layout.dataAt+at*block); err != nil {
			return fmt.Errorf("audio.wav: %w", err)
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
	m.touch(samples)
	m.headed = samples
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
	if err := m.datasync(); err != nil {
		return err
	}
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

// close makes the file exactly that many samples long, durable, and shut. What fails may be tried again.
func (m *image) close(samples int64) error {
	if err := m.finish(samples); err != nil {
		return err
	}
	return m.letGo()
}

// letGo shuts the file as it is.
func (m *image) letGo() error {
	if m.f == nil {
		return nil
	}
	err := m.f.Close()
	m.f = nil
	if err != nil {
		return fmt.Errorf("audio.wav: close: %w", err)
	}
	return nil
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
	if err := m.datasync(); err != nil {
		return err
	}
	if _, err := m.f.WriteAt(m.layout.header(samples, true), 0); err != nil {
		return fmt.Errorf("audio.wav: header: %w", err)
	}
	m.touch(samples)
	if err := m.f.Sync(); err != nil {
		m.doubtful = true
		return fmt.Errorf("audio.wav: sync: %w", err)
	}
	return nil
}
