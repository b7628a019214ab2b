package recorder

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/earshot/earshot/call"
)

// remaskRepaired silences what a mask took back in the last moments before a crash: it may be in the file still, and the promise that it is
// not was given. What the masks cover is theirs, whatever became of it.
func (s *Store) remaskRepaired(folder string, m *Manifest, l wavLayout, samples int64) error {
	if s.cfg.Masks == nil {
		return nil
	}
	masks := s.cfg.Masks(m.Call.ID, m.Call.Sessions)
	for i := range m.Tracks {
		if err := s.remaskOctets(folder, &m.Tracks[i], masks, m.Started); err != nil {
			return fmt.Errorf("mask: %w", err)
		}
	}
	found := masksIn(masks, m.Started, samples)
	if len(found) == 0 {
		return nil
	}
	if samples > 0 {
		if err := s.silence(inDay(folder, AudioName), l, found); err != nil {
			return fmt.Errorf("mask: %w", err)
		}
	}
	for i := range m.Tracks {
		m.Tracks[i].mask(found)
	}
	for _, x := range found {
		if !slices.ContainsFunc(m.Masks, func(o Mask) bool { return o.By == x.By && o.Pos <= x.Pos && x.Pos <= o.Pos+o.Samples }) {
			m.Masks = append(m.Masks, x)
		}
	}
	return nil
}

// silence overwrites stretches of an audio file, durably.
func (s *Store) silence(name string, l wavLayout, masks []Mask) error {
	f, err := s.openWrite(name, os.O_RDWR)
	if err != nil {
		return err
	}
	for _, x := range masks {
		if err == nil {
			err = fillWith(f, l.quiet(), l.dataAt+x.Pos*l.block(), l.dataAt+(x.Pos+x.Samples)*l.block())
		}
	}
	if err == nil {
		err = s.sync(f)
	}
	return errors.Join(err, f.Close())
}

// mask says in a track's spans what masks cover of it, as far as they go back.
func (t *Track) mask(masks []Mask) {
	if t.OffsetMethod == "" {
		return
	}
	loss := newLossMap(maxSpans)
	if t.SpansFile != nil {
		loss.from = t.SpansFile.Until
	}
	loss.end = t.Samples
	for _, x := range t.Spans {
		if k := kindNamed(x.Kind); k != 0 {
			loss.push(x.Pos, x.Samples, k)
		}
	}
	for _, x := range masks {
		from, to := max(0, x.Pos-t.OffsetSamples), min(t.Samples, x.Pos+x.Samples-t.OffsetSamples)
		if from < to {
			loss.set(from, to-from, kindMasked)
		}
	}
	t.Spans = nil
	for _, x := range loss.spans {
		t.Spans = append(t.Spans, Span{Kind: x.kind.String(), Pos: x.pos, Samples: x.n})
	}
}

// kindNamed is the kind of that name; 0: there is none.
func kindNamed(name string) kind {
	for k, n := range kindNames {
		if n == name && n != "" {
			return kind(k) //nolint:gosec // few
		}
	}
	return 0
}

// Masks gives the masks of a call by its id and sessions, those that have ended a moment ago too: what a crash may have left unmasked.
type Masks func(id string, sessions []string) []call.Mask
