package endpoint

import (
	"maps"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
)

// hear takes what a consumer heard: the part's recording keeps what is final, and whoever looks on is told. It goes nowhere else: not into events.jsonl, not into the log. Without
// consent it goes nowhere at all.
func (c *Call) hear(pt *part, live *window, ev call.Event) {
	if s := c.description().Consent.State; s == call.ConsentWaiting || s == call.ConsentRefused {
		return
	}
	from, samples := rangeOf(ev)
	text := func(key string) string { s, _ := ev.Facts[key].(string); return s }
	if final, _ := ev.Facts["final"].(bool); final {
		if rec, _ := c.recording(pt); rec != nil {
			confidence, _ := ev.Facts["confidence"].(float64)
			rec.Hear(recorder.Line{
				FromSamples: from, Samples: samples, Track: ev.Track, Party: text("party"), Role: text("role"), Consumer: text("consumer"), Text: text("text"), Confidence: confidence,
			})
		}
	}
	c.tellOn(pt, live, ev)
}

// unhear takes back what a consumer heard, and gives the event with how many lines of the transcript that were.
func (c *Call) unhear(pt *part, live *window, ev call.Event) call.Event {
	if rec, _ := c.recording(pt); rec != nil {
		from, samples := rangeOf(ev)
		consumer, _ := ev.Facts["consumer"].(string)
		ev.Facts = maps.Clone(ev.Facts)
		ev.Facts["lines"] = rec.Unhear(consumer, ev.Track, from, samples)
	}
	c.tellOn(pt, live, ev)
	return ev
}

// endWords says that nothing is heard in a part any more.
func (c *Call) endWords(pt *part) {
	c.mu.Lock()
	pt.hears = false
	rec := pt.rec
	c.mu.Unlock()
	if rec != nil {
		rec.EndWords()
	}
}

// tellOn tells whoever looks on, in the call's time and with the call's number of the track. What comes by the timeline's events is told by teller; these do not, or come too late
// for it.
func (c *Call) tellOn(pt *part, live *window, ev call.Event) {
	if c.e.cfg.Told == nil {
		return
	}
	from, samples := rangeOf(ev)
	from += pt.shift
	ev.Facts = maps.Clone(ev.Facts)
	ev.Facts["from_samples"] = from
	ev.Facts["start"], ev.Facts["end"] = float64(from)/media.SampleRate, float64(from+samples)/media.SampleRate
	ev.Track, ev.Call = live.global(ev.Track), c.id
	c.e.cfg.Told(ev)
}

// rangeOf is where in its part an event about words lies.
func rangeOf(ev call.Event) (from, samples int64) {
	from, _ = ev.Facts["from_samples"].(int64)
	samples, _ = ev.Facts["samples"].(int64)
	return from, samples
}

// teller is a sink that tells whoever looks on what happens to a call.
type teller struct{ told func(call.Event) }

// Write implements media.Sink.
//
//earshot:hot
func (t *teller) Write(b *media.Batch) {
	for i := range b.Events {
		if b.Events[i].Type != call.EventTranscriptRevoked { // tellOn has told of it
			t.told(b.Events[i])
		}
	}
}

// tellerPace is how long an event may wait on its way to who looks on: as long as audio waits for a file.
const tellerPace = 200 * time.Millisecond

// Pace and Coded: it needs no audio.
func (*teller) Pace() time.Duration { return tellerPace }
func (*teller) Coded() bool         { return true }

// End implements media.Sink.
func (*teller) End(call.Cause) {}
