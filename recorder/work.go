package recorder

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

// liveManifestEvery is how often a live manifest is written for the loss map's sake: what came after it is unknown if we
// are killed.
const liveManifestEvery = 5 * time.Second

// perOpenRecording is how much less often for each recording that is open: with five hundred there are 20 manifests a second,
// where each takes as long as the audio of two seconds.
const perOpenRecording = 40 * time.Millisecond

// work is what the worker that is busy with a recording owns.
type work struct {
	info     call.Info
	states   []media.TrackState
	tracks   []*track
	img      image
	log      eventLog
	fault    fault
	notes    notes
	unmasked []piece // masks that could not be written
	spans    []span  // scratch
	shown    shown
	// openErr is why audio.wav could not be made in this step.
	openErr error
	// What of sealing is done: audio.wav is finished, the folder has its final name. And when it was tried last.
	audioShut, renamed bool
	sealTry            time.Time
	sip                []byte // all of SIPName
	sipOwed            bool   // it is not on disk
	// final is the manifest of the sealed recording, once it is durable; attested: the evidence log may name it.
	final    *Manifest
	attested bool
	ripe     ripe
	// grown is the file's length when it grew last, grownAt the sweep that brought that; unkept is what could not be written.
	grown   int64
	grownAt time.Duration
	unkept  []unkept
	// unlisted: a name in the folder, or the folder's own, is not durable.
	unlisted, unlistedDay bool
}

// fault is a stretch in which something could not be written.
type fault struct {
	on      bool // now
	hit     bool // in this step
	first   piece
	err     error
	samples int64
}

// shown is what the live manifest on disk says.
type shown struct {
	tracks  []trackKey
	spans   int
	masks   []call.Mask
	samples int64 // of all tracks together
	at      time.Time
}

// trackKey is what a live manifest must be right about, so that a crash leaves it.
type trackKey struct {
	channel, epochs int
	spilled         int64
	placed, ended   bool
	party           call.Party
	law             media.Law
	srtp, octets    bool
}

// job is what a step has to do.
type job struct {
	in    *buffer
	fresh bool
	sip   []byte
	sync  bool
	// since is when the file system began to be made durable as a whole; zero: the file is, by itself.
	since time.Time
	ended bool
	cause call.Cause
	now   time.Time
	// at and final are of the newest batch, since the engine's start.
	at, final time.Duration
}

// process does what there is to do for r, or leaves it to the worker who is at it.
func (s *Store) process(r *Recording, k *kit, sync bool, since time.Time) {
	x := &r.inbox
	x.mu.Lock()
	defer x.mu.Unlock()
	x.again, x.wantSync, x.queued = true, x.wantSync || sync, false
	if sync {
		x.since = since
	}
	if x.busy {
		return
	}
	x.busy, x.busyAt = true, time.Now()
	for x.again && !x.finished {
		j := job{in: x.in, fresh: x.fresh, sip: x.sip, sync: x.wantSync, since: x.since, ended: x.ended, cause: x.cause, now: time.Now(), at: x.now, final: x.final}
		x.in = k.empty
		x.again, x.wantSync, x.fresh, x.sip = false, false, false, nil
		copyStates(&r.w.states, x.states)
		if j.fresh {
			r.w.info = x.info
		}
		x.mu.Unlock()
		r.step(j, k.win)
		r.shelve(j)
		j.in.reset()
		k.empty = j.in
		x.mu.Lock()
		x.busyAt = time.Now()
	}
	x.busy, x.busyAt = false, time.Time{}
}

