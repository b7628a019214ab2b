package recorder

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
)

// exportSamples is how much is made at a time, per channel.
const exportSamples = 1 << 14

// Export is a recording that is written as one file: WAV of 16 bit PCM ([Export.Write]), or what ffmpeg makes of it ([Export.Encode]).
type Export struct {
	// Samples is the file's length, of each channel, and Channels how many it has.
	Samples  int64
	Channels int
	// Cut is how many samples lie before sample 0 by the manifest's estimates, and are left out.
	Cut int64

	f      audioFile
	layout wavLayout // of audio.wav
	stored int64     // samples of each channel in it
	runs   []laid
	first  int64  // index that the file begins with
	fold   bool   // channels are summed up, as at most one side is wanted
	tags   []byte // chunks that say what it is
}

// ErrNoAudio is returned by OpenExport for a recording without audio.wav.
var ErrNoAudio = errors.New("the recording has no audio: not one sample came")

// audioFile is audio.wav, or what stands for it.
type audioFile interface {
	io.ReaderAt
	io.Closer
}

// OpenExport opens a recording's folder for [Export.Write]. The recording stays as it is in any case. Close what you have opened.
func OpenExport(dir string, cfg ExportConfig) (*Export, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	defer root.Close()
	m, err := readManifest(root, ManifestName)
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	f, size, err := openAudioFile(dir, m, cfg.Identities)
	if errors.Is(err, ErrNoAudio) {
		return nil, ErrNoAudio
	}
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	e := &Export{f: f}
	if err := e.prepare(m, size, cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("export: %w", err), f.Close())
	}
	return e, nil
}

// openAudioFile opens the audio of a folder, encrypted or not, and says how long it is.
func openAudioFile(dir string, m *Manifest, ids []Identity) (audioFile, int64, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, 0, err
	}
	if err := m.here(root); err != nil {
		return nil, 0, errors.Join(err, root.Close())
	}
	if m.Encryption != nil {
		f, err := unsealFolder(root, dir, m, ids)
		if err != nil {
			return nil, 0, errors.Join(err, root.Close())
		}
		return f, f.size(), nil
	}
	defer root.Close()
	f, err := openFile(root, AudioName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, ErrNoAudio
	}
	if err != nil {
		return nil, 0, err
	}
	st, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, st.Size(), nil
}

func (e *Export) prepare(m *Manifest, size int64, cfg ExportConfig) (err error) {
	if e.layout, err = parseWAV(e.f, size); err != nil {
		return fmt.Errorf("%s: %w", AudioName, err)
	}
	e.stored = min(e.layout.dataBytes, size-e.layout.dataAt) / e.layout.block()
	e.Samples = e.stored
	if cfg.Align {
		if e.runs, err = m.layOut(e.stored); err != nil {
			return fmt.Errorf("%s: %w", ManifestName, err)
		}
		e.measure()
	} else {
		for ch := range e.layout.channels {
			e.runs = append(e.runs, laid{channel: ch, to: e.stored, pace: 1})
		}
	}
	for _, r := range e.runs {
		if r.channel >= e.layout.channels {
			return fmt.Errorf("%s: a track on channel %d, %s has %d", ManifestName, r.channel, AudioName, e.layout.channels)
		}
	}
	if err := e.choose(m, cfg); err != nil {
		return err
	}
	if top := exportLayout(e.Channels).maxSamples() - maxTagBytes; e.Samples > top {
		return fmt.Errorf("%d samples of %d channels are more than a WAV file can name", e.Samples, e.Channels)
	}
	return nil
}

// measure finds where the runs end, and what of them lies before the beginning.
func (e *Export) measure() {
	e.Samples = 0
	for _, r := range e.runs {
		e.Samples = max(e.Samples, int64(math.Ceil(r.end())))
		if r.from < r.to && r.at < 0 {
			e.Cut = max(e.Cut, int64(math.Ceil(-r.at)))
		}
	}
}

func exportLayout(channels int) wavLayout {
	return wavLayout{tag: tagPCM, channels: channels, bits: 16, dataAt: 12 + 8 + 16 + 8}
}

// Close shuts the recording's file.
func (e *Export) Close() error { return e.f.Close() }

// Write writes the WAV file. Samples begin at octet 44; tags follow them, where a reader that knows no chunks but these is not in
// their way.
func (e *Export) Write(w io.Writer) error { return e.write(w, nil, e.tags) }

