package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/metrics"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/stream"
)

// crowd are a step's consumers, as the measuring process sees them: stream's hub on this side, a process of theirs on the other. A nil crowd is none.
type crowd struct {
	hub   *stream.Hub
	child *child
	board board
	file  *os.File // that board is in
	zero  time.Duration
}

// gather starts the consumers' process, and makes the hub that connects to it.
func gather(ctx context.Context, cfg Config, tracks int, dir string, e *media.Engine) (w *crowd, err error) {
	w = &crowd{}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	at, err := newClock()
	if err != nil {
		return w, err
	}
	w.zero = at.now() - e.Now()
	var path string
	if w.file, path, err = memoryFile(boardBytes(tracks)); err != nil {
		return w, err
	}
	if w.board, err = openBoard(path, tracks); err != nil {
		return w, err
	}
	socket := fmt.Sprintf("@%s-%d", filepath.Base(dir), os.Getpid()) // abstract: unix(7)
	if w.child, err = startChild(ctx, "consumers", cfg.Program, cfg.ConsumerArgs, cfg.Progress); err != nil {
		return w, err
	}
	if _, err = w.child.ask(order{Consume: &consume{Socket: socket, Board: path, Tracks: tracks, Loss: lossOf(cfg.Loss)}}); err != nil {
		return w, err
	}
	w.hub, err = stream.New(stream.Config{Consumers: consumersOf(socket, cfg.Hostile > 0), Log: cfg.Log})
	return w, err
}

// close ends the consumers' process.
func (w *crowd) close() error {
	if w == nil {
		return nil
	}
	var errs []error
	if w.child != nil {
		errs = append(errs, w.child.close())
	}
	if w.board != nil {
		errs = append(errs, w.board.close())
	}
	if w.file != nil {
		errs = append(errs, w.file.Close())
	}
	return errors.Join(errs...)
}

func (w *crowd) run(ctx context.Context) { _ = w.hub.Run(ctx) } // it has no error to give

// join attaches a call's consumers, as the daemon does, behind one that notes when packets came.
func (w *crowd) join(l *line, info call.Info, i int) {
	if w == nil {
		return
	}
	l.timeline.Attach(&witness{board: w.board, first: i * tracksPerCall, zero: w.zero})
	l.timeline.Attach(w.hub.Open(info, stream.Options{Notify: func(e call.Event) { l.timeline.Post(e) }}))
}

// hear asks what the good consumers had since the last time.
func (w *crowd) hear() (heard, error) {
	r, err := w.child.ask(order{Hear: true})
	if err == nil && r.Heard == nil {
		err = errors.New("consumers: the answer has nothing that was heard")
	}
	if err != nil {
		return heard{}, err
	}
	return *r.Heard, nil
}

// begin forgets what was heard before the window.
func (w *crowd) begin() error {
	if w == nil {
		return nil
	}
	_, err := w.hear()
	return err
}

// measure reads the window's delays, and lets half of the consumers turn hostile for a while.
func (w *crowd) measure(ctx context.Context, cfg Config, s *Step) error {
	h, err := w.hear()
	if err != nil {
		return err
	}
	s.Streams = &Streams{InOrder: h.InOrder, Behind: h.Behind}
	if cfg.Hostile == 0 {
		return nil
	}
	say(cfg.Progress, "  half of the consumers turn hostile, %v", cfg.Hostile)
	x := &Hostile{Seconds: cfg.Hostile.Seconds(), RSSBefore: resident(), HeapBefore: liveHeap()}
	s.Streams.Hostile = x
	before := w.hub.Totals()
	if _, err := w.child.ask(order{Turn: true}); err != nil {
		return err
	}
	for left := cfg.Hostile; left > 0 && ctx.Err() == nil; left -= time.Second {
		pause(ctx, min(left, time.Second))
		x.RSSMost, x.HeapMost = max(x.RSSMost, resident()), max(x.HeapMost, liveHeap())
	}
	if h, err = w.hear(); err != nil {
		return err
	}
	x.take(h, s.Streams.InOrder)
	after := w.hub.Totals()
	x.DroppedSamples, x.Restarts = after.DroppedSamples-before.DroppedSamples, after.Restarts-before.Restarts
	return ctx.Err()
}

// finishWithin bounds how long the good consumers may take for what is left at the end.
const finishWithin = 10 * time.Second

// finish waits until the good consumers have all that was sent, and tells what they have not.
func (w *crowd) finish(ctx context.Context, s *Step) error {
	if w == nil {
		return nil
	}
	for begun := time.Now(); ; pause(ctx, packetTime) {
		h, err := w.hear()
		if err != nil {
			return err
		}
		s.Streams.WrongSamples, s.Streams.LostSamples = h.Wrong, s.SentSamples-h.Right-h.Wrong
		if s.Streams.LostSamples <= 0 || time.Since(begun) > finishWithin || ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// liveHeap is what was live on the heap at the last collection of garbage, in bytes.
func liveHeap() int64 {
	m := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(m)
	if m[0].Value.Kind() != metrics.KindUint64 {
		panic(fmt.Sprintf("bench: %s is no number here", m[0].Name))
	}
	return int64(m[0].Value.Uint64())
}
