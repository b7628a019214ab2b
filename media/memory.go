package media

import (
	"slices"
	"time"

	"github.com/earshot/earshot/call"
)

const (
	// MemorySpan is how much of a track waits in memory at most for leave to go out: 30 s, 240 KiB. What is older is masked for good.
	MemorySpan = 30 * time.Second
	// statesKept is how old the counts of what waits may be; what is needed at once is never old.
	statesKept = 5 * time.Second
	// releaseSpeed is how many times faster than it was spoken audio goes out that waited: who takes it has work with it.
	releaseSpeed = 8
)

// memory is what a timeline's sinks have not got yet, because nobody knows whether they may. It stands between the timeline and its sinks: what they
// get is later, and otherwise the same. It is owned by the shard.
type memory struct {
	open bool // what waits may go out
	// until is up to which of the batches' times it has gone out by now, and at the sweep at which that was reckoned.
	until, at time.Duration
	opened    time.Duration // when that was said
	kept      []keptBatch   // the oldest first
	states    []TrackState  // as of stated
	stated    time.Duration
}

// keptBatch is a batch that waits. Its octets are its own.
type keptBatch struct {
	now, final time.Duration
	frames     []keptFrame
	events     []call.Event
	tracks     []TrackState // shared with neighbours; nobody changes them
}

// keptFrame is a frame that waits, without PCM.
type keptFrame struct {
	Frame
	over Kind // of a late one: what it stands in place of
}

// Keep has the timeline keep its audio in memory, MemorySpan of it, instead of giving it to its sinks, until Leave. It is called before the first track is open.
// Packets' [Tap] sees nothing meanwhile.
func (t *Timeline) Keep() { t.shard.mail.put(post{kind: postKeep, line: t.live}) }

// Leave says what becomes of what Keep keeps: given, it goes out to the sinks, eight times faster than it was spoken, and then what is spoken goes out as ever; else it
// goes out masked, and what comes is held back by HolderConsent until Release. Given after that is Release. The answer, as Hold gives it, has as From
// the time from which audio goes out, or is held back.
func (t *Timeline) Leave(given bool, why string) <-chan Applied {
	return t.turnValve(post{kind: postLeave, line: t.live, holder: HolderConsent, why: why, given: given})
}

// leave does what Leave asks.
func (l *liveTimeline) leave(p *post) {
	now, m := l.shard.now, l.memory
	a := Applied{Holder: HolderConsent, State: l.valve.state(), From: now, At: now}
	switch {
	case p.given && m != nil && !m.open:
		m.open, m.at, m.opened = true, now, now
		a.From = m.oldest(now)
		m.until = a.From
		facts := map[string]any{"by": HolderConsent.String(), "kept_ms": (now - a.From).Milliseconds()}
		l.shard.out.event(call.Event{Type: call.EventLeave, Facts: facts}, now)
	case p.given:
		l.unmask(p)
		return
	default:
		a = l.holdBack(HolderConsent, max(l.zero, 1), p.why) // what can still be taken back is masked as a mask is
		if m != nil && !m.open {
			a.From = m.oldest(now)
		}
		l.forgetKept()
	}
	p.reply <- a
	close(p.reply)
}

// oldest is the time of what has waited longest.
func (m *memory) oldest(now time.Duration) time.Duration {
	for i := range m.kept {
		if len(m.kept[i].frames) > 0 {
			return m.kept[i].now
		}
	}
	return now
}

// keep takes a batch, instead of the sinks.
func (l *liveTimeline) keep(b *Batch) {
	m := l.memory
	k := keptBatch{now: b.Now, final: b.Final, events: slices.Clone(b.Events), tracks: m.snapshot(b.Tracks, b.Now)}
	octets := 0
	for i := range b.Frames {
		octets += len(b.Frames[i].Octets)
	}
	room, from := make([]byte, 0, octets), 0
	for i := range b.Frames {
		f := keptFrame{Frame: b.Frames[i]}
		switch f.Kind {
		case KindMasked:
			for i := range m.kept {
				m.kept[i].blank(&f.Frame)
			}
			k.blank(&f.Frame) // a key that masks is heard in the middle of a sweep
		case KindLate:
			f.over = m.kindAt(&k, &f.Frame)
		case KindReceived, KindLost, KindGap:
		}
		room = append(room, f.Octets...)
		if last := k.last(); last != nil && goesOn(last, &f.Frame) {
			last.Samples, last.Captured = last.Samples+f.Samples, f.Captured // nothing of it is final before its newest packet is
			last.Octets = room[from:len(room):len(room)]
			continue
		}
		if f.PCM = nil; len(f.Octets) > 0 {
			from = len(room) - len(f.Octets)
			f.Octets = room[from:len(room):len(room)]
		}
		k.frames = append(k.frames, f)
	}
	m.kept = append(m.kept, k)
}