// step writes what came, and what the job asks for besides.
func (r *Recording) step(j job, win []byte) {
	w := &r.w
	w.openErr, w.fault.hit = nil, false
	w.retryOctets()
	w.img.win = win
	for i, st := range w.states {
		t := w.track(media.TrackID(i + 1))
		t.state = st
		r.place(t)
	}
	if !w.audioShut {
		r.remask()
	}
	w.img.lowest = w.lowest(j.in)
	for _, o := range j.in.ops {
		r.take(j.in, o)
	}
	if j.ended {
		for _, t := range w.tracks {
			r.placeByArrival(t)
		}
	}
	w.img.flush()
	w.flushOctets()
	r.encrypt(j)
	r.spill(j.now)
	r.events(j)
	if len(j.sip) > 0 {
		w.sip, w.sipOwed = append(w.sip, j.sip...), true
		if err := r.putSIP(); err != nil {
			r.fail(err)
		}
	}
	if j.sync && !j.ended {
		r.sync(j)
	}
	w.img.win = nil
	if j.ended {
		r.takesTime()
		r.seal(j)
	}
}

// lowest is the lowest index that a drain is about to touch in the usual case: what comes late is not looked at.
func (w *work) lowest(in *buffer) int64 {
	low := int64(-1)
	for i := range in.ops {
		o := &in.ops[i]
		if int(o.track) > len(w.tracks) || o.kind != kindReceived {
			continue
		}
		if t := w.tracks[o.track-1]; t.placed && (low < 0 || o.pos+t.offset < low) {
			low = o.pos + t.offset
		}
	}
	return low
}

// events writes the batch's events down, and tells of faults.
func (r *Recording) events(j job) {
	w := &r.w
	if w.log.f == nil { // sealing came so far, and is tried again
		return
	}
	for _, e := range j.in.events {
		r.note(e)
		w.log.add(e)
	}
	if n := j.in.lostEvents; n > 0 {
		r.s.count.droppedEvents.Add(n)
		w.log.add(r.event(call.EventDropped, j.now, map[string]any{"events": n}))
	}
	if n := j.in.strange; n > 0 {
		r.s.count.strange.Add(n)
	}
	switch f := &w.fault; {
	case f.hit && !f.on:
		f.on = true
		e := r.event(call.EventDisk, j.now, map[string]any{"state": "begun", "err": f.err.Error()})
		e.Track, e.Pos = uint32(f.first.t.id), f.first.pos
		w.log.add(e)
	case f.on && (!f.hit || j.ended):
		w.log.add(r.event(call.EventDisk, j.now, map[string]any{"state": "over", "samples": f.samples}))
		*f = fault{}
	}
	r.s.count.events.Add(int64(len(j.in.events)))
	if err := w.log.write(); err != nil {
		r.fail(err)
	}
}

func (r *Recording) event(typ call.Type, at time.Time, facts map[string]any) call.Event {
	return call.Event{Time: at, Type: typ, Call: r.w.info.ID, Facts: facts}
}

// trouble notes that n samples from p on are not in the file.
func (r *Recording) trouble(p piece, n int64, err error) {
	f := &r.w.fault
	if !f.on && !f.hit {
		f.first = p
	}
	if !f.hit {
		r.fail(err)
	}
	f.hit, f.err = true, err
	f.samples += n
	if n > 0 {
		r.w.miss(p.t, p.pos, n)
	}
}

// fail counts an error of the disk and lets the store log it.
func (r *Recording) fail(err error) { r.s.complain(err, r.w.info.ID) }

// openAudio makes audio.wav when its first sample is there: a call without media has none.
func (r *Recording) openAudio() error {
	w := &r.w
	if w.img.f != nil || w.openErr != nil {
		return w.openErr
	}
	if r.key != nil {
		w.openErr = r.openSealed()
		return w.openErr
	}
	name := r.file(AudioName)
	f, err := r.s.create(name)
	if err != nil {
		w.openErr = fmt.Errorf("audio.wav: %w", err)
		return w.openErr
	}
	w.img.f = f
	if err := w.img.sizes(0); err != nil {
		w.img.f = nil
		w.openErr = errors.Join(err, f.Close(), r.s.root.Remove(name))
		return w.openErr
	}
	w.img.stale, w.unlisted = true, true
	return nil
}

