package stream

import (
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/attr"
	"github.com/earshot/earshot/media"
)

const (
	// An engine may tell so much in a second, and save up so much: what repeats itself faster is cut.
	answersPerSecond = 50
	answersSavedUp   = 500
	// maxTaken bounds the ranges that masks took back and that are remembered; answers about older ones have come long ago.
	maxTaken = 256
	// takenMargin is how much wider a range that was taken back counts: engines' times are a quarter of a second off.
	takenMargin = media.SampleRate / 4
	// maxChannels is how many channels a stream has at most.
	maxChannels = 2
)

// speaker is whose voice a channel of the stream has.
type speaker struct{ role, party string }

// hearing turns what a consumer's engine answers into the call's events transcript, over all its connections. A mask that takes back what the engine has heard takes the words
// back too: what overlaps is told no more, and transcript_revoked says which ones are not to be kept.
type hearing struct {
	// Set by newHearing, then constant.
	outlook  *outlook
	speakers [maxChannels]speaker
	perGroup int64 // octets of the stream's form per sample of 8000 Hz

	// offset is where the track's Pos 0 lies in the call, and placed that this is known: 0.5 s after its first packet. The shard writes them.
	offset atomic.Int64
	placed atomic.Bool

	// mu guards the fields below. Notify is called with it held: so nothing is told that was taken back just before. It does not block.
	mu    sync.Mutex
	clock clock
	read  answers
	bad   bool // a message could not be read, and that was told
	saved float64
	at    time.Time // when saved was reckoned
	said  [maxChannels]time.Duration
	guess [maxChannels]heard // the newest that is not final; no text: none
	taken []stretch
	// known is up to where earlier connections told final words, toldTo up to where any did: one that catches up hears again what the one before had heard.
	known, toldTo [maxChannels]int64
	early         []early // what was heard before the track was placed, over all connections; at most maxHeard
	nowhere, gone bool    // the track is never placed; no connection comes any more
}

// early is an utterance and where it lies on the track, which has no place in the call yet.
type early struct {
	heard
	pos, samples int64
}

// newHearing is nil for a consumer that nobody listens to.
func newHearing(o *outlook, info call.Info, track *media.TrackState) *hearing {
	c := o.consumer
	if c.Answers == "" {
		return nil
	}
	h := &hearing{outlook: o, perGroup: int64(formatOctets(c.Format) * o.channels * c.Rate / media.SampleRate)}
	roles := []call.Role{call.RoleMix}
	if o.channels == 2 {
		roles = []call.Role{call.RoleCustomer, call.RoleAgent}
	}
	for i, role := range roles {
		h.speakers[i].role = role.String()
		for _, p := range info.Expected {
			if p.Role == role {
				h.speakers[i].party = p.ID
			}
		}
	}
	if track != nil {
		h.speakers[0] = speaker{track.Party.Role.String(), track.Party.ID}
	}
	h.placed.Store(track == nil)
	return h
}

// formatOctets is how many octets a sample has.
func formatOctets(format string) int {
	switch format {
	case FormatMulaw, FormatAlaw:
		return 1
	case FormatF32LE:
		return 4
	}
	return 2
}

// begin begins a connection: its clock is at 0.
func (h *hearing) begin() {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clock, h.read, h.bad = clock{}, answersOf[h.outlook.consumer.Answers](), false
	h.said, h.guess = [maxChannels]time.Duration{}, [maxChannels]heard{}
	h.saved, h.at = answersSavedUp, time.Now()
	h.known = h.toldTo
}

// give notes what the connection is about to be given: octets of the stream's form, which lie at pos.
func (h *hearing) give(pos int64, octets int) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.outlook.stamps != nil {
		octets -= HeaderOctets
	}
	h.clock.give(pos, int64(octets)/h.perGroup)
}

// place is told by the shard where the track lies in the call.
func (h *hearing) place(t *media.TrackState) {
	if t.Placed && (!h.placed.Load() || h.offset.Load() != t.Offset) {
		h.offset.Store(t.Offset)
		h.placed.Store(true)
		h.settle()
	}
}

// shut is called by the shard when the track ends: it is placed then, or never.
func (h *hearing) shut() {
	if h != nil && !h.placed.Load() {
		h.settle()
	}
}

// settle tells what was heard before the track was placed; where it never is, that goes nowhere. The shard calls it.
func (h *hearing) settle() {
	placed, n := h.placed.Load(), &h.outlook.hub.count
	h.mu.Lock()
	for _, x := range h.early {
		switch {
		case !placed:
			n.answersRefused.Add(1)
		case h.overlapsLocked(x.pos, x.samples): // since it was heard
			n.answersRevoked.Add(1)
		default:
			h.sayLocked(x.heard, x.pos, x.samples)
		}
	}
	awaited := h.gone && len(h.early) > 0
	h.early, h.nowhere = nil, !placed
	h.mu.Unlock()
	if awaited {
		h.outlook.over.done()
	}
}

// beside gives each message to the engine's reader, and to the dialect's own where there is one; nil: nobody reads any. The dialect comes last: at what it reads it may end.
func (h *hearing) beside(heed func([]byte)) func([]byte) {
	switch {
	case h == nil:
		return heed
	case heed == nil:
		return h.hear
	}
	return func(message []byte) { h.hear(message); heed(message) }
}

// hear reads a message of the engine's and tells what is in it.
func (h *hearing) hear(message []byte) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	list, err := h.read(message)
	if err != nil {
		h.malformedLocked(err)
	}
	for i, x := range list {
		if i == maxHeard {
			h.outlook.hub.count.answersRefused.Add(int64(len(list) - i))
			break
		}
		h.oneLocked(x)
	}
}

