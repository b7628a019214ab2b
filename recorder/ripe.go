package recorder

import (
	"fmt"
	"time"
)

const (
	// maxRipe bounds the marks of a recording: more than lie in an archive window make it coarser only.
	maxRipe = 64
	// ripeSlack is how much earlier than the file's end a new track's first packet may lie: its offset may come from another clock.
	ripeSlack = rate / 2
)

// ripe tells up to where a file can't change any more. Invariant: at and edge rise.
type ripe struct {
	marks []ripeMark
	edge  int64 // what is ripe
}

// ripeMark says that what was given out by a time lay before edge, and whatever comes of it then.
type ripeMark struct {
	at   time.Duration
	edge int64
}

// add notes where the file ended at a time.
func (p *ripe) add(at time.Duration, edge int64) {
	if n := len(p.marks); n > 0 && (n == maxRipe || p.marks[n-1].at >= at || p.marks[n-1].edge >= edge) {
		return
	}
	p.marks = append(p.marks, ripeMark{at, edge})
}

// by gives what is ripe: what media gave out before final, it doesn't change any more.
func (p *ripe) by(final time.Duration) int64 {
	n := 0
	for n < len(p.marks) && p.marks[n].at <= final {
		p.edge = max(p.edge, p.marks[n].edge)
		n++
	}
	p.marks = p.marks[:copy(p.marks, p.marks[n:])]
	return p.edge
}

// ripen finds out what can't change any more.
func (w *work) ripen(j job) int64 {
	behind, held := int64(0), false
	for _, t := range w.tracks {
		if t.held != nil {
			held = held || len(t.held.ops) > 0
			continue
		}
		if end := t.end(); t.channel >= 0 && end != t.seen {
			t.seen, t.lag = end, max(0, w.img.length-end)
		}
		if !t.state.Ended {
			behind = max(behind, t.lag)
		}
	}
	if !held { // a track without a place may get one that lies a little behind
		w.ripe.add(j.at, w.img.length-behind-ripeSlack)
	}
	return w.ripe.by(j.final)
}

// encrypt has what can't change any more encrypted and written.
func (r *Recording) encrypt(j job) {
	w := &r.w
	if w.audioShut {
		return
	}
	if err := w.img.encrypt(w.ripen(j)); err != nil {
		r.fail(err)
	}
}

// openSealed makes what an image needs to write encrypted audio. The key is on disk, durably, before the first octet is encrypted.
func (r *Recording) openSealed() error {
	w := &r.w
	if err := r.s.keep(r.key); err != nil {
		return err
	}
	f := &sealedFile{
		layout: w.img.layout, to: r.key.id.Recipient(), waiting: r.s.bufferSamples * w.img.layout.block(),
		create: func(name string) (blockFile, error) {
			w.unlisted = true
			return r.s.create(r.file(name))
		},
		putHead: func(b []byte) error {
			w.unlisted = true
			return r.s.putFile(r.file(HeadName), b, true)
		},
	}
	// It tells a repair what the segments hold.
	if err := f.putHead(w.img.layout.header(0, false)); err != nil {
		return fmt.Errorf("audio: %w", err)
	}
	w.img.f, w.img.sealed, w.img.stale = f, f, true
	return nil
}