// sync makes durable what was written, and says in the manifest what a crash must not lose.
func (r *Recording) sync(j job) {
	w := &r.w
	show := j.fresh || w.stale(j.now, r.s.openNow())
	durable, since := w.img.sync, time.Time{}
	if !j.since.IsZero() && !show { // what a manifest says to be received must not be zeros after a power loss
		durable, since = func() error { return w.img.settle(j.since) }, j.since
	}
	if err := errors.Join(durable(), w.syncOctets(since)); err != nil {
		r.fail(err)
		show = false
	}
	if err := w.log.sync(); err != nil {
		r.fail(err)
	}
	if show {
		if err := r.showLive(j.now, true); err != nil {
			r.fail(err)
		}
	}
	if err := r.list(); err != nil {
		r.fail(err)
	}
	r.s.announce(r)
}

// list makes the names of the folder, and in it, durable.
func (r *Recording) list() error {
	w := &r.w
	if w.unlistedDay {
		// The first recording of a day may have made the folders of day, month and year.
		for dir := r.day; dir != "."; dir = path.Dir(dir) {
			if err := r.s.syncDir(dir); err != nil {
				return err
			}
		}
		if err := r.s.syncDir("."); err != nil {
			return err
		}
		w.unlistedDay = false
	}
	if w.unlisted {
		if err := r.s.syncDir(r.folder()); err != nil {
			return err
		}
		w.unlisted = false
	}
	return nil
}

// stale tells whether the live manifest has to be written anew.
func (w *work) stale(now time.Time, open int) bool {
	if w.shown.at.IsZero() || !slices.Equal(w.shown.tracks, w.keys()) || !slices.Equal(w.shown.masks, w.notes.masks) {
		return true
	}
	// The more spans, the longer a manifest takes, and the more recordings, the more of them: it is written the less often.
	every := liveManifestEvery + time.Duration(w.shown.spans)*time.Millisecond + time.Duration(open)*perOpenRecording
	_, samples := w.count()
	return samples != w.shown.samples && now.Sub(w.shown.at) >= every
}

// count gives the spans and samples of all tracks together.
func (w *work) count() (spans int, samples int64) {
	for _, t := range w.tracks {
		spans += len(t.loss.spans)
		samples += t.loss.end
	}
	return spans, samples
}

func (w *work) keys() []trackKey {
	out := make([]trackKey, len(w.tracks))
	for i, t := range w.tracks {
		st := t.state
		out[i] = trackKey{t.channel, len(st.Epochs), t.spill.Bytes, t.placed, st.Ended, st.Party, st.Law, st.SRTP, t.octets != nil}
	}
	return out
}

// showLive writes the manifest of a call that goes on.
func (r *Recording) showLive(now time.Time, durable bool) error {
	w := &r.w
	m := r.describe()
	m.Samples = w.img.length
	if err := r.s.putManifest(r.folder(), m, durable); err != nil {
		return err
	}
	if durable {
		spans, samples := w.count()
		w.shown, w.unlisted = shown{w.keys(), spans, slices.Clone(w.notes.masks), samples, now}, true
	}
	return nil
}

// putManifest writes a folder's manifest in one stroke: whoever looks finds the old one or the new one, whole.
func (s *Store) putManifest(folder string, m *Manifest, durable bool) error {
	b, err := m.encode()
	if err != nil {
		return err
	}
	return s.putFile(inDay(folder, ManifestName), b, durable)
}

const tempSuffix = ".tmp"

func (s *Store) putFile(name string, b []byte, durable bool) error {
	f, err := s.openWrite(name+tempSuffix, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return fmt.Errorf("write %s: %w", path.Base(name), err)
	}
	_, err = f.Write(b)
	if err == nil && durable {
		err = s.sync(f)
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = s.rename(name+tempSuffix, name)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path.Base(name), err)
	}
	return nil
}
