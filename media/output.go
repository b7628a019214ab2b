package media

import (
	"time"

	"github.com/earshot/earshot/call"
)

const (
	// outputFrames and outputSamples are what one batch holds; what is more goes out in a second one of the same sweep.
	outputFrames  = 1024
	outputSamples = 1 << 17
	// outputEvents is a batch's usual number of events; more of them allocate.
	outputEvents = 64
	// lostFrameSamples is the longest lost frame: its PCM is silence that all of them share.
	lostFrameSamples = SampleRate
)

// output collects a timeline's frames and events of one sweep. It belongs to the shard and serves one timeline after the
// other.
type output struct {
	frames []Frame
	events []call.Event
	full   func() // gives out what is there and calls reset

	samples bool // somebody wants PCM
	pcm     []int16
	octets  []byte
	used    int // samples of pcm, and octets of octets
	zero    []int16

	call string
	wall time.Time // at capture time base
	base time.Duration
}

func newOutput() *output {
	return &output{
		frames: make([]Frame, 0, outputFrames),
		events: make([]call.Event, 0, outputEvents),
		pcm:    make([]int16, outputSamples),
		octets: make([]byte, outputSamples),
		zero:   make([]int16, lostFrameSamples),
	}
}

func (o *output) reset() {
	o.frames = o.frames[:0]
	clear(o.events) // their maps are not ours to keep
	o.events = o.events[:0]
	o.used = 0
}

// room makes sure that one more frame of n samples fits.
//
//earshot:hot
func (o *output) room(n int) {
	if len(o.frames) == cap(o.frames) || o.used+n > len(o.pcm) {
		o.full()
	}
}

// audio decodes octets into a frame of its own copy.
//
//earshot:hot
func (o *output) audio(f Frame, octets []byte) {
	o.room(len(octets))
	from, to := o.used, o.used+len(octets)
	f.Octets = o.octets[from:to:to]
	copy(f.Octets, octets)
	if o.samples {
		f.PCM = o.pcm[from:to:to]
		decode(f.Law, f.PCM, octets)
	}
	o.used = to
	f.Samples = int64(len(octets))
	o.frames = append(o.frames, f)
}

// run adds a run without octets: lost in frames of a second at most, all others in one.
//
//earshot:hot
func (o *output) run(f Frame) {
	left := f.Samples
	for left > 0 {
		o.room(0)
		f.Samples = left
		if f.Kind == KindLost {
			f.Samples = min(left, lostFrameSamples)
			f.PCM = o.zero[:f.Samples:f.Samples]
		}
		o.frames = append(o.frames, f)
		f.Pos += f.Samples
		left -= f.Samples
	}
}

// event adds an event that happened at a capture time.
func (o *output) event(e call.Event, at time.Duration) {
	e.Call, e.Time = o.call, o.wall.Add(at-o.base)
	o.events = append(o.events, e)
}
