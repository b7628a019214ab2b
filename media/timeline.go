package media

import (
	"fmt"
	"sync"
	"time"

	"github.com/earshot/earshot/call"
)

// maxTracks bounds the tracks that one timeline may ever have: a call that is joined again and again.
const maxTracks = 256

// Timeline is one call's media: its tracks, valve and sinks, all on one shard. Its methods are safe for concurrent use,
// don't block, and take effect at a sweep, in the order in which they were called.
type Timeline struct {
	// Set by NewTimeline, then constant.
	engine *Engine
	shard  *shard
	live   *liveTimeline // owned by the shard, but for its atomic fields

	mu sync.Mutex
	// mu guards the fields below. Lock order: mu, then the mailbox's.
	tracks int
	closed chan struct{}
}

// Open binds a track's ports, so that they can stand in an answer. Nothing is read from them before the first commit.
func (t *Timeline) Open(p Plan) (*Track, error) {
	at, route, err := t.engine.seat(t.shard, p)
	if err != nil {
		return nil, fmt.Errorf("open track: %w", err)
	}
	k := &Track{timeline: t, plan: p, live: newLiveTrack(t.live, p, at)}
	k.rtp = t.engine.advertised(at.pair.rtp.local(), route)
	k.rtcp = k.rtp
	if at.pair.rtcp != nil {
		k.rtcp = t.engine.advertised(at.pair.rtcp.local(), route)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	err = ErrEnded
	if t.closed == nil {
		err = fmt.Errorf("tracks: got %d already, want at most that", maxTracks)
		if t.tracks < maxTracks {
			k.id = TrackID(t.tracks + 1)
			k.live.state.ID = k.id
			err = nil
			if !t.shard.mail.put(post{kind: postOpen, line: t.live, track: k.live}) {
				err = ErrEnded
			}
		}
	}
	if err != nil {
		t.engine.unseat(t.shard, k.live)
		return nil, fmt.Errorf("open track: %w", err)
	}
	t.tracks++
	return k, nil
}

// Attach gives all batches from the next sweep on to the sink. detach ends that: the sink gets End with the cause, at a
// sweep; more calls of it do nothing. Sinks that are still attached when the timeline closes are ended with its cause.
func (t *Timeline) Attach(s Sink) (detach func(call.Cause)) {
	st := newSeat(s)
	if !t.shard.mail.put(post{kind: postAttach, line: t.live, seat: st}) {
		s.End(call.Cause{Code: call.CodeShutdown}) // nobody else will ever call it
		return func(call.Cause) {}
	}
	var once sync.Once
	return func(c call.Cause) {
		once.Do(func() { t.shard.mail.put(post{kind: postDetach, line: t.live, seat: st, cause: c}) })
	}
}

// Post hands an event to the sinks, in the next batch. A zero Time is set to that of the sweep, an empty Call to the
// timeline's. False: the mailbox is full or the engine has ended; the first is counted and told to the sinks later.
func (t *Timeline) Post(e call.Event) bool {
	return t.shard.mail.put(post{kind: postEvent, line: t.live, event: e})
}

// Hold has a holder hold back what is captured from a time on (since the engine's start; 0 is now), until Release, and why: the events
// that sinks get say it. A mask reaches back to Final at most, and what was given out already comes once more as masked frames. To
// hold again may reach further back, and does nothing else. The channel gives one answer and is closed; it is closed without one if the
// timeline is closed first.
func (t *Timeline) Hold(h Holder, from time.Duration, why string) <-chan Applied {
	if from == 0 {
		from = t.engine.Now()
	}
	return t.turnValve(post{kind: postHold, line: t.live, holder: h, from: from, why: why})
}

// Release ends what a holder holds. Audio goes out again from this sweep on if nobody else holds; what was held back is gone. It answers as
// Hold does.
func (t *Timeline) Release(h Holder) <-chan Applied {
	return t.turnValve(post{kind: postRelease, line: t.live, holder: h})
}

func (t *Timeline) turnValve(p post) <-chan Applied {
	reply := make(chan Applied, 1)
	p.reply = reply
	if !t.shard.mail.put(p) {
		close(reply)
	}
	return reply
}

// SetParty puts a better identification of a track's party into its state.
func (t *Timeline) SetParty(id TrackID, p call.Party) {
	t.shard.mail.put(post{kind: postParty, line: t.live, from: time.Duration(id), party: p})
}

// Zero is the time of sample 0, since the engine's start: when the timeline was made.
func (t *Timeline) Zero() time.Duration { return t.live.zero }

// Close ends the timeline: what came in is read and given out, what is missing is lost, every sink gets its last batch
// and End with the cause, the ports are closed. The channel closes then, or when Run has ended; a second Close returns the same channel.
func (t *Timeline) Close(c call.Cause) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed != nil {
		return t.closed
	}
	t.closed = make(chan struct{})
	if !t.shard.mail.put(post{kind: postClose, line: t.live, cause: c, done: t.closed}) {
		close(t.closed)
	}
	return t.closed
}