func (e *Export) write(w io.Writer, before, after []byte) error {
	if _, err := w.Write(plainHeader(e.Channels, e.Samples, before, int64(len(after)))); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	mix := mixer{e: e, out: make([]byte, 0, exportSamples*2*e.layout.channels)}
	for at, end := e.first, e.first+e.Samples; at < end; at += exportSamples {
		if err := mix.block(at, min(exportSamples, end-at)); err != nil {
			return fmt.Errorf("export: %s: %w", AudioName, err)
		}
		if _, err := w.Write(e.shape(mix.out)); err != nil {
			return fmt.Errorf("export: %w", err)
		}
	}
	if _, err := w.Write(after); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return nil
}

// plainHeader is the shortest header that a WAV file can have, 44 octets, and chunks before the samples. after octets follow them.
func plainHeader(channels int, samples int64, chunks []byte, after int64) []byte {
	le, l := binary.LittleEndian, exportLayout(channels)
	data := samples * l.block()
	b := append(make([]byte, 0, l.dataAt+int64(len(chunks))), "RIFF"...)
	b = le.AppendUint32(b, uint32(l.dataAt-8+data+int64(len(chunks))+after))
	b = append(b, "WAVEfmt "...)
	b = le.AppendUint32(b, 16)
	b = le.AppendUint16(b, tagPCM)
	b = le.AppendUint16(b, uint16(channels))
	b = le.AppendUint32(b, rate)
	b = le.AppendUint32(b, uint32(rate*l.block()))
	b = le.AppendUint16(b, uint16(l.block()))
	b = le.AppendUint16(b, 16)
	b = append(b, chunks...)
	b = append(b, "data"...)
	return le.AppendUint32(b, uint32(data))
}

// mixer makes the samples of audio.wav's channels, a block at a time.
type mixer struct {
	e    *Export
	sinc *sinc // nil until a run needs it
	out  []byte
	raw  []byte
	in   []float32
}

// block makes n samples of each channel from at on.
func (x *mixer) block(at, n int64) error {
	x.out = x.out[:n*2*int64(x.e.layout.channels)]
	clear(x.out)
	for _, r := range x.e.runs {
		from, to := max(at, int64(math.Ceil(r.at))), min(at+n, int64(math.Ceil(r.end())))
		if from >= to {
			continue
		}
		if err := x.run(r, at, from, to); err != nil {
			return err
		}
	}
	return nil
}

// run makes [from, to) of the block at, out of one run.
func (x *mixer) run(r laid, at, from, to int64) error {
	put := func(i int64, v int16) {
		binary.LittleEndian.PutUint16(x.out[((i-at)*int64(x.e.layout.channels)+int64(r.channel))*2:], uint16(v))
	}
	if r.pace == 1 {
		first := r.from + from - int64(r.at)
		if err := x.read(r, first, to-from); err != nil {
			return err
		}
		for i := from; i < to; i++ {
			put(i, int16(x.in[i-from]))
		}
		return nil
	}
	if x.sinc == nil {
		x.sinc = newSinc()
	}
	place := func(i int64) float64 { return float64(r.from) + (float64(i)-r.at)/r.pace }
	first := int64(place(from)) - sincHalf
	if err := x.read(r, first, int64(place(to-1))+sincHalf+2-first); err != nil {
		return err
	}
	for i := from; i < to; i++ {
		p := place(i)
		whole := math.Floor(p)
		put(i, toSample(x.sinc.at(x.in, int(int64(whole)-first), p-whole)))
	}
	return nil
}

// read gets n samples of the run's channel from index first on; what is not the run's is silence.
func (x *mixer) read(r laid, first, n int64) error {
	if int64(cap(x.in)) < n {
		x.in = make([]float32, n)
	}
	x.in = x.in[:n]
	clear(x.in)
	from, to := max(first, r.from), min(first+n, r.to)
	if from >= to {
		return nil
	}
	l := x.e.layout
	size := (to - from) * l.block()
	if int64(cap(x.raw)) < size {
		x.raw = make([]byte, size)
	}
	x.raw = x.raw[:size]
	if err := readFull(x.e.f, x.raw, l.dataAt+from*l.block()); err != nil {
		return err
	}
	width, block := l.bits/8, int(l.block())
	for i := range int(to - from) {
		b := x.raw[i*block+r.channel*width:]
		v := int16(0)
		switch l.tag {
		case tagMulaw:
			v = ulawLinear[b[0]]
		case tagAlaw:
			v = alawLinear[b[0]]
		default:
			v = int16(binary.LittleEndian.Uint16(b))
		}
		x.in[from-first+int64(i)] = float32(v)
	}
	return nil
}