// malformed counts a message that can't be read, and tells of the first one of a connection.
func (h *hearing) malformed(err error) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.malformedLocked(err)
}

func (h *hearing) malformedLocked(err error) {
	o := h.outlook
	o.hub.count.answersMalformed.Add(1)
	if h.bad {
		return
	}
	h.bad = true
	o.hub.log.Warn("stream consumer's answers can't be read, counted from now on: does answers name its engine?", attr.Call(o.call), attr.Track(o.track), attr.Sink(o.consumer.Name),
		"answers", o.consumer.Answers, attr.Err(err))
}

// oneLocked tells one utterance.
func (h *hearing) oneLocked(x heard) {
	if x.channel < 0 || x.channel >= h.outlook.channels {
		h.malformedLocked(errChannel)
		return
	}
	if x.text = cleanWords(x.text); x.text == "" {
		if x.final { // it was a guess, and nothing was said
			h.guess[x.channel] = heard{}
		}
		return
	}
	if !h.allowLocked(time.Now()) {
		h.outlook.hub.count.answersRefused.Add(1)
		return
	}
	if x.to == 0 && x.from == 0 {
		x.inCall = false
	}
	if x.to == 0 { // it does not say when: since the last time, at the longest
		x.from, x.to = h.said[x.channel], h.clock.now()
	}
	if math.IsNaN(x.confidence) || x.confidence < 0 || x.confidence > 1 {
		x.confidence = 0
	}
	h.guess[x.channel] = heard{}
	switch {
	case !x.final:
		h.guess[x.channel] = x
	case !x.inCall:
		h.said[x.channel] = max(h.said[x.channel], min(x.to, h.clock.now()))
	}
	h.tellLocked(x, true)
}

// allowLocked tells whether the engine may tell one more.
func (h *hearing) allowLocked(now time.Time) bool {
	h.saved = min(answersSavedUp, h.saved+now.Sub(h.at).Seconds()*answersPerSecond)
	h.at = now
	if h.saved < 1 {
		return false
	}
	h.saved--
	return true
}

// tellLocked tells it to the call, as soon as its track has a place there, unless a mask took it back. whole: its end is heard, too.
func (h *hearing) tellLocked(x heard, whole bool) {
	n := &h.outlook.hub.count
	pos, samples := h.clock.span(x.from, x.to)
	if x.inCall {
		pos, samples = h.clock.within(x.from, x.to)
	}
	if pos+samples/2 < h.known[x.channel] { // engines' times differ a little from one hearing to the next
		h.guess[x.channel] = heard{}
		n.answersRepeated.Add(1)
		return
	}
	if h.overlapsLocked(pos, samples) {
		h.guess[x.channel] = heard{}
		n.answersRevoked.Add(1)
		return
	}
	switch {
	case h.placed.Load():
		h.sayLocked(x, pos, samples)
	case len(h.early) < maxHeard && !h.nowhere:
		h.early = append(h.early, early{x, pos, samples})
	default:
		n.answersRefused.Add(1)
		return
	}
	if x.final && whole {
		h.toldTo[x.channel] = max(h.toldTo[x.channel], pos+samples)
	}
}

// sayLocked says what was heard, and where.
func (h *hearing) sayLocked(x heard, pos, samples int64) {
	o := h.outlook
	if x.final {
		o.hub.count.answersFinal.Add(1)
		o.hub.count.answersWords.Add(int64(len(strings.Fields(x.text))))
	} else {
		o.hub.count.answersPartial.Add(1)
	}
	who := h.speakers[x.channel]
	facts := h.stretch(pos, samples)
	facts["role"], facts["text"], facts["final"] = who.role, x.text, x.final
	if who.party != "" {
		facts["party"] = who.party
	}
	if x.confidence > 0 {
		facts["confidence"] = math.Round(x.confidence*1000) / 1000
	}
	o.eventAt(call.EventTranscript, pos, facts)
}

// stretch are the facts that say when: in call time, which is the recording's.
func (h *hearing) stretch(pos, samples int64) map[string]any {
	from := max(0, pos+h.offset.Load())
	return map[string]any{"consumer": h.outlook.consumer.Name, "from_samples": from, "samples": samples}
}

func (h *hearing) overlapsLocked(pos, samples int64) bool {
	for _, t := range h.taken {
		if pos < t.to+takenMargin && pos+samples > t.from-takenMargin {
			return true
		}
	}
	return false
}

// revoke takes back the words about a range of the stream. The shard calls it.
func (h *hearing) revoke(from, samples int64) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.taken) == maxTaken {
		h.taken = h.taken[:copy(h.taken, h.taken[1:])]
	}
	h.taken = append(h.taken, stretch{from, from + samples})
	if !h.placed.Load() { // nothing was told
		return
	}
	to := from + samples + takenMargin
	from = max(0, from-takenMargin)
	h.outlook.eventAt(call.EventTranscriptRevoked, from, h.stretch(from, to-from))
}

// end ends a connection. What it did not get to the end of is as final as it will ever be.
func (h *hearing) end() {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, x := range h.guess {
		if x.text != "" {
			x.final = true
			h.tellLocked(x, false) // the next connection is to tell the end
		}
	}
	h.guess = [maxChannels]heard{}
}

// ended is called once no connection comes any more. The call is told of it when all that was heard has been.
func (h *hearing) ended() {
	h.mu.Lock()
	h.gone = true
	waits := len(h.early) > 0
	h.mu.Unlock()
	if !waits {
		h.outlook.over.done()
	}
}
