package stream

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/attr"
	"github.com/earshot/earshot/media"
)

var (
	// errLeft is why a session ended that the far side closed.
	errLeft = errors.New("the consumer closed the connection")
	// errRenew is why a session ends that another takes over from at once: it may last no longer, and was given all of the message that it says so after.
	errRenew = errors.New("the consumer wants a new connection")
)

// link is one consumer of one call or track that is reached by a connection: made anew, with more and more time between, for as long as the call lives.
// The ring keeps what comes meanwhile.
type link struct {
	outlook
	about about  // set by newLink, then constant
	made  string // a FIFO of ours, owned by run
	// encoder serves one session after the other: what it holds back goes to the next. Owned by run.
	encoder *encoder
	hook    hookPast // owned by run

	// mu guards what masks took back and the consumer is still to be told of, and what they silence of its stream, of which it may be given the newest again.
	mu     sync.Mutex
	taken  revoked
	masked []stretch // in order; at most maxMasked
}

// maxMasked bounds the masks that are remembered. Of the oldest the consumer gets the silence, which is in the ring anyway, and is not told why.
const maxMasked = 256

// tellRevoked notes it for the call's record, and for the consumer where that can be told. It is called by the shard.
func (l *link) tellRevoked(from, samples int64) {
	l.outlook.tellRevoked(from, samples)
	if l.consumer.Revoked != "" {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.taken.add(stretch{from, from + samples})
	}
}

// silenced notes what a mask silences. It is called by the shard, before the samples are in the ring.
func (l *link) silenced(from, samples int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.masked = joined(l.masked, stretch{from, from + samples}, math.MaxInt) // the oldest go instead
	if over := len(l.masked) - maxMasked; over > 0 {
		l.masked = slices.Delete(l.masked, 0, over)
	}
}

// masksFrom appends what masks silence from a position on.
func (l *link) masksFrom(all []stretch, pos int64) []stretch {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.masked {
		if s.to > pos {
			all = append(all, s)
		}
	}
	return all
}

// tell tells the consumer what was taken back since the last time.
func (l *link) tell(s session) error {
	r, ok := s.(interface {
		revoke(from, samples int64) error
	})
	if !ok {
		return nil
	}
	l.mu.Lock()
	ranges := slices.Clone(l.taken.ranges)
	l.taken.ranges = l.taken.ranges[:0]
	l.mu.Unlock()
	for i, x := range ranges {
		if err := r.revoke(x.from, x.to-x.from); err != nil {
			l.mu.Lock() // the next connection is told
			for _, y := range ranges[i:] {
				l.taken.add(y)
			}
			l.mu.Unlock()
			return err
		}
	}
	return nil
}

func newLink(o outlook, info call.Info, track *media.TrackState) *link {
	l := &link{
		outlook: o, about: aboutOf(o.consumer, info, track, o.channels), encoder: o.makeEncoder(),
	}
	l.about.Stream = fmt.Sprintf("%s-%d", safeName(o.call), o.track)
	return l
}

// run implements taker.
func (l *link) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, l.ring.hurry)
	defer stop()
	defer l.ring.letGo()
	defer func() {
		if l.made != "" {
			_ = os.Remove(l.made)
		}
	}()
	var wait time.Duration
	away := time.Now() // when the consumer was there last
	var over time.Time // since when the call has ended, and something is left for the consumer
	for {
		began, from := time.Now(), l.ring.resume(l.encoder)
		err := l.once(ctx)
		if err == nil {
			l.left(endedCall, nil, 0)
			return
		}
		if ctx.Err() != nil { // everything ends: nobody is dialled again
			l.left(endedFailed, err, 0)
			return
		}
		given := l.ring.position() - l.encoder.held()
		renewed := errors.Is(err, errRenew) // it was given all
		settled, longest := l.hub.pace.settled, l.hub.pace.longest
		if l.ring.past != nil {
			settled = l.hub.pace.forCatchUp().settled
			if !renewed {
				l.ring.rewind(l.consumer.overlapSamples(l.channels)+l.encoder.held(), from)
				l.encoder = l.makeEncoder()
			}
		}
		if errors.Is(err, errHangs) || errors.Is(err, errNoPong) { // it is seen seconds after it began: the kernel took the audio for longer
			settled = max(settled, l.hub.pace.steady)
		}
		if time.Since(began) >= settled {
			wait, away = 0, time.Now()
			if renewed {
				l.event(call.EventStreamEnded, map[string]any{"consumer": l.consumer.Name, "reason": endedRenewed})
				continue
			}
		}
		if l.ring.past != nil && time.Since(away) < l.hub.pace.promptly {
			longest = l.hub.pace.prompt
		}
		wait = min(max(2*wait, l.hub.pace.backoff), longest)
		if l.ringEnded() && over.IsZero() {
			over = time.Now()
		}
		if !over.IsZero() && (time.Since(over) > l.patience(ctx) || l.ring.sinceEnd() >= catchUpWithin || l.ring.empty()) {
			l.ring.pass(given)
			l.left(endedFailed, err, 0)
			return
		}
		pause := wait/2 + rand.N(wait/2+1)
		l.left(endedFailed, err, pause)
		l.pause(ctx, pause)
		l.hub.count.restarts.Add(1)
	}
}

