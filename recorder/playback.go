package recorder

import (
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

const (
	// playZero is where the call's sample 0 lies on the clock of a Playback's batches; 0 would say that it is not known.
	playZero = time.Second
	// playSamples is what a batch brings of each track: a packet's.
	playSamples = 160
	// playAhead is how much of audio.wav is read at a time.
	playAhead = rate
	// playTime is how long a sample lasts.
	playTime = time.Second / rate
)

// Playback gives a sealed recording, plain or encrypted, as the batches of a call that is on: its tracks at their places, what is in
// audio.wav as received, what was lost, silent or masked as such. What came late is at its place, as in the file. One goroutine uses it.
type Playback struct {
	// Info is what the manifest says of the call. Samples is the length of audio.wav.
	Info    call.Info
	Samples int64
	// Given counts what Next gave so far, of all tracks, by kind.
	Given map[media.Kind]int64

	e      *Export
	x      mixer
	tracks []played
	states []media.TrackState
	at     int64 // of the next batch
	from   int64 // of the samples in pcm
	pcm    [][]int16
	quiet  [playSamples]int16
	frames []media.Frame
}

// played is one track: [offset, end) of audio.wav's channel.
type played struct {
	channel     int
	offset, end int64
	loss        lossMap
}

// OpenPlayback opens a recording's folder. ids are for an encrypted one; ErrEncrypted: it is, and there are none. ErrNoAudio: there is nothing
// to be heard. Close what you have opened.
func OpenPlayback(dir string, ids []Identity) (*Playback, error) {
	m, err := ReadManifest(dir)
	if err != nil {
		return nil, fmt.Errorf("playback: %w", err)
	}
	e, err := OpenExport(dir, ExportConfig{Identities: ids})
	if err != nil {
		return nil, err
	}
	p := &Playback{Info: m.info(), Samples: e.stored, Given: map[media.Kind]int64{}, e: e, x: mixer{e: e}, pcm: make([][]int16, e.layout.channels)}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("playback: %w", err), e.Close())
	}
	defer root.Close()
	for i := range m.Tracks {
		if err := p.track(root, m, i); err != nil {
			return nil, errors.Join(fmt.Errorf("playback: %w", err), e.Close())
		}
	}
	return p, nil
}

// Close shuts the recording's files.
func (p *Playback) Close() error { return p.e.Close() }

// info is the manifest's part of what is known when a call begins.
func (m *Manifest) info() call.Info {
	c := m.Call
	return call.Info{
		ID: c.ID, Sessions: c.Sessions, SIPCallIDs: c.SIPCallIDs, Started: m.Started, Expected: c.Expected, Earlier: c.Earlier, Part: m.Part, Agent: c.Agent,
		Direction: c.Direction, Queues: c.Queues, Mode: c.Mode,
	}
}

// track adds the manifest's i-th.
func (p *Playback) track(root *os.Root, m *Manifest, i int) error {
	t := &m.Tracks[i]
	law := map[string]media.Law{media.LawPCMU.String(): media.LawPCMU, media.LawPCMA.String(): media.LawPCMA}[t.Codec]
	p.states = append(p.states, media.TrackState{
		ID: media.TrackID(i + 1), Law: law, SRTP: t.SRTP, Placed: true, Ended: true, Offset: t.OffsetSamples, Leg: t.Leg, Line: t.Line, OffsetMethod: t.OffsetMethod, //nolint:gosec // of a manifest that fits in memory
		Party: call.Party{ID: t.PartyID, Role: t.Role, IdentifiedBy: t.IdentifiedBy, Name: t.Name, Number: t.Number, Extension: t.Extension},
	})
	x := played{channel: t.Channel, offset: t.OffsetSamples, end: t.OffsetSamples, loss: newLossMap(math.MaxInt)}
	if t.Channel >= 0 && t.Channel < p.e.layout.channels && t.OffsetMethod != "" {
		x.end = min(t.OffsetSamples+t.Samples, p.Samples)
		if m.Ended == nil && !t.Ended {
			x.end = p.Samples // the manifest of a call that goes on is behind
		}
		if err := x.missing(root, t); err != nil {
			return err
		}
		x.covered(m, i)
	}
	p.tracks = append(p.tracks, x)
	return nil
}

