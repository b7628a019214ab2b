package recorder

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

// maxLawRuns bounds the stretches of a track's law that a manifest names: a sender that changes it with each packet is hostile.
const maxLawRuns = 1000

// OctetsFile is a mono WAV file of G.711 beside audio.wav, in the law that audio.wav doesn't have: a track's octets of that law as they
// came. The index in it is the position on the track; what did not come in that law is its silence.
type OctetsFile struct {
	File    string `json:"file"`   // audio-<track>.wav
	Format  string `json:"format"` // mulaw or alaw
	Samples int64  `json:"samples"`
	// Runs are where the track came in that law, of a track that changed it; of others all that was received did. RunsUntil is where
	// they end for their number's sake.
	Runs      []Run  `json:"runs,omitempty"`
	RunsUntil *int64 `json:"runs_until,omitempty"`
}

// Run is a stretch of positions on a track.
type Run struct {
	Pos     int64 `json:"pos"`
	Samples int64 `json:"samples"`
}

func (r Run) end() int64 { return r.Pos + r.Samples }

// octetFile is an OctetsFile while it is written. audio.wav has one law; two can't lie in one file bit for bit.
type octetFile struct {
	img     image
	name    string // in the folder
	openErr error  // of this step
	shut    bool
	lost    int64 // octets that could not be written
	// runs are in order and don't touch; broken: audio.wav's law came after the last of them. until: -1, or where they end.
	runs   []Run
	broken bool
	until  int64
}

func octetsName(id media.TrackID) string { return fmt.Sprintf("audio-%d.wav", id) }

// otherLaw is the format of what a file of this one can't hold bit for bit.
func (l wavLayout) otherLaw() string {
	if l.tag == tagAlaw {
		return FormatMulaw
	}
	return FormatAlaw
}

// chooseLaw decides in which law audio.wav will be: that of what is laid into it first, so that a call in one law is stored as it came.
func (r *Recording) chooseLaw(t *track, audio payload) {
	w := &r.w
	if w.img.f != nil || w.img.layout.tag == tagPCM || w.img.length > 0 {
		return
	}
	format := FormatMulaw
	if audio.octets && audio.alaw || !audio.octets && t.state.Law == media.LawPCMA {
		format = FormatAlaw
	}
	w.img.layout = newLayout(format, w.img.layout.channels)
}

// keep stores a run bit for bit that audio.wav has transcoded. What else comes is silence there: a mask above all.
func (r *Recording) keep(t *track, p piece, audio payload) {
	layout := r.w.img.layout
	if layout.tag == tagPCM || r.key != nil { // encrypted audio is in audio.wav's law alone
		return
	}
	other := audio.octets && audio.alaw != (layout.tag == tagAlaw)
	t.native = t.native || audio.octets && !other
	k := t.octets
	if k == nil && !other {
		return
	}
	if k == nil {
		k = &octetFile{name: octetsName(t.id), until: -1}
		k.img = image{layout: newLayout(layout.otherLaw(), 1), win: make([]byte, windowSamples), lowest: -1}
		k.img.done = func(p piece, err error) { r.octetsDone(k, p, err) }
		t.octets = k
	}
	p.idx = p.pos
	if !other {
		k.release(p.pos, p.n, audio.octets)
		k.mask(p)
		return
	}
	k.hold(p.pos, p.n)
	if err := r.openOctets(k); err != nil {
		r.octetsDone(k, p, err)
		return
	}
	k.img.put(0, p, audio)
}

// mask makes silence of a run that was kept.
func (k *octetFile) mask(p piece) {
	if k == nil || k.shut || k.img.f == nil {
		return
	}
	if n := min(p.n, k.img.edge()-p.pos); n > 0 {
		if p.kind == kindReceived || p.kind == kindLate {
			p.kind = kindLost // nothing of it is kept here
		}
		p.idx, p.n = p.pos, n
		k.img.put(0, p, payload{})
	}
}

// octetsDone is called for each piece of an octet file.
func (r *Recording) octetsDone(k *octetFile, p piece, err error) {
	switch {
	case err == nil:
		return
	case p.kind == kindMasked:
		if p.pos < k.img.length {
			p.idx = p.pos + p.t.offset
			r.w.unmasked = append(r.w.unmasked, p)
		}
	case p.kind == kindReceived || p.kind == kindLate:
		k.lost += p.n
	}
	r.trouble(p, 0, err)
}

// openOctets makes the file when its first octet is there.
func (r *Recording) openOctets(k *octetFile) error {
	if k.img.f != nil || k.openErr != nil {
		return k.openErr
	}
	f, err := r.s.create(r.file(k.name))
	if err != nil {
		k.openErr = fmt.Errorf("%s: %w", k.name, err)
		return k.openErr
	}
	k.img.f = f
	if err := k.img.sizes(0); err != nil {
		k.img.f = nil
		k.openErr = errors.Join(err, f.Close(), r.s.root.Remove(r.file(k.name)))
		return k.openErr
	}
	k.img.stale, r.w.unlisted = true, true
	return nil
}

