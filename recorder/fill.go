package recorder

import (
	"encoding/binary"

	"github.com/earshot/earshot/media"
)

// filler conceals what a track has lost. What was received is never changed by it.
type filler struct {
	voice media.Concealer
	end   int64 // where what it knows ends
	begun int64 // where the lost run before end began; end where there is none
	// tail is the end of that run, the last sample last.
	tail    [media.ConcealTail]int16
	samples [media.ConcealSamples]int16
	octets  [2 * media.ConcealSamples]byte
}

// conceal lays one op of a recording whose lost runs are filled.
func (r *Recording) conceal(t *track, o op, audio payload) {
	if t.filler == nil {
		t.filler = &filler{end: o.pos, begun: o.pos}
	}
	f := t.filler
	if f.end != o.pos {
		f.forget(o.pos)
	}
	switch {
	case o.kind == kindLost:
		for o.n > 0 && f.end-f.begun < media.ConcealSamples {
			n := min(o.n, media.ConcealSamples-(f.end-f.begun))
			r.put(t, piece{kind: o.kind, pos: o.pos, n: n}, f.fill(n))
			o.pos, o.n = o.pos+n, o.n-n
		}
		f.hush(o.n)
	case o.kind == kindReceived && audio.data != nil:
		r.meet(t, o, audio)
	default:
		f.forget(o.pos + o.n)
	}
	r.put(t, piece{kind: o.kind, pos: o.pos, n: o.n}, audio)
}

// meet lets the end of a lost run go over into what follows it, where no late packet has taken its place, and hears that.
func (r *Recording) meet(t *track, o op, audio payload) {
	f := t.filler
	for at := int64(0); at < o.n; {
		n := min(o.n-at, media.ConcealSamples)
		part := f.samples[:n]
		audio.part(at, n).toSamples(part)
		if k := min(f.end-f.begun, media.ConcealTail); at == 0 && k > 0 {
			whole := true
			t.loss.each(f.end-k, k, func(s span) { whole = whole && s.kind == kindLost })
			tail := f.tail[media.ConcealTail-k:]
			if f.voice.Meet(tail, part); whole && t.channel >= 0 && r.openAudio() == nil {
				r.lay(piece{t: t, kind: kindSeam, pos: f.end - k, n: k, idx: f.end - k + t.offset}, f.pcm(tail), len(r.w.tracks)-1)
			}
		}
		f.voice.Hear(part)
		at += n
	}
	f.end = o.pos + o.n
	f.begun = f.end
}

// forget goes on at pos without what was heard: a pause, a mask, or what nobody knows lies before it.
func (f *filler) forget(pos int64) {
	f.voice.Forget()
	f.end, f.begun = pos, pos
}

// fill gives the next n samples of a lost run.
func (f *filler) fill(n int64) payload {
	pcm := f.samples[:n]
	f.voice.Conceal(pcm)
	f.keep(pcm)
	f.end += n
	return f.pcm(pcm)
}

// hush says that n samples of silence end the lost run so far.
func (f *filler) hush(n int64) {
	f.end += n
	for n = min(n, 2*media.ConcealSamples); n > 0; { // then nothing else is remembered
		quiet := f.samples[:min(n, int64(len(f.samples)))]
		f.voice.Conceal(quiet)
		f.keep(quiet)
		n -= int64(len(quiet))
	}
}

func (f *filler) keep(pcm []int16) {
	n := min(len(pcm), len(f.tail))
	copy(f.tail[:], f.tail[n:])
	copy(f.tail[len(f.tail)-n:], pcm[len(pcm)-n:])
}

// pcm gives samples as payload, valid until the next call.
func (f *filler) pcm(samples []int16) payload {
	for i, s := range samples {
		binary.LittleEndian.PutUint16(f.octets[2*i:], uint16(s))
	}
	return payload{data: f.octets[:2*len(samples)]}
}
