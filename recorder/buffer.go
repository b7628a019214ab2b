package recorder

import (
	"encoding/binary"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

const (
	// maxTracks bounds the tracks of one recording; what comes of further ones is counted and left out.
	maxTracks = 256
	// maxOps bounds the frames that wait, whatever their size: 8 s of two tracks at 2.5 ms a packet.
	maxOps = 8192
	// maxEvents bounds the events that wait.
	maxEvents = 1024
	// keepBytes is the largest buffer that is kept between drains; what is larger was the work of a slow disk.
	keepBytes = 128 << 10
	// firstBytes and firstOps are a buffer's room at first: two seconds of two tracks, written in batches of 60 ms or more.
	firstBytes = 32 << 10
	firstOps   = 64
)

// op is one frame, or several without payload in a row, that wait for the disk.
type op struct {
	track    media.TrackID
	kind     kind
	octets   bool
	alaw     bool
	pos, n   int64
	captured time.Duration // of its newest frame
	at       int           // of its payload in the buffer's data
	size     int           // of its payload, 0: silence
}

// queued is what a buffer knows of one track.
type queued struct {
	waiting int64 // samples with payload
	newest  int32 // op's index plus 1
}

// buffer holds what Write took until a worker comes for it. It allocates only to grow.
type buffer struct {
	ops    []op
	data   []byte
	events []call.Event
	tracks [maxTracks + 1]queued // by id
	// What fell over: events, and frames that could not be.
	lostEvents, strange int64
}

func newBuffer() *buffer {
	return &buffer{ops: make([]op, 0, firstOps), data: make([]byte, 0, firstBytes), events: make([]call.Event, 0, 4)}
}

func (b *buffer) empty() bool {
	return len(b.ops) == 0 && len(b.events) == 0 && b.lostEvents == 0 && b.strange == 0
}

// add copies a frame. Once limit samples of a track wait, what comes is not lost from sight: it becomes a run of kind disk.
//
//earshot:hot
func (b *buffer) add(f *media.Frame, limit int64) {
	k := kindOf(f.Kind)
	if k == 0 || f.Track == 0 || f.Track > maxTracks || f.Samples <= 0 || f.Pos < 0 || f.Pos+f.Samples < 0 {
		b.strange++
		return
	}
	if n := len(b.ops); n > 0 && b.goesOn(&b.ops[n-1], f, k, limit) {
		return
	}
	o := op{track: f.Track, kind: k, pos: f.Pos, n: f.Samples, captured: f.Captured, at: len(b.data)}
	if k == kindReceived || k == kindLate {
		if b.tracks[f.Track].waiting+f.Samples > limit || len(b.ops) >= maxOps || !b.copyPayload(f, &o) {
			o.kind = kindDisk
		} else {
			b.tracks[f.Track].waiting += f.Samples
		}
	}
	if o.size == 0 && b.lengthen(o) {
		return
	}
	// A mask is never dropped: it may take back what the file has. Masks follow a person's hand, so they are few.
	if len(b.ops) >= 2*maxOps && k != kindMasked {
		b.strange++
		return
	}
	b.ops = append(b.ops, o)
	b.tracks[f.Track].newest = int32(len(b.ops))
}

// goesOn copies a frame to the end of the newest op, if it goes on where that ends: nearly always, for the frames of a
// batch come track by track.
//
//earshot:hot
func (b *buffer) goesOn(last *op, f *media.Frame, k kind, limit int64) bool {
	if k != kindReceived || last.kind != k || last.track != f.Track || !last.octets || last.alaw != (f.Law == media.LawPCMA) ||
		last.pos+last.n != f.Pos || int64(len(f.Octets)) != f.Samples || f.Law == media.LawNone || b.tracks[f.Track].waiting+f.Samples > limit {
		return false
	}
	b.data = append(b.data, f.Octets...) // the newest op's octets end there
	last.n += f.Samples
	last.size += len(f.Octets)
	last.captured = f.Captured
	b.tracks[f.Track].waiting += f.Samples
	return true
}

// copyPayload takes octets where they are whole: half the memory of samples, and they can be stored bit for bit.
func (b *buffer) copyPayload(f *media.Frame, o *op) bool {
	switch {
	case int64(len(f.Octets)) == f.Samples && f.Law != media.LawNone:
		o.octets, o.alaw = true, f.Law == media.LawPCMA
		b.data = append(b.data, f.Octets...)
	case int64(len(f.PCM)) == f.Samples:
		for _, s := range f.PCM {
			b.data = binary.LittleEndian.AppendUint16(b.data, uint16(s))
		}
	default:
		return false
	}
	o.size = len(b.data) - o.at
	return true
}

// lengthen makes the track's newest op longer if o goes on where that ends.
func (b *buffer) lengthen(o op) bool {
	i := b.tracks[o.track].newest
	if i == 0 {
		return false
	}
	last := &b.ops[i-1]
	if last.kind != o.kind || last.size != 0 || last.pos+last.n != o.pos {
		return false
	}
	last.n += o.n
	return true
}

func (b *buffer) event(e call.Event) {
	if len(b.events) >= maxEvents {
		b.lostEvents++
		return
	}
	b.events = append(b.events, e)
}

// payload gives the audio of one of its ops.
func (b *buffer) payload(o op) payload {
	if o.size == 0 {
		return payload{}
	}
	return payload{octets: o.octets, alaw: o.alaw, data: b.data[o.at : o.at+o.size]}
}

// move copies one of from's ops to the end of b.
func (b *buffer) move(from *buffer, o op) {
	at := len(b.data)
	b.data = append(b.data, from.data[o.at:o.at+o.size]...)
	o.at = at
	if o.size > 0 {
		b.tracks[o.track].waiting += o.n
	}
	b.ops = append(b.ops, o)
}

// reset empties the buffer for use anew.
func (b *buffer) reset() {
	clear(b.events) // lets go of the facts
	b.ops, b.data, b.events = b.ops[:0], b.data[:0], b.events[:0]
	if cap(b.data) > keepBytes {
		b.data = make([]byte, 0, keepBytes)
	}
	clear(b.tracks[:])
	b.lostEvents, b.strange = 0, 0
}