// missing learns what of the track was not received.
func (x *played) missing(root *os.Root, t *Track) error {
	add := func(s Span) {
		switch s.Kind {
		case kindLate.String(): // in audio.wav it is at its place
		case kindLost.String():
			x.loss.set(s.Pos, s.Samples, kindLost)
		case kindMasked.String():
			x.loss.set(s.Pos, s.Samples, kindMasked)
		default:
			x.loss.set(s.Pos, s.Samples, kindGap)
		}
	}
	if sf := t.SpansFile; sf != nil {
		if sf.File != spansName(t.ID) {
			return fmt.Errorf("spans_file: got %q, want %q", sf.File, spansName(t.ID))
		}
		f, err := openFile(root, sf.File)
		if err != nil {
			return err
		}
		err = readSpans(f, func(s Span, _ int64) bool { add(s); return true })
		if err := errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("%s: %w", sf.File, err)
		}
	}
	for _, s := range t.Spans {
		add(s)
	}
	return nil
}

// covered makes a gap of what newer tracks have put over it.
func (x *played) covered(m *Manifest, i int) {
	at := x.offset
	for _, r := range m.uncovered(laid{channel: x.channel, from: x.offset, to: x.end, pace: 1}, i+1) {
		x.loss.set(at-x.offset, r.from-at, kindGap)
		at = r.to
	}
	x.loss.set(at-x.offset, x.end-at, kindGap)
}

// Next fills b with the next 20 ms; false: there is nothing more. What b points to is valid until the call after.
func (p *Playback) Next(b *media.Batch) (more bool, err error) {
	if p.at >= p.Samples {
		return false, nil
	}
	to := min(p.at+playSamples, p.Samples)
	if err := p.load(to); err != nil {
		return false, fmt.Errorf("playback: %s: %w", AudioName, err)
	}
	p.frames = p.frames[:0]
	known := 0
	for i := range p.tracks {
		x := &p.tracks[i]
		if x.offset < to {
			known = i + 1
		}
		p.states[i].Ended = x.end <= to
		if from, end := max(p.at, x.offset), min(to, x.end); from < end {
			x.loss.each(from-x.offset, end-from, func(s span) { p.give(i, s) })
		}
	}
	p.at = to
	now := playZero + time.Duration(to)*playTime
	*b = media.Batch{Now: now, Final: now, Zero: playZero, Frames: p.frames, Tracks: p.states[:known]}
	return true, nil
}

// give adds a frame of the i-th track.
func (p *Playback) give(i int, s span) {
	x := &p.tracks[i]
	index := x.offset + s.pos
	f := media.Frame{Track: p.states[i].ID, Law: p.states[i].Law, Pos: s.pos, Samples: s.n, Captured: playZero + time.Duration(index)*playTime}
	switch s.kind {
	case kindLost:
		f.Kind, f.PCM = media.KindLost, p.quiet[:s.n]
	case kindMasked:
		f.Kind = media.KindMasked
	case kindGap:
		f.Kind = media.KindGap
	default:
		f.Kind, f.PCM = media.KindReceived, p.pcm[x.channel][index-p.from:][:s.n]
	}
	p.Given[f.Kind] += s.n
	p.frames = append(p.frames, f)
}

// load reads on where samples up to an index are not there yet.
func (p *Playback) load(to int64) error {
	if p.at > 0 && to <= p.from+int64(len(p.pcm[0])) {
		return nil
	}
	p.from = p.at
	n := min(playAhead, p.Samples-p.from)
	for ch := range p.pcm {
		if err := p.x.read(laid{channel: ch, to: p.Samples, pace: 1}, p.from, n); err != nil {
			return err
		}
		p.pcm[ch] = p.pcm[ch][:0]
		for _, v := range p.x.in {
			p.pcm[ch] = append(p.pcm[ch], int16(v))
		}
	}
	return nil
}
