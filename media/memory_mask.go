package media

import (
	"slices"
	"time"

	"github.com/earshot/earshot/call"
)

// kindAt is what waits where a late frame belongs. It is there: late is what comes within the archive window, which is shorter than MemorySpan.
func (m *memory) kindAt(newest *keptBatch, f *Frame) Kind {
	in := func(k *keptBatch) (Kind, bool) {
		for i := range k.frames {
			if w := &k.frames[i]; w.Track == f.Track && w.Kind != KindLate && w.Pos <= f.Pos && f.Pos < w.Pos+w.Samples {
				return w.Kind, true
			}
		}
		return 0, false
	}
	kind, ok := in(newest)
	for i := len(m.kept) - 1; !ok && i >= 0; i-- {
		kind, ok = in(&m.kept[i])
	}
	return kind
}

// blank masks what waits of a frame's track and place: somebody has masked it since, and its samples are counted so.
func (k *keptBatch) blank(f *Frame) {
	for j := 0; j < len(k.frames); j++ {
		w := k.frames[j]
		lo, hi := max(w.Pos, f.Pos), min(w.Pos+w.Samples, f.Pos+f.Samples)
		if w.Track != f.Track || w.Kind == KindMasked || lo >= hi {
			continue
		}
		parts := make([]keptFrame, 0, 3)
		for _, cut := range [...]struct {
			from, to int64
			masked   bool
		}{{w.Pos, lo, false}, {lo, hi, true}, {hi, w.Pos + w.Samples, false}} {
			if cut.from < cut.to {
				p := w.part(cut.from, cut.to)
				if cut.masked {
					p.mask()
				}
				parts = append(parts, p)
			}
		}
		k.frames = slices.Replace(k.frames, j, j+1, parts...)
		j += len(parts) - 1
	}
}

// part is a piece of a frame.
func (f *keptFrame) part(from, to int64) keptFrame {
	p := *f
	p.Pos, p.Samples = from, to-from
	if len(f.Octets) > 0 {
		p.Octets = f.Octets[from-f.Pos : to-f.Pos : to-f.Pos]
	}
	return p
}

// mask takes the samples out of a frame.
func (f *Frame) mask() {
	clear(f.Octets)
	f.Kind, f.Law, f.Octets, f.PCM = KindMasked, LawNone, nil, nil
}

// recount counts a frame's samples as masked, which were counted as what they are.
func (l *liveTimeline) recount(f *keptFrame) {
	i := int(f.Track) - 1
	if i < 0 || i >= len(l.tracks) || f.Kind == KindMasked {
		return
	}
	k := l.tracks[i]
	*k.placer.samples(f.Kind) -= f.Samples
	if f.Kind == KindLate { // what it stands in place of was counted as masked when that went out, just before
		k.state.Counts.LateSamples -= f.Samples
		if f.over != KindMasked && f.over != 0 {
			*k.placer.samples(f.over) += f.Samples
		}
		return
	}
	k.state.Counts.MaskedSamples += f.Samples
}

// maskKept has a holder's word reach what waits: nobody has it, so it can be taken back from as long ago as was asked. It returns from when on nothing of it goes
// out; 0: nothing was masked.
func (l *liveTimeline) maskKept(h Holder, asked time.Duration) time.Duration {
	m := l.memory
	switch {
	case m == nil:
		return 0
	case h == HolderConsent:
		return l.wipe()
	}
	since := l.blankKept(func(_ *keptBatch, f *keptFrame) bool { return f.Captured >= asked })
	wall := l.wall(asked)
	for i := range m.kept {
		m.kept[i].events = slices.DeleteFunc(m.kept[i].events, func(e call.Event) bool { return e.Type == call.EventDTMF && !e.Time.Before(wall) })
	}
	if since != 0 && !m.open {
		return max(asked, l.zero, 1) // what is older than what waits went out masked
	}
	return since
}

// wipe masks what was said before the leave and has not gone out yet: the leave is withdrawn. It returns the time of the oldest of it; 0: there is none.
func (l *liveTimeline) wipe() time.Duration {
	m := l.memory
	if !m.open {
		return 0
	}
	until := m.opened + l.shard.engine.cfg.ArchiveWindow // what comes late belongs to a place before it, and digits are told that much later
	since := l.blankKept(func(k *keptBatch, f *keptFrame) bool {
		return k.now <= m.opened || f.Captured <= m.opened || f.Kind == KindLate && k.now <= until
	})
	for i := range m.kept {
		if k := &m.kept[i]; k.now <= until {
			k.events = slices.DeleteFunc(k.events, func(e call.Event) bool { return e.Type == call.EventDTMF })
		}
	}
	return since
}

// blankKept masks frames that wait, and returns the time of the oldest of them; 0: there is none.
func (l *liveTimeline) blankKept(which func(*keptBatch, *keptFrame) bool) (since time.Duration) {
	m := l.memory
	if len(l.shard.out.frames) > 0 { // a mask's own frames count what they mask
		l.shard.write(l, l.final)
	}
	for i := range m.kept {
		k := &m.kept[i]
		for j := range k.frames {
			f := &k.frames[j]
			if f.Kind == KindMasked || !which(k, f) {
				continue
			}
			if since == 0 {
				since = k.now
			}
			if f.Kind == KindLate && m.kindAt(k, &f.Frame) != KindMasked { // its place went out, or goes out, as what it is
				f.over = 0
				l.tracks[f.Track-1].state.Counts.MaskedSamples += f.Samples
			}
			l.recount(f)
			f.mask()
		}
	}
	return since
}
