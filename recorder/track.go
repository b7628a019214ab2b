package recorder

import (
	"errors"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

const (
	// heldSamples is how much of a track waits for its offset; media fixes that after 500 ms and a live wait.
	heldSamples = 2 * rate
	// methodFirstPacket is the offset_method of a track that ended, or went on too long, without media's word.
	methodFirstPacket = "first_packet"
)

var (
	errSlow = errors.New("disk too slow: buffer is full")
	errHole = errors.New("media left a hole")
)

// track is what a recording knows of one of its tracks. It is owned by the worker that is busy with the recording.
type track struct {
	id      media.TrackID
	state   media.TrackState
	channel int
	placed  bool
	offset  int64
	method  string
	loss    lossMap
	spill   spill
	// held waits for the offset; nil afterwards.
	held *buffer
	// heard is how many samples of it came into the file.
	heard int64
	// lag is how far it lay behind the file's end when something of it came last; unmasked is what a mask came too late for.
	lag, unmasked int64
	seen          int64 // its end at that time
	// filler fills what is lost; nil where that stays silent.
	filler *filler
	// octets keeps what came in another law than audio.wav's; nil: nothing did. native: something came in audio.wav's own.
	octets *octetFile
	native bool
}

// end is the index behind its last sample.
func (t *track) end() int64 { return t.offset + t.loss.end }

// track gives the track with that id, making it if it's new.
func (w *work) track(id media.TrackID) *track {
	for len(w.tracks) < int(id) {
		w.tracks = append(w.tracks, &track{
			id: media.TrackID(len(w.tracks) + 1), channel: channelOpen, loss: newLossMap(maxSpans), held: &buffer{},
		})
	}
	return w.tracks[id-1]
}

// take lays one op into the file, or keeps it until its track has a place.
func (r *Recording) take(b *buffer, o op) {
	t := r.w.track(o.track)
	if !t.placed && !r.place(t) {
		t.held.move(b, o)
		if t.held.tracks[t.id].waiting <= heldSamples && len(t.held.ops) < maxOps {
			return
		}
		r.placeByArrival(t)
		return
	}
	r.apply(t, o, b.payload(o))
}

// place fixes the track's offset and channel once media has said the former, and lays what was held.
func (r *Recording) place(t *track) bool {
	if t.placed || !t.state.Placed {
		return t.placed
	}
	r.settle(t, t.state.Offset, t.state.OffsetMethod)
	return true
}

// placeByArrival is the way out for a track that media never placed: where its first packet's arrival says.
func (r *Recording) placeByArrival(t *track) {
	if t.placed || len(t.held.ops) == 0 {
		return
	}
	first := t.held.ops[0]
	since := r.at.Wall.Add(first.captured - r.at.Mono).Sub(r.started)
	offset := int64(since)*rate/int64(time.Second) - first.pos - first.n
	r.settle(t, max(0, offset), methodFirstPacket)
}

func (r *Recording) settle(t *track, offset int64, method string) {
	t.placed, t.offset, t.method = true, max(0, offset), method
	seats := r.w.seats()
	r.seating.decide(seats)
	t.channel = seats[t.id-1].channel
	held := t.held
	t.held = nil
	for _, o := range held.ops {
		r.apply(t, o, held.payload(o))
	}
}

// seats is what seating needs to know of the tracks.
func (w *work) seats() []seat {
	out := make([]seat, len(w.tracks))
	for i, t := range w.tracks {
		p := t.state.Party
		out[i] = seat{
			id: t.id, channel: t.channel, party: p.ID, role: p.Role, leg: t.state.Leg, line: t.state.Line, ended: t.state.Ended,
		}
	}
	return out
}

// apply lays one op of a placed track. Received, lost and gap tile the track; late fills the two without audio; a mask beats all.
func (r *Recording) apply(t *track, o op, audio payload) {
	if o.kind == kindLate && (t.loss.until < 0 || o.pos < t.loss.until) {
		r.patch(t, o, audio)
		return
	}
	if o.pos > t.loss.end {
		r.w.miss(t, t.loss.end, o.pos-t.loss.end)
		r.put(t, piece{kind: kindUnknown, pos: t.loss.end, n: o.pos - t.loss.end}, payload{})
		r.trouble(piece{t: t, pos: o.pos}, 0, errHole)
	}
	if o.pos < t.loss.end && o.kind == kindDisk {
		r.patch(t, o, audio)
	}
	if o.pos < t.loss.end && o.kind != kindMasked && o.kind != kindLate {
		// Said twice: the first word stands.
		over := min(t.loss.end-o.pos, o.n)
		o.pos, o.n = o.pos+over, o.n-over
		if audio.data != nil {
			audio = audio.part(over, o.n)
		}
	}
	if r.s.cfg.Fill == FillConceal {
		r.conceal(t, o, audio)
		return
	}
	r.put(t, piece{kind: o.kind, pos: o.pos, n: o.n}, audio)
}

// patch fills what was given out without audio behind the track's end: with a late packet, or with the word that it came and was not
// written. Where packets are missing and the sender was silent as well, nobody knows which part of the hole is which: late audio may lie
// in what was called a gap.
func (r *Recording) patch(t *track, o op, audio payload) {
	n := min(o.n, t.loss.end-o.pos)
	if n <= 0 {
		return
	}
	r.w.spans = r.w.spans[:0]
	t.loss.each(o.pos, n, func(s span) { r.w.spans = append(r.w.spans, s) })
	for _, s := range r.w.spans {
		if s.kind != kindLost && s.kind != kindGap && s.kind != kindDisk {
			continue
		}
		part := audio
		if audio.data != nil {
			part = audio.part(s.pos-o.pos, s.n)
		}
		r.put(t, piece{kind: o.kind, pos: s.pos, n: s.n}, part)
	}
}

// put says what a run is, and lays it where no newer track has the channel.
func (r *Recording) put(t *track, p piece, audio payload) {
	if p.n <= 0 {
		return
	}
	p.t, p.idx = t, p.pos+t.offset
	t.loss.set(p.pos, p.n, p.kind)
	if p.kind == kindDisk {
		r.trouble(p, p.n, errSlow)
	}
	if t.channel < 0 {
		return
	}
	r.chooseLaw(t, audio)
	if err := r.openAudio(); err != nil {
		r.pieceDone(p, err)
		return
	}
	r.lay(p, audio, len(r.w.tracks)-1)
	r.keep(t, p, audio)
}

// lay cuts out of p what the tracks newer than t, up to the one at index i, cover; the rest goes to the image.
func (r *Recording) lay(p piece, audio payload, i int) {
	for ; i >= int(p.t.id); i-- {
		o := r.w.tracks[i]
		if !o.placed || o.channel != p.t.channel || o.end() <= p.idx || o.offset >= p.idx+p.n {
			continue
		}
		if before := o.offset - p.idx; before > 0 {
			r.lay(p.part(0, before), audio.sub(0, before), i-1)
		}
		after := o.end() - p.idx
		if after >= p.n {
			return
		}
		audio = audio.sub(after, p.n-after)
		p = p.part(after, p.n-after)
	}
	r.w.img.put(p.t.channel, p, audio)
}

func (p piece) part(i, n int64) piece {
	p.pos, p.idx, p.n = p.pos+i, p.idx+i, n
	return p
}

// sub is part, and silence stays silence.
func (p payload) sub(i, n int64) payload {
	if p.data == nil {
		return p
	}
	return p.part(i, n)
}

// pieceDone is called for each piece that is in the file, or could not be written.
func (r *Recording) pieceDone(p piece, err error) {
	if err == nil {
		r.s.count.kinds[p.kind].Add(p.n)
		if p.kind == kindReceived || p.kind == kindLate {
			p.t.heard += p.n
		}
		return
	}
	if p.kind == kindMasked && errors.Is(err, errFinal) { // not tried again
		p.t.unmasked += p.n
		r.trouble(p, 0, err)
		return
	}
	switch p.kind {
	case kindReceived, kindLate:
		p.t.loss.set(p.pos, p.n, kindDisk)
		r.s.count.kinds[kindDisk].Add(p.n)
		r.trouble(p, p.n, err)
	case kindMasked:
		// What the mask should cover may be in the file: it is tried again until it is covered.
		if p.idx < r.w.img.length {
			r.w.unmasked = append(r.w.unmasked, p)
		}
		r.trouble(p, 0, err)
	default:
		r.trouble(p, 0, err)
	}
}

// remask tries again the masks that could not be written.
func (r *Recording) remask() {
	again := r.w.unmasked
	r.w.unmasked = nil
	for _, p := range again {
		r.w.img.put(p.t.channel, p, payload{})
		p.t.octets.mask(p)
	}
}

// samples is the length that the recording has come to: both channels end at the same index.
func (w *work) samples() (n int64) {
	for _, t := range w.tracks {
		if t.placed && t.channel >= 0 {
			n = max(n, t.end())
		}
	}
	return n
}

// party gives the best that is known of a track's party: media's word, and what was expected of that id.
func (w *work) party(t *track) call.Party {
	p := t.state.Party
	for _, e := range w.info.Expected {
		if p.ID == "" || e.ID != p.ID {
			continue
		}
		if p.Role == call.RoleUnknown {
			p.Role = e.Role
		}
		if p.Name == "" {
			p.Name = e.Name
		}
		if p.Number == "" {
			p.Number = e.Number
		}
		if p.Extension == "" {
			p.Extension = e.Extension
		}
	}
	return p
}
