package endpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/stream"
)

const (
	// AsTaken is a speed: as fast as the consumers take it.
	AsTaken = -1
	// replayBuffer is what a consumer's ring holds where nothing may be dropped. A replay waits for those that are further behind than
	// replayAhead: the rest is room for what a lane holds back, 2 s.
	replayBuffer = 10 * time.Second
	replayAhead  = 6 * time.Second
	// replayPatience is how long nobody may take anything before the replay is given up.
	replayPatience = 30 * time.Second
	// replayGrace is how long a consumer may go on after the end: an engine that was given an hour in a minute has things to do.
	replayGrace = 30 * time.Second
	// replayLook is how often it is looked whether consumers have taken something.
	replayLook = 5 * time.Millisecond
)

// ReplayConfig says to whom recordings are played, and how fast.
type ReplayConfig struct {
	// Consumers get them as if the calls were on; which agents and groups they choose is not looked at.
	Consumers []stream.Consumer
	// To gets them instead, in the form of Listen: as `earshot listen` would.
	To     io.Writer
	Listen stream.ListenConfig
	// Speed is in times of real time, default 1. With AsTaken nothing is dropped.
	Speed float64
	// Log gets what a hub tells; nil discards.
	Log *slog.Logger
}

// Replayed is what came of it.
type Replayed struct {
	// Given counts the recordings' samples at 8000 Hz, of all tracks, by kind: received, lost, gap, masked.
	Given map[media.Kind]int64
	// Consumers counts by name. Dropped is what To was too slow for.
	Consumers map[string]stream.ConsumerTotals
	Dropped   int64
	// Failed says of consumers that ended otherwise than by themselves how they did.
	Failed []string
}

// Replay plays a call's recordings, its parts in order, and returns when the last consumer has ended. An error tells what cut it short; that
// consumers lost something or failed is none.
func Replay(ctx context.Context, parts []*recorder.Playback, cfg ReplayConfig) (Replayed, error) {
	if cfg.Speed == 0 {
		cfg.Speed = 1
	}
	r := &replay{cfg: cfg, out: Replayed{Given: map[media.Kind]int64{}}}
	var err error
	if cfg.To != nil {
		err = r.toReader(ctx, parts)
	} else {
		err = r.toConsumers(ctx, parts)
	}
	for _, p := range parts {
		for k, n := range p.Given {
			r.out.Given[k] += n
		}
	}
	return r.out, err
}

type replay struct {
	cfg ReplayConfig

	// mu guards the field below while consumers are at work.
	mu  sync.Mutex
	out Replayed
}

// toReader plays to cfg.To.
func (r *replay) toReader(ctx context.Context, parts []*recorder.Playback) error {
	for _, p := range parts {
		cfg := r.cfg.Listen
		if r.cfg.Speed == AsTaken {
			cfg.Buffer = replayBuffer
		}
		cfg.Started = func() time.Time { return p.Info.Started }
		l, err := stream.NewListener(cfg)
		if err != nil {
			return err
		}
		gone, leave := context.WithCancelCause(ctx)
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := l.WriteTo(r.cfg.To)
			leave(err)
		})
		err = r.play(gone, p, l, 0) // a pipe's reader may take its time
		if err != nil {
			err = errors.Join(err, l.Close())
		}
		l.End(call.Cause{Code: call.CodeHangup})
		wg.Wait()
		r.out.Dropped += l.DroppedSamples()
		if why := context.Cause(gone); err == nil && why != nil && !errors.Is(why, context.Canceled) {
			err = why
		}
		leave(nil)
		if err != nil {
			return err
		}
	}
	return nil
}

// toConsumers plays to cfg.Consumers.
func (r *replay) toConsumers(ctx context.Context, parts []*recorder.Playback) error {
	consumers := slices.Clone(r.cfg.Consumers)
	for i := range consumers {
		c := &consumers[i]
		c.Agents, c.Groups = nil, nil
		if r.cfg.Speed == AsTaken {
			c.Buffer = max(c.Buffer, replayBuffer)
		}
	}
	h, err := stream.New(stream.Config{Consumers: consumers, Grace: replayGrace, Log: r.cfg.Log})
	if err != nil {
		return err
	}
	working, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	var ran error
	wg.Go(func() { ran = h.Run(working) })
	for _, p := range parts {
		sink := h.Open(p.Info, stream.Options{Notify: r.note})
		err = r.play(ctx, p, sink, replayPatience)
		if err == nil {
			sink.End(call.Cause{Code: call.CodeHangup})
			err = await(ctx, func() bool { return h.Totals().Open == 0 })
		}
		if err != nil {
			err = errors.Join(err, whoIsAway(h.Live()))
			sink.End(call.Cause{Code: call.CodeShutdown})
			break
		}
	}
	stop()
	wg.Wait()
	r.out.Consumers = h.Consumers()
	return errors.Join(err, ran)
}

// note keeps how consumers end.
func (r *replay) note(e call.Event) {
	_, again := e.Facts["restart_in_ms"]
	if failed := e.Facts["error"]; e.Type == call.EventStreamEnded && failed != nil && !again {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.out.Failed = append(r.out.Failed, fmt.Sprintf("%v: %v: %v", e.Facts["consumer"], e.Facts["reason"], failed))
	}
}

// whoIsAway names the consumers that have nothing now; nil: all have.
func whoIsAway(all []stream.Live) error {
	var away []string
	for _, l := range all {
		if l.State != stream.StateConnected && l.Error != "" {
			away = append(away, l.Consumer+": "+l.Error)
		}
	}
	if away == nil {
		return nil
	}
	return errors.New(strings.Join(slices.Compact(away), "; "))
}

// held is a sink that tells how far its consumers are behind.
type held interface{ Held() time.Duration }

// play gives a sink one recording, at its pace, and doesn't end it. With patience, it ends where nobody takes anything for so long.
func (r *replay) play(ctx context.Context, p *recorder.Playback, sink media.Sink, patience time.Duration) error {
	behind, ok := sink.(held)
	if !ok { // nobody hears it
		return nil
	}
	began := time.Now()
	for b := (media.Batch{}); ; {
		more, err := p.Next(&b)
		if err != nil || !more {
			return err
		}
		sink.Write(&b)
		if r.cfg.Speed != AsTaken {
			err = sleepUntil(ctx, began.Add(time.Duration(float64(b.Now-b.Zero)/r.cfg.Speed)))
		} else {
			err = catchUp(ctx, behind, patience)
		}
		if err != nil {
			return err
		}
	}
}

// catchUp waits until consumers are not far behind.
func catchUp(ctx context.Context, behind held, patience time.Duration) error {
	since, least := time.Now(), behind.Held()
	stuck := false
	err := await(ctx, func() bool {
		h := behind.Held()
		if h < least {
			since, least = time.Now(), h
		}
		stuck = patience > 0 && time.Since(since) > patience
		return stuck || h <= replayAhead
	})
	if err == nil && stuck {
		err = fmt.Errorf("nobody took anything for %v", patience)
	}
	return err
}

// await looks again and again until done, or ctx ends.
func await(ctx context.Context, done func() bool) error {
	for !done() {
		if err := sleepUntil(ctx, time.Now().Add(replayLook)); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// sleepUntil waits for a moment, or ctx's end.
func sleepUntil(ctx context.Context, at time.Time) error {
	t := time.NewTimer(max(0, time.Until(at)))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	return context.Cause(ctx)
}
