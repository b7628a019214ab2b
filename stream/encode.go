package stream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/earshot/earshot/media"
	"github.com/zaf/g711"
)

// chunkSamples is how many samples per channel go through rate and format at a time: the longest message.
const chunkSamples = int(maxMessage / sampleTime)

// sizeUnknown stands in a WAV header that can't be gone back to; sox, ffmpeg and players read to the end then.
const sizeUnknown = 0xFFFFFFFF

// encoder turns samples at 8000 Hz into a consumer's bytes. One goroutine uses it.
type encoder struct {
	format   string
	up       *upsampler // nil at 8000 Hz
	raised   []int16    // what it gave
	channels int
	rate     int
	began    bool  // it was given samples since it held nothing
	next     int64 // the position behind the last sample that it was given; set by who gives
	// stamps put a header before each message; nil: there is none.
	stamps *stamps
}

func newEncoder(format string, rate, channels int) *encoder {
	e := &encoder{format: format, channels: channels, rate: rate}
	if factor := rate / media.SampleRate; factor > 1 {
		e.up = newUpsampler(factor, channels)
	}
	return e
}

// makeEncoder makes the one that its consumer wants.
func (p *outlook) makeEncoder() *encoder {
	e := newEncoder(p.consumer.Format, p.consumer.Rate, p.channels)
	e.stamps = p.stamps
	return e
}

// checkForm completes and checks format and rate.
func checkForm(format *string, rate *int, allowed ...string) error {
	if *format == "" {
		*format = FormatS16LE
	}
	if *rate == 0 {
		*rate = media.SampleRate
	}
	var errs []error
	known := false
	for _, f := range allowed {
		known = known || f == *format
	}
	if !known {
		errs = append(errs, fmt.Errorf("format: got %q, want one of %v", *format, allowed))
	}
	if *rate%media.SampleRate != 0 || *rate < media.SampleRate || *rate > maxUpsample*media.SampleRate {
		errs = append(errs, fmt.Errorf("rate: got %d, want 8000, 16000 or 24000", *rate))
	}
	return errors.Join(errs...)
}

// header appends what stands before the first sample.
func (e *encoder) header(out []byte) []byte {
	if e.format != FormatWAV {
		return out
	}
	group := 2 * e.channels
	out = append(out, "RIFF"...)
	out = binary.LittleEndian.AppendUint32(out, sizeUnknown)
	out = append(out, "WAVEfmt "...)
	out = binary.LittleEndian.AppendUint32(out, 16)
	out = binary.LittleEndian.AppendUint16(out, 1) // PCM
	out = binary.LittleEndian.AppendUint16(out, uint16(e.channels))
	out = binary.LittleEndian.AppendUint32(out, uint32(e.rate))
	out = binary.LittleEndian.AppendUint32(out, uint32(e.rate*group))
	out = binary.LittleEndian.AppendUint16(out, uint16(group))
	out = binary.LittleEndian.AppendUint16(out, 16)
	out = append(out, "data"...)
	return binary.LittleEndian.AppendUint32(out, sizeUnknown)
}

// held is how many samples of those that were given before come with the next: the upsampler looks ahead.
func (e *encoder) held() int64 {
	if e.up == nil || !e.began {
		return 0
	}
	return int64(upsampleAhead)
}

// reset forgets what is held back.
func (e *encoder) reset() {
	e.began = false
	if e.up != nil {
		e.up.reset()
	}
}

// encode gives the bytes of interleaved samples; last also those that were held back. They lie in out, from its beginning on, or
// are the samples themselves.
func (e *encoder) encode(out []byte, pcm []int16, last bool) []byte {
	out = out[:0]
	e.began = !last // then nothing is held back any more
	if e.up != nil {
		e.raised = e.up.next(e.raised[:0], pcm)
		if last {
			e.raised = e.up.flush(e.raised)
		}
		pcm = e.raised
	}
	switch e.format {
	case FormatMulaw:
		for _, s := range pcm {
			out = append(out, g711.EncodeUlawFrame(s))
		}
		return out
	case FormatAlaw:
		for _, s := range pcm {
			out = append(out, g711.EncodeAlawFrame(s))
		}
		return out
	case FormatF32LE:
		for _, s := range pcm {
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(s)/(1<<15)))
		}
		return out
	}
	if littleEndian {
		return bytesOf(pcm)
	}
	for _, s := range pcm {
		out = binary.LittleEndian.AppendUint16(out, uint16(s))
	}
	return out
}