// pause waits before the next connection; the end of everything cuts it short.
func (l *link) pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// once connects and gives the session audio until the call ends (nil) or the session does.
func (l *link) once(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	l.hearing.begin()
	l.about.from = strconv.FormatInt(l.ring.resume(l.encoder), 10)
	s, err := l.consumer.dial(limited, l)
	if err != nil {
		return err // there is no session then
	}
	defer l.hearing.end() // when nothing is read any more
	defer s.close()
	defer l.connected()()

	var quit atomic.Bool
	watched := make(chan struct{})
	over := make(chan struct{})
	go func() {
		defer close(watched)
		l.watch(ctx, s, over, func() { quit.Store(true); l.ring.stir() })
	}()
	defer func() { close(over); <-watched }()

	var failed error
	ended := l.ring.relay(l.encoder, &quit, func(pos int64, b []byte) bool {
		if failed = l.tell(s); failed == nil {
			l.hearing.give(pos, len(b))
			failed = s.write(pos, b)
		}
		if errors.Is(failed, errRenew) { // it was given this one
			quit.Store(true)
		} else if failed != nil {
			return false
		}
		l.sent(len(b))
		return true
	})
	switch {
	case ended:
		if err := l.tell(s); err != nil {
			return err
		}
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.graceFor(ctx))
		defer cancel()
		return s.finish(end)
	case errors.Is(failed, errRenew): // the ring keeps what comes meanwhile
		end, cancel := context.WithTimeout(ctx, min(l.hub.pace.grace, l.consumer.Buffer/2))
		defer cancel()
		_ = s.finish(end)
		return failed
	case failed != nil:
		return failed
	}
	return s.ended(errLeft)
}

// watch calls quit once the far side is gone, and closes the session where everything is to end and it does not, or where it takes a call's last audio ever more slowly: a write
// that hangs, who waits for its last words and who is late by more than a call's end bears must not keep the process. It returns when over is closed.
func (l *link) watch(ctx context.Context, s session, over <-chan struct{}, quit func()) {
	gone, end, ended := s.gone(), ctx.Done(), l.ring.ended
	var last, late <-chan time.Time
	hurry := func() {
		end, last = nil, nil
		late = time.After(2 * l.hub.pace.hurry) // as long as a program has
	}
	for {
		select {
		case <-gone:
			gone = nil
			quit()
		case <-ended:
			ended = nil
			t := time.NewTimer(catchUpWithin - l.ring.sinceEnd())
			defer t.Stop()
			last = t.C
		case <-last:
			l.ring.hurry()
			hurry()
		case <-end:
			hurry()
		case <-late:
			s.close()
		case <-over:
			return
		}
	}
}

// graceFor is how long a consumer has after the call's end: less once everything is to end.
func (l *link) graceFor(ctx context.Context) time.Duration {
	if ctx.Err() != nil {
		return min(l.hub.pace.grace, l.hub.pace.hurry)
	}
	return l.hub.pace.grace
}

// patience is how long after the call's end a consumer may still be reached anew: longer where there is a recording to catch up from.
func (l *link) patience(ctx context.Context) time.Duration {
	if l.ring.past != nil && ctx.Err() == nil {
		return catchUpWithin
	}
	return l.graceFor(ctx)
}

// left tells how a session ended; wait > 0: and when the next begins.
func (l *link) left(reason string, err error, wait time.Duration) {
	if wait == 0 {
		l.tellUnsent(math.MaxInt64)
		l.giveUp(l.encoder)
	}
	l.tellLost()
	facts := map[string]any{"consumer": l.consumer.Name, "reason": reason}
	if err != nil {
		err = l.consumer.fit(err)
		facts["error"] = err.Error()
		l.progress.enter(StateWaiting, err.Error())
	}
	if wait > 0 {
		facts["restart_in_ms"] = wait.Milliseconds()
	}
	l.event(call.EventStreamEnded, facts)
	log := l.hub.log.With(attr.Call(l.call), attr.Track(l.track), attr.Sink(l.consumer.Name))
	if err == nil {
		log.Debug("stream ended", attr.Reason(reason))
		return
	}
	log.Warn("stream consumer lost", attr.Err(err), "again_in", wait.Round(time.Millisecond))
}
