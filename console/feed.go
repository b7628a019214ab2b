package console

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/earshot/earshot/call"
)

// maxFed bounds the events that a Feed remembers: for clients that come back, and for those that are slow.
const maxFed = 2048

// feedTypes are the events that are told: what a page beside an agent needs. Keys that somebody pressed are none of them.
var feedTypes = []call.Type{ //nolint:gochecknoglobals // constant
	call.EventCallStarted, call.EventCallMoved, call.EventCallMasked, call.EventPartStarted, call.EventPartEnded, call.EventAgentTalks, call.EventAgentHolds,
	call.EventAgentLeft, call.EventTrackOpened, call.EventTrackStarted, call.EventTrackEnded, call.EventHold, call.EventResume, call.EventMaskOn, call.EventMaskOff,
	call.EventMaskOver, call.EventConsent, call.EventTranscript, call.EventTranscriptRevoked, call.EventRevoked, call.EventCallEnded,
}

// Feed is what happens to all calls, for GET /events: the newest maxFed events. Publish is what the endpoint is to tell. Who reads has a place in it and no queue of his own: a
// client that is too slow loses the oldest, and is told how many.
type Feed struct {
	// Set by NewFeed, then constant.
	born  string        // tells this process's numbers from those of another
	over  chan struct{} // closed when the server ends
	close sync.Once

	// mu guards the fields below. It is held for copying only.
	mu     sync.Mutex
	events []fed
	next   uint64          // number of the next event, from 1
	more   chan struct{}   // closed when there is one more
	calls  map[string]bool // that go on
}

// fed is one event. One that was taken back is gone, and keeps its number.
type fed struct {
	n     uint64
	event call.Event
	gone  bool
}

// NewFeed makes an empty feed. It is safe for concurrent use, and owns nothing.
func NewFeed() *Feed {
	return &Feed{born: strconv.FormatInt(time.Now().UnixMilli(), 36), over: make(chan struct{}), next: 1, more: make(chan struct{}), calls: map[string]bool{}}
}

// end has clients leave.
func (f *Feed) end() { f.close.Do(func() { close(f.over) }) }

// Publish tells an event to all who read. It does not wait.
func (f *Feed) Publish(e call.Event) {
	if !slices.Contains(feedTypes, e.Type) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch e.Type {
	case call.EventCallStarted:
		f.calls[e.Call] = true
	case call.EventCallEnded:
		delete(f.calls, e.Call)
	case call.EventTranscriptRevoked:
		f.takeBackLocked(e)
	}
	if len(f.events) == maxFed {
		f.events = f.events[:copy(f.events, f.events[maxFed/8:])]
	}
	f.events = append(f.events, fed{n: f.next, event: e})
	f.next++
	close(f.more)
	f.more = make(chan struct{})
}

// takeBackLocked forgets the words that a mask took back: who comes later is not told them.
func (f *Feed) takeBackLocked(e call.Event) {
	from, to := stretchOf(e)
	for i := range f.events {
		x := &f.events[i].event
		if x.Type != call.EventTranscript || x.Call != e.Call || x.Track != e.Track || x.Facts["consumer"] != e.Facts["consumer"] {
			continue
		}
		if a, b := stretchOf(*x); a < to && b > from {
			f.events[i].gone, f.events[i].event = true, call.Event{}
		}
	}
}

// stretchOf is the call time that an event is about, in samples.
func stretchOf(e call.Event) (from, to int64) {
	from, _ = e.Facts["from_samples"].(int64)
	samples, _ := e.Facts["samples"].(int64)
	return from, from + samples
}

// feedBatch is how many events are taken at a time.
const feedBatch = 64

// after gives events behind a number, of one call or (empty) of all, the number of the last that was looked at, how many were lost before it, and what is closed when there are more.
func (f *Feed) after(n uint64, of string) (list []fed, last, lost uint64, more <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	oldest := f.next
	if len(f.events) > 0 {
		oldest = f.events[0].n
	}
	if n+1 < oldest {
		lost = oldest - 1 - n
		n = oldest - 1
	}
	for i := int(n + 1 - oldest); i < len(f.events) && len(list) < feedBatch; i++ { //nolint:gosec // at most maxFed
		x := f.events[i]
		n = x.n
		if !x.gone && (of == "" || x.event.Call == of) {
			list = append(list, x)
		}
	}
	return list, n, lost, f.more
}

// newest is the number of the newest event.
func (f *Feed) newest() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.next - 1
}

// oldest is the number before the oldest event of a call that is remembered; ok: there is one, or the call goes on.
func (f *Feed) oldest(of string) (n uint64, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, x := range f.events {
		if !x.gone && x.event.Call == of {
			return x.n - 1, true
		}
	}
	return f.next - 1, f.calls[of]
}

// live tells whether a call goes on.
func (f *Feed) live(of string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[of]
}

// id is what a client shows when it comes back.
func (f *Feed) id(n uint64) string { return f.born + "-" + strconv.FormatUint(n, 10) }

// place reads an id. Of another process's nothing is known but that it was before.
func (f *Feed) place(id string) (n uint64, ours bool) {
	born, number, _ := strings.Cut(id, "-")
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil || born != f.born || n > f.newest() {
		return 0, false
	}
	return n, true
}