func (k *keptBatch) last() *Frame {
	if len(k.frames) == 0 {
		return nil
	}
	return &k.frames[len(k.frames)-1].Frame
}

// goesOn tells whether a frame may become part of the one before it: few long frames take less memory than many short ones. A track's first
// stays as it came: its time is when the track began.
func goesOn(last, f *Frame) bool {
	return f.Kind == KindReceived && last.Kind == KindReceived && last.Track == f.Track && last.Law == f.Law && last.Epoch == f.Epoch &&
		last.Pos > 0 && last.Pos+last.Samples == f.Pos && last.Samples+f.Samples <= SampleRate
}

// snapshot copies the tracks' states where something has changed that matters to who takes the audio.
func (m *memory) snapshot(now []TrackState, at time.Duration) []TrackState {
	same := len(m.states) == len(now) && at-m.stated < statesKept
	for i := 0; same && i < len(now); i++ {
		a, b := &m.states[i], &now[i]
		same = a.Placed == b.Placed && a.Ended == b.Ended && a.EpochCount == b.EpochCount && a.Party == b.Party && a.Part == b.Part && a.Law == b.Law
	}
	if !same {
		m.states, m.stated = slices.Clone(now), at
		for i := range m.states {
			m.states[i].Epochs = slices.Clone(m.states[i].Epochs)
		}
	}
	return m.states
}

// pass gives out what may go out by now: what has waited for too long, masked; and after Leave what its speed allows. It comes after the turn's own
// batch is kept, so the output is free.
func (l *liveTimeline) pass() {
	m, now := l.memory, l.shard.now
	if m.open {
		m.until += releaseSpeed * (now - m.at)
		m.at = now
	}
	n := 0
	for n < len(m.kept) && (m.open && m.kept[n].now <= m.until || !m.open && m.kept[n].now < now-MemorySpan) {
		l.hand(&m.kept[n], !m.open)
		n++
	}
	m.drop(n)
	if m.open && len(m.kept) == 0 {
		l.memory = nil
	}
}

// empty gives out all that waits, and then the states as they are: nothing more will wait.
func (l *liveTimeline) empty() {
	m := l.memory
	if m == nil {
		return
	}
	for i := range m.kept {
		l.hand(&m.kept[i], !m.open)
	}
	l.memory = nil
	l.shard.give(l, l.bare())
}

// bare is a batch without frames.
func (l *liveTimeline) bare() *Batch {
	s := l.shard
	s.gift = Batch{Now: s.now, Final: l.final, Zero: l.zero, Tracks: l.states}
	return &s.gift
}

// forgetKept gives out masked what waits, and keeps nothing more.
func (l *liveTimeline) forgetKept() {
	if l.memory == nil || l.memory.open {
		return
	}
	if len(l.shard.out.frames) > 0 || len(l.shard.out.events) > 0 { // the mask's own frames, which come after what waits
		l.shard.write(l, l.final)
	}
	l.empty()
}

// drop forgets the n oldest batches. Those behind them stay where they are: a call that waits for long drops one with each that comes.
func (m *memory) drop(n int) {
	clear(m.kept[:n]) // their octets are not ours to keep
	m.kept = m.kept[n:]
}

// hand gives a batch that waited to the sinks; masked: without what was said.
func (l *liveTimeline) hand(k *keptBatch, masked bool) {
	for i := range k.frames {
		if f := &k.frames[i]; masked && f.Kind != KindMasked {
			l.recount(f)
			f.mask()
		}
	}
	l.shard.give(l, l.rebuilt(k, masked))
	l.shard.out.reset()
}

// handTo gives all that waits to a sink that leaves, and the states as they are; masked, if nobody has given leave.
func (l *liveTimeline) handTo(st *seat) {
	m := l.memory
	for i := range m.kept {
		k := m.kept[i]
		if !m.open {
			k.frames = slices.Clone(k.frames)
			for j := range k.frames {
				f := &k.frames[j]
				f.Kind, f.Law, f.Octets = KindMasked, LawNone, nil
			}
		}
		l.shard.writeSeat(l, st, l.rebuilt(&k, !m.open))
		l.shard.out.reset()
	}
	l.shard.writeSeat(l, st, l.bare())
}

// rebuilt makes the batch that the sinks would have got then, in the shard's output.
func (l *liveTimeline) rebuilt(k *keptBatch, masked bool) *Batch {
	s := l.shard
	o := s.out
	for i := range k.frames {
		f := k.frames[i].Frame
		if f.Kind == KindReceived || f.Kind == KindLate {
			o.audio(f, f.Octets)
		} else {
			o.run(f)
		}
	}
	for _, e := range k.events {
		if !masked || e.Type != call.EventDTMF {
			o.events = append(o.events, e)
		}
	}
	s.gift = Batch{Now: k.now, Final: k.final, Zero: l.zero, Frames: o.frames, Events: o.events, Tracks: k.tracks}
	return &s.gift
}