// hold says that the track came in this law there. Holes within a stretch belong to it.
func (k *octetFile) hold(pos, n int64) {
	last := len(k.runs) - 1
	if last >= 0 && !k.broken && pos >= k.runs[last].Pos {
		k.runs[last].Samples = max(k.runs[last].Samples, pos+n-k.runs[last].Pos)
		return
	}
	i, end := len(k.runs), pos+n
	for i > 0 && k.runs[i-1].Pos > pos { // late octets lie near the end
		i--
	}
	j := i
	if i > 0 && k.runs[i-1].end() >= pos {
		i--
		pos, end = k.runs[i].Pos, max(end, k.runs[i].end())
	}
	for j < len(k.runs) && k.runs[j].Pos <= end {
		end = max(end, k.runs[j].end())
		j++
	}
	k.broken = k.broken && j < len(k.runs)
	k.runs = slices.Replace(k.runs, i, j, Run{pos, end - pos})
	k.bound()
}

// release says that the track did not come in this law there; spoken: but in the other one.
func (k *octetFile) release(pos, n int64, spoken bool) {
	if !spoken {
		return // a hole or a mask is no change of law
	}
	if last := len(k.runs) - 1; last < 0 || pos >= k.runs[last].end() {
		k.broken = true
		return
	}
	var out []Run
	for _, r := range k.runs {
		if pos >= r.end() || pos+n <= r.Pos {
			out = append(out, r)
			continue
		}
		if r.Pos < pos {
			out = append(out, Run{r.Pos, pos - r.Pos})
		}
		if pos+n < r.end() {
			out = append(out, Run{pos + n, r.end() - pos - n})
		}
	}
	k.runs = out
	k.bound()
}

func (k *octetFile) bound() {
	if len(k.runs) > maxLawRuns {
		k.runs = k.runs[:maxLawRuns]
		k.until, k.broken = k.runs[maxLawRuns-1].end(), true
	}
}

func (k *octetFile) describe(native bool) *OctetsFile {
	if k == nil || k.img.f == nil && !k.shut {
		return nil
	}
	o := &OctetsFile{File: k.name, Format: k.img.layout.format(), Samples: k.img.length}
	if native {
		o.Runs = slices.Clone(k.runs)
		if k.until >= 0 {
			until := k.until
			o.RunsUntil = &until
		}
	}
	return o
}

// eachOctets calls f for each octet file that is open.
func (w *work) eachOctets(f func(*octetFile) error) (err error) {
	for _, t := range w.tracks {
		if k := t.octets; k != nil && k.img.f != nil {
			err = errors.Join(err, f(k))
		}
	}
	return err
}

func (w *work) flushOctets() {
	_ = w.eachOctets(func(k *octetFile) error { k.img.flush(); return nil }) // octetsDone takes what fails
}

// retryOctets lets files be made anew that could not be.
func (w *work) retryOctets() {
	for _, t := range w.tracks {
		if t.octets != nil {
			t.octets.openErr = nil
		}
	}
}

func (w *work) syncOctets(since time.Time) error {
	return w.eachOctets(func(k *octetFile) error {
		if since.IsZero() {
			return k.img.sync()
		}
		return k.img.settle(since)
	})
}

// closeOctets finishes the files. One that could not be shut is so until the next start.
func (w *work) closeOctets() error {
	for _, t := range w.tracks {
		k := t.octets
		switch {
		case k == nil || k.shut || k.img.f == nil && k.img.length == 0:
			continue
		case k.img.f == nil:
			return fmt.Errorf("%s: not finished", k.name)
		}
		if err := k.img.close(k.img.length); err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		k.shut = true
	}
	return nil
}

// lawOf is the format of audio.wav where its header is torn: that of the track that was first.
func (m *Manifest) lawOf(format string) string {
	if format == FormatMulaw && len(m.Tracks) > 0 && m.Tracks[0].Codec == media.LawPCMA.String() {
		return FormatAlaw
	}
	return format
}

// completeOctets brings the octet files of a folder to what a crash left of them; l is audio.wav's layout.
func (s *Store) completeOctets(folder string, m *Manifest, l wavLayout) error {
	names, err := s.names(folder)
	if err != nil {
		return err
	}
	for i := range m.Tracks {
		t := &m.Tracks[i]
		name := octetsName(media.TrackID(t.ID))
		format := l.otherLaw()
		if t.OctetsFile != nil {
			format = t.OctetsFile.Format
		}
		if !slices.Contains(names, name) {
			t.OctetsFile = nil
			continue
		}
		own, samples, err := s.completeAudio(inDay(folder, name), newLayout(format, 1))
		switch {
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("%s: %w", name, err)
		case samples == 0:
			t.OctetsFile = nil
		case t.OctetsFile == nil:
			t.OctetsFile = &OctetsFile{File: name, Format: own.format(), Samples: samples}
		default:
			t.OctetsFile.Format, t.OctetsFile.Samples = own.format(), samples
		}
	}
	return nil
}

// remaskOctets silences in a track's octet file what masks cover, all of it where its place is not known.
func (s *Store) remaskOctets(folder string, t *Track, masks []call.Mask, started time.Time) error {
	o := t.OctetsFile
	if o == nil {
		return nil
	}
	var own []Mask
	for _, x := range masksIn(masks, started, t.OffsetSamples+o.Samples) {
		from, to := max(0, x.Pos-t.OffsetSamples), x.Pos+x.Samples-t.OffsetSamples
		if t.OffsetMethod == "" {
			from, to = 0, o.Samples
		}
		if from < to {
			own = append(own, Mask{Pos: from, Samples: to - from})
		}
	}
	if len(own) == 0 {
		return nil
	}
	return s.silence(inDay(folder, o.File), newLayout(o.Format, 1), own)
}
